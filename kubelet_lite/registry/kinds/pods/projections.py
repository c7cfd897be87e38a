"""Files made of other objects: keys of ConfigMaps and Secrets, fields of the pod, tokens; alone and in projected volumes.

https://kubernetes.io/docs/concepts/storage/projected-volumes/
"""
from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from kubelet_lite.api import names
from kubelet_lite.api.core_v1 import (
    ClusterTrustBundleProjection,
    DownwardAPIVolumeFile,
    KeyToPath,
    PodCertificateProjection,
    ServiceAccountTokenProjection,
    VolumeProjection,
)
from kubelet_lite.api.errors import FieldError, forbidden, invalid, not_supported, required
from kubelet_lite.registry.kinds.pods.references import VOLUME_FIELDS, validate_field_ref, validate_resource_field_ref
from kubelet_lite.registry.validation.go_values import go_value, wire_value
from kubelet_lite.registry.validation.labels import label_selector
from kubelet_lite.registry.validation.named import each
from kubelet_lite.registry.validation.paths import file_mode, not_reserved
from kubelet_lite.registry.validation.signers import signer_name

SHORTEST_TOKEN_SECONDS: Final = 600
LONGEST_TOKEN_SECONDS: Final = 2 ** 32
KEY_TYPES: Final = ("ECDSAP256", "ECDSAP384", "ECDSAP521", "ED25519", "RSA3072", "RSA4096")
SHORTEST_CERTIFICATE_SECONDS: Final = 3600
LONGEST_CERTIFICATE_SECONDS: Final = 91 * 86400
LONGEST_OWN_CERTIFICATE_SECONDS: Final = 86400
"""Of signers whose names start with kubernetes.io/."""


def validate_key_to_path(path: str, item: KeyToPath) -> Iterator[FieldError]:
    if not item.key:
        yield required(f"{path}.key")
    if not item.path:
        yield required(f"{path}.path")
    yield from not_reserved(f"{path}.path", item.path)
    yield from file_mode(f"{path}.mode", item.mode)


def validate_downward_api(path: str, source: Any) -> Iterator[FieldError]:
    yield from file_mode(f"{path}.defaultMode", source.defaultMode)
    for item in source.items:
        yield from _file(path, item)


def _file(path: str, item: DownwardAPIVolumeFile) -> Iterator[FieldError]:
    """The path is the volume's: Kubernetes does not say which item it was."""
    if not item.path:
        yield required(f"{path}.path")
    yield from not_reserved(f"{path}.path", item.path)
    if item.fieldRef is not None:
        yield from validate_field_ref(f"{path}.fieldRef", item.fieldRef, VOLUME_FIELDS)
        if item.resourceFieldRef is not None:
            yield invalid(path, "resource", "fieldRef and resourceFieldRef can not be specified simultaneously")
    elif item.resourceFieldRef is not None:
        yield from validate_resource_field_ref(f"{path}.resourceFieldRef", item.resourceFieldRef, needs_container=True)
    else:
        yield required(path, "one of fieldRef and resourceFieldRef is required")
    yield from file_mode(f"{path}.mode", item.mode)


def validate_projected(path: str, source: Any) -> Iterator[FieldError]:
    yield from file_mode(f"{path}.defaultMode", source.defaultMode)
    taken: set[str] = set()
    for i, projection in enumerate(source.sources):
        yield from _projection(path, f"{path}.sources[{i}]", projection, taken)


def _projection(volume: str, path: str, projection: VolumeProjection, taken: set[str]) -> Iterator[FieldError]:
    for kind, named in (("secret", projection.secret), ("configMap", projection.configMap)):
        if named is not None:
            if not named.name:
                yield required(f"{path}.{kind}.name")
            for i, item in enumerate(named.items):
                yield from validate_key_to_path(f"{path}.{kind}.items[{i}]", item)
                yield from _unique(volume, item.path, named.name, taken)
    if projection.downwardAPI is not None:
        for file in projection.downwardAPI.items:
            yield from _file(f"{path}.downwardAPI", file)
            yield from _unique(volume, file.path, file.path, taken)
    if projection.serviceAccountToken is not None:
        yield from _token(volume, f"{path}.serviceAccountToken", projection.serviceAccountToken)
    if projection.clusterTrustBundle is not None:
        yield from _trust_bundle(f"{path}.clusterTrustBundle", projection.clusterTrustBundle)
        yield from _unique(volume, projection.clusterTrustBundle.path, projection.clusterTrustBundle.path, taken)
    if projection.podCertificate is not None:
        yield from _certificate(volume, f"{path}.podCertificate", projection.podCertificate, taken)
    if sum(getattr(projection, field) is not None for field in VolumeProjection.__struct_fields__) > 1:
        yield forbidden(path, "may not specify more than 1 volume type per source")


