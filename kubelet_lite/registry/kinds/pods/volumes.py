"""Validation of a pod's volumes: one function for each type, and the rules of the list.

https://kubernetes.io/docs/concepts/storage/volumes/
"""
from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

from kubelet_lite.api import names
from kubelet_lite.api.core_v1 import EphemeralVolumeSource, PersistentVolumeClaimTemplate, Volume
from kubelet_lite.api.errors import FieldError, duplicate, forbidden, invalid, not_supported, required, too_long
from kubelet_lite.api.meta_v1 import ObjectMeta
from kubelet_lite.api.quantities import read
from kubelet_lite.registry.kinds.pods import legacy_volumes
from kubelet_lite.registry.kinds.pods.projections import validate_downward_api, validate_key_to_path, validate_projected
from kubelet_lite.registry.kinds.pods.pull_policy import validate_pull_policy
from kubelet_lite.registry.validation.annotations import annotation_map
from kubelet_lite.registry.validation.claim_specs import claim_spec
from kubelet_lite.registry.validation.labels import label_map
from kubelet_lite.registry.validation.named import dns_label, dns_subdomain, each
from kubelet_lite.registry.validation.paths import file_mode, no_backsteps

HOST_PATH_TYPES: Final = ("", "BlockDevice", "CharDevice", "Directory", "DirectoryOrCreate", "File", "FileOrCreate", "Socket")
LONGEST_DRIVER_NAME: Final = 63

Validator = Callable[[str, Any], Iterator[FieldError]]


def validate_volumes(path: str, volumes: tuple[Volume, ...], pod_name: str, *, of_pod: bool) -> tuple[Mapping[str, Volume], list[FieldError]]:
    """The valid volumes by name, which mounts may refer to, and the errors. `pod_name` is empty in a template."""
    valid: dict[str, Volume] = {}
    errors: list[FieldError] = []
    claims = {f"{pod_name}-{volume.name}" for volume in volumes if volume.ephemeral is not None} if pod_name else set()
    for i, volume in enumerate(volumes):
        at = f"{path}[{i}]"
        wrong = list(_source(at, volume, pod_name, of_pod=of_pod))
        if not volume.name:
            wrong.append(required(f"{at}.name"))
        else:
            wrong += dns_label(f"{at}.name", volume.name)
        if volume.name in valid:
            wrong.append(duplicate(f"{at}.name", volume.name))
        if not wrong:
            valid[volume.name] = volume
        errors += wrong
        claim = volume.persistentVolumeClaim
        if claim is not None and claim.claimName in claims:
            errors.append(invalid(f"{at}.persistentVolumeClaim.claimName", claim.claimName,
                                  "must not reference a PVC that gets created for an ephemeral volume"))
    return valid, errors


def _source(path: str, volume: Volume, pod_name: str, *, of_pod: bool) -> Iterator[FieldError]:
    first = True
    for kind, (named, validate) in _TYPES.items():
        source = getattr(volume, kind)
        if source is None:
            continue
        if first or kind == "emptyDir":
            yield from validate(f"{path}.{named}", source)
        else:
            yield forbidden(f"{path}.{_FORBIDDEN_AS.get(kind, kind)}", "may not specify more than 1 volume type")
        if kind == "iscsi" and source.initiatorName is not None and len(f"{volume.name}:{source.targetPortal}") > legacy_volumes.LONGEST_ISCSI_NAME:
            yield invalid(f"{path}.name", volume.name, legacy_volumes.ISCSI_NAME_TOO_LONG)
        if kind == "ephemeral" and first and pod_name and volume.name:
            name = f"{pod_name}-{volume.name}"
            for message in names.dns1123_subdomain(name):
                yield invalid(f"{path}.name", volume.name, f'PVC name "{name}": {message}')
        if kind == "image" and first and of_pod and not source.reference:
            yield required(f"{path}.image.reference")
        first = False
    if first:
        yield required(path, "must specify a volume type")


def _empty_dir(path: str, source: Any) -> Iterator[FieldError]:
    if source.sizeLimit is not None and read(source.sizeLimit).nanos < 0:
        yield forbidden(f"{path}.sizeLimit", "SizeLimit field must be a valid resource quantity")


def validate_host_path(path: str, source: Any) -> Iterator[FieldError]:
    if not source.path:
        yield required(f"{path}.path")
        return
    yield from no_backsteps(f"{path}.path", source.path)
    if source.type is not None and source.type not in HOST_PATH_TYPES:
        yield not_supported(f"{path}.type", source.type, HOST_PATH_TYPES)


def _secret(path: str, source: Any) -> Iterator[FieldError]:
    if not source.secretName:
        yield required(f"{path}.secretName")
    yield from _files(path, source)


def _config_map(path: str, source: Any) -> Iterator[FieldError]:
    if not source.name:
        yield required(f"{path}.name")
    yield from _files(path, source)


