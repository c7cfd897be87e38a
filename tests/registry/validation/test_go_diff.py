"""What follows the refusal of an update that changes a whole."""
from __future__ import annotations

from kubelet_lite.api.storage_v1 import VolumeAttachmentSource
from kubelet_lite.registry.validation.go_diff import with_diff


def test_the_changed_field_stands_in_go_s_words() -> None:
    text = with_diff("field is immutable", VolumeAttachmentSource(persistentVolumeName="a"), VolumeAttachmentSource(persistentVolumeName="b"))
    first, *rest = text.split("\n")
    assert first == "field is immutable"
    assert [line for line in rest if line.startswith(("+", "-"))] == ['- "PersistentVolumeName": "a",', '+ "PersistentVolumeName": "b",']
    assert rest[0].startswith("@@ -")