def _unique(volume: str, path: str, shown: str, taken: set[str]) -> Iterator[FieldError]:
    if not path:
        return
    if path in taken:
        yield invalid(volume, shown, "conflicting duplicate paths")
    taken.add(path)


def _token(volume: str, path: str, token: ServiceAccountTokenProjection) -> Iterator[FieldError]:
    seconds = token.expirationSeconds or 0
    if seconds < SHORTEST_TOKEN_SECONDS:
        yield invalid(f"{path}.expirationSeconds", seconds, "may not specify a duration less than 10 minutes")
    if seconds > LONGEST_TOKEN_SECONDS:
        yield invalid(f"{path}.expirationSeconds", seconds, "may not specify a duration larger than 2^32 seconds")
    if not token.path:
        yield required(f"{volume}.path")
    else:
        yield from not_reserved(f"{volume}.path", token.path)


def _trust_bundle(path: str, bundle: ClusterTrustBundleProjection) -> Iterator[FieldError]:
    if bundle.name is not None and bundle.signerName is not None:
        yield invalid(path, go_value(bundle), "only one of name and signerName may be used")
    elif bundle.name is not None:
        if not bundle.name:
            yield required(f"{path}.name", "must be a valid object name")
        for message in names.dns1123_subdomain(bundle.name.rpartition(":")[2]):
            yield invalid(f"{path}.name", bundle.name, f"not a valid clustertrustbundlename: {message}")
        if bundle.labelSelector is not None:
            yield invalid(f"{path}.labelSelector", wire_value(bundle.labelSelector), "labelSelector must be unset if name is specified")
    elif bundle.signerName is not None:
        if not bundle.signerName:
            yield required(f"{path}.signerName", "must be a valid signer name")
        yield from signer_name(f"{path}.signerName", bundle.signerName)
        yield from label_selector(f"{path}.labelSelector", bundle.labelSelector)
    else:
        yield required(path, "either name or signerName must be specified")
    if not bundle.path:
        yield required(f"{path}.path")
    yield from not_reserved(f"{path}.path", bundle.path)


def _certificate(volume: str, path: str, certificate: PodCertificateProjection, taken: set[str]) -> Iterator[FieldError]:
    yield from signer_name(f"{path}.signerName", certificate.signerName)
    if certificate.keyType not in KEY_TYPES:
        yield not_supported(f"{path}.keyType", certificate.keyType, KEY_TYPES)
    seconds = certificate.maxExpirationSeconds
    if seconds is not None:
        own = certificate.signerName.startswith("kubernetes.io/")
        longest = LONGEST_OWN_CERTIFICATE_SECONDS if own else LONGEST_CERTIFICATE_SECONDS
        if not SHORTEST_CERTIFICATE_SECONDS <= seconds <= longest:
            yield invalid(f"{path}.maxExpirationSeconds", seconds,
                          f"if provided, maxExpirationSeconds must be >= {SHORTEST_CERTIFICATE_SECONDS} and <= {longest}")
    files = (certificate.credentialBundlePath, certificate.keyPath, certificate.certificateChainPath)
    if not any(files):
        yield required(path, "specify at least one of credentialBundlePath, keyPath, and certificateChainPath")
    for field, file in zip(("credentialBundlePath", "keyPath", "certificateChainPath"), files, strict=True):
        if file:
            yield from not_reserved(f"{path}.{field}", file)
            yield from _unique(volume, file, file, taken)
    for key in sorted(certificate.userAnnotations):
        yield from each(f"{path}.userAnnotations", key, names.domain_prefixed_key(key))
