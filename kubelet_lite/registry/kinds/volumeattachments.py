"""VolumeAttachments. https://kubernetes.io/docs/reference/kubernetes-api/config-and-storage-resources/volume-attachment-v1/"""
from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Final

from kubelet_lite.api.errors import FieldError, forbidden, invalid, required
from kubelet_lite.api.storage_v1 import VolumeAttachment, VolumeAttachmentSource
from kubelet_lite.registry.kinds.ages import age
from kubelet_lite.registry.kinds.pods.volumes import validate_csi_driver_name
from kubelet_lite.registry.rules import ALL_OF_METADATA, KindRules
from kubelet_lite.registry.validation.collected import collected
from kubelet_lite.registry.validation.go_values import go_value
from kubelet_lite.registry.validation.named import dns_subdomain
from kubelet_lite.registry.validation.numbers import IMMUTABLE
from kubelet_lite.registry.validation.volume_specs import volume_spec

_ONE: Final = "must specify exactly one of inlineVolumeSpec and persistentVolumeName"


@collected
def _validate(attachment: VolumeAttachment) -> Iterator[FieldError]:
    yield from validate_csi_driver_name("spec.attacher", attachment.spec.attacher)
    yield from _source("spec.source", attachment.spec.source)
    yield from dns_subdomain("spec.nodeName", attachment.spec.nodeName)


def _source(path: str, source: VolumeAttachmentSource) -> Iterator[FieldError]:
    name, inline = source.persistentVolumeName, source.inlineVolumeSpec
    if name is None and inline is None:
        yield required(path, _ONE)
    elif name is not None and inline is not None:
        yield forbidden(path, _ONE)
    elif name is not None:
        if not name:
            yield required(f"{path}.persistentVolumeName", "must specify non empty persistentVolumeName")
        yield from dns_subdomain(f"{path}.persistentVolumeName", name)
    elif inline is not None:
        yield from volume_spec(f"{path}.inlineVolumeSpec", inline, inline=True)


@collected
def _validate_update(new: VolumeAttachment, old: VolumeAttachment) -> Iterator[FieldError]:
    if new.spec != old.spec:
        yield invalid("spec", go_value(new.spec), IMMUTABLE)


def _row(attachment: VolumeAttachment, now: float) -> Sequence[Any]:
    spec = attachment.spec
    return (
        attachment.metadata.name, spec.attacher, spec.source.persistentVolumeName or "", spec.nodeName, attachment.status.attached,
        age(attachment, now),
    )


RULES: Final = KindRules(
    resource="volumeattachments.storage.k8s.io", status_update_keeps=ALL_OF_METADATA, validate=_validate, validate_update=_validate_update, validate_on_update="instead",
    unconditional_update=False, returns_deleted=True, row=_row,
)
