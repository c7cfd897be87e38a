"""Which tag a reference names, and so when its image is pulled."""
from __future__ import annotations

import pytest

from kubelet_lite.registry.kinds.pods.images import default_pull_policy, image_tag

DIGEST = "sha256:" + "a" * 64


@pytest.mark.parametrize(("image", "tag"), [
    ("nginx", "latest"), ("nginx:1.29", "1.29"), ("localhost:5000/web", "latest"), ("localhost:5000/web:v1", "v1"), (f"web@{DIGEST}", ""),
    (f"web:v1@{DIGEST}", "v1"), ("example.com/a/b", "latest"), ("UPPER", ""), ("a" * 300, ""), ("", ""), ("f" * 64, ""), ("web@sha256:abc", ""),
])
def test_the_tag_of_a_reference(image: str, tag: str) -> None:
    assert image_tag(image) == tag


def test_only_latest_is_pulled_always() -> None:
    assert default_pull_policy("nginx") == "Always"
    assert default_pull_policy("nginx:1") == "IfNotPresent"
    assert default_pull_policy("Not A Reference") == "IfNotPresent"