def _files(path: str, source: Any) -> Iterator[FieldError]:
    yield from file_mode(f"{path}.defaultMode", source.defaultMode)
    for i, item in enumerate(source.items):
        yield from validate_key_to_path(f"{path}.items[{i}]", item)


def validate_nfs(path: str, source: Any) -> Iterator[FieldError]:
    if not source.server:
        yield required(f"{path}.server")
    if not source.path:
        yield required(f"{path}.path")
    if not source.path.startswith("/"):
        yield invalid(f"{path}.path", source.path, "must be an absolute path")


def _claim(path: str, source: Any) -> Iterator[FieldError]:
    if not source.claimName:
        yield required(f"{path}.claimName")


def validate_csi_driver_name(path: str, name: str) -> Iterator[FieldError]:
    if not name:
        yield required(path)
        return
    if len(name.encode()) > LONGEST_DRIVER_NAME:
        yield too_long(path, LONGEST_DRIVER_NAME)
    yield from each(path, name, names.dns1123_subdomain(name.lower()))


def _csi(path: str, source: Any) -> Iterator[FieldError]:
    yield from validate_csi_driver_name(f"{path}.driver", source.driver)
    secret = source.nodePublishSecretRef
    if secret is not None:
        if not secret.name:
            yield required(f"{path}.nodePublishSecretRef.name")
        else:
            yield from dns_subdomain(f"{path}.name", secret.name)


def _ephemeral(path: str, source: EphemeralVolumeSource) -> Iterator[FieldError]:
    template = source.volumeClaimTemplate
    if template is None:
        yield required(f"{path}.volumeClaimTemplate")
    else:
        yield from validate_claim_template(f"{path}.volumeClaimTemplate", template)


def validate_claim_template(path: str, template: PersistentVolumeClaimTemplate) -> Iterator[FieldError]:
    meta = template.metadata
    yield from annotation_map(f"{path}.metadata.annotations", meta.annotations)
    yield from label_map(f"{path}.metadata.labels", meta.labels)
    empty = ObjectMeta()
    for field in ObjectMeta.__struct_fields__:
        if field not in ("labels", "annotations") and getattr(meta, field) != getattr(empty, field):
            yield forbidden(f"{path}.metadata.{_OBJECT_META_AS.get(field, field)}", "cannot be set")
    yield from claim_spec(f"{path}.spec", template.spec)


_OBJECT_META_AS: Final = {"uid": "uID"}
"""Where Go's field name with a small first letter is not ours."""


def _image(path: str, source: Any) -> Iterator[FieldError]:
    yield from validate_pull_policy(f"{path}.pullPolicy", source.pullPolicy)


_FORBIDDEN_AS: Final = {"downwardAPI": "downwarAPI", "cephfs": "cephFS"}
"""Kubernetes' own spelling where a second type is refused."""

_TYPES: Final[Mapping[str, tuple[str, Validator]]] = {
    "emptyDir": ("emptyDir", _empty_dir),
    "hostPath": ("hostPath", validate_host_path),
    "gitRepo": ("gitRepo", legacy_volumes.git_repo),
    "gcePersistentDisk": ("persistentDisk", legacy_volumes.gce_disk),
    "awsElasticBlockStore": ("awsElasticBlockStore", legacy_volumes.aws_disk),
    "secret": ("secret", _secret),
    "nfs": ("nfs", validate_nfs),
    "iscsi": ("iscsi", legacy_volumes.iscsi),
    "glusterfs": ("glusterfs", legacy_volumes.glusterfs),
    "flocker": ("flocker", legacy_volumes.flocker),
    "persistentVolumeClaim": ("persistentVolumeClaim", _claim),
    "rbd": ("rbd", legacy_volumes.rbd),
    "cinder": ("cinder", legacy_volumes.cinder),
    "cephfs": ("cephfs", legacy_volumes.cephfs),
    "quobyte": ("quobyte", legacy_volumes.quobyte),
    "downwardAPI": ("downwardAPI", validate_downward_api),
    "fc": ("fc", legacy_volumes.fc),
    "flexVolume": ("flexVolume", legacy_volumes.flex_volume),
    "configMap": ("configMap", _config_map),
    "azureFile": ("azureFile", legacy_volumes.azure_file),
    "vsphereVolume": ("vsphereVolume", legacy_volumes.vsphere),
    "photonPersistentDisk": ("photonPersistentDisk", legacy_volumes.photon),
    "portworxVolume": ("portworxVolume", legacy_volumes.portworx),
    "azureDisk": ("azureDisk", legacy_volumes.azure_disk),
    "storageos": ("storageos", legacy_volumes.storageos),
    "projected": ("projected", validate_projected),
    "scaleIO": ("scaleIO", legacy_volumes.scale_io),
    "csi": ("csi", _csi),
    "ephemeral": ("ephemeral", _ephemeral),
    "image": ("image", _image),
}
"""Field → (the name that its errors carry, its rules), in the order in which Kubernetes looks at them."""
