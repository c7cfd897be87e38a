"""CSIDrivers. https://kubernetes.io/docs/reference/kubernetes-api/config-and-storage-resources/csi-driver-v1/"""
from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Final

from msgspec.structs import replace

from kubelet_lite.api.errors import FieldError, duplicate, invalid, not_supported, required
from kubelet_lite.api.storage_v1 import CSIDriver, TokenRequest
from kubelet_lite.registry.kinds.ages import NONE, age
from kubelet_lite.registry.rules import KindRules
from kubelet_lite.registry.validation.collected import collected
from kubelet_lite.registry.validation.numbers import IMMUTABLE

GROUP_POLICIES: Final = ("File", "None", "ReadWriteOnceWithFSType")
LIFECYCLE_MODES: Final = ("Persistent", "Ephemeral")
LEAST_TOKEN_SECONDS: Final = 10 * 60
MOST_TOKEN_SECONDS: Final = 1 << 32
LEAST_UPDATE_SECONDS: Final = 10
_TOKENS_IN_ATTRIBUTES: Final = ("spec.serviceAccountTokenInSecrets is unset; if supported by this CSI driver, set to true to prevent possible "
                                "logging of tokens in volume attributes")


def _default(driver: CSIDriver) -> CSIDriver:
    spec = driver.spec
    return replace(driver, spec=replace(
        spec, attachRequired=True if spec.attachRequired is None else spec.attachRequired, podInfoOnMount=bool(spec.podInfoOnMount),
        storageCapacity=bool(spec.storageCapacity), requiresRepublish=bool(spec.requiresRepublish), seLinuxMount=bool(spec.seLinuxMount),
        fsGroupPolicy="ReadWriteOnceWithFSType" if spec.fsGroupPolicy is None else spec.fsGroupPolicy,
        volumeLifecycleModes=spec.volumeLifecycleModes or ("Persistent",),
    ))


def _prepare_update(new: CSIDriver, old: CSIDriver) -> CSIDriver:
    """The generation starts with the first change."""
    if new.spec == old.spec:
        return new
    return replace(new, metadata=replace(new.metadata, generation=old.metadata.generation + 1))


@collected
def _validate(driver: CSIDriver) -> Iterator[FieldError]:
    spec = driver.spec
    if spec.fsGroupPolicy not in GROUP_POLICIES:
        yield not_supported("spec.fsGroupPolicy", spec.fsGroupPolicy, GROUP_POLICIES)
    yield from _token_requests(spec.tokenRequests)
    for mode in spec.volumeLifecycleModes:
        if mode not in LIFECYCLE_MODES:
            yield not_supported("spec.volumeLifecycleModes", mode, LIFECYCLE_MODES)
    seconds = spec.nodeAllocatableUpdatePeriodSeconds
    if seconds is not None and seconds < LEAST_UPDATE_SECONDS:
        yield invalid("spec.nodeAllocatableUpdatePeriodSeconds", seconds, f"must be greater than or equal to {LEAST_UPDATE_SECONDS} seconds")
    if spec.serviceAccountTokenInSecrets is not None and not spec.tokenRequests:
        yield invalid("spec.serviceAccountTokenInSecrets", spec.serviceAccountTokenInSecrets, "must be unset when tokenRequests is empty")


def _token_requests(requests: Sequence[TokenRequest]) -> Iterator[FieldError]:
    seen: list[str] = []
    for i, request in enumerate(requests):
        path = f"spec.tokenRequests[{i}]"
        if request.audience in seen:
            yield duplicate(f"{path}.audience", request.audience)
            continue
        seen.append(request.audience)
        seconds = request.expirationSeconds
        if seconds is not None and seconds < LEAST_TOKEN_SECONDS:
            yield invalid(f"{path}.expirationSeconds", seconds, "may not specify a duration less than 10 minutes")
        if seconds is not None and seconds > MOST_TOKEN_SECONDS:
            yield invalid(f"{path}.expirationSeconds", seconds, "may not specify a duration larger than 2^32 seconds")


@collected
def _validate_update(new: CSIDriver, old: CSIDriver) -> Iterator[FieldError]:
    if new.spec.attachRequired is None:
        yield required("spec.attachedRequired")
    if new.spec.attachRequired != old.spec.attachRequired:
        yield invalid("spec.attachedRequired", new.spec.attachRequired, IMMUTABLE)
    if new.spec.volumeLifecycleModes != old.spec.volumeLifecycleModes:
        yield invalid("spec.volumeLifecycleModes", new.spec.volumeLifecycleModes, IMMUTABLE)


def _warnings(new: CSIDriver, old: CSIDriver | None) -> Sequence[str]:
    if not new.spec.tokenRequests or new.spec.serviceAccountTokenInSecrets is not None:
        return ()
    changed = old is None or new.spec.tokenRequests != old.spec.tokenRequests or old.spec.serviceAccountTokenInSecrets is not None
    return (_TOKENS_IN_ATTRIBUTES,) if changed else ()


def _row(driver: CSIDriver, now: float) -> Sequence[Any]:
    spec = driver.spec
    audiences = ",".join(request.audience for request in spec.tokenRequests) if spec.tokenRequests else "<unset>"
    return (
        driver.metadata.name, spec.attachRequired is not False, bool(spec.podInfoOnMount), bool(spec.storageCapacity), audiences,
        bool(spec.requiresRepublish), ",".join(spec.volumeLifecycleModes) or NONE, age(driver, now),
    )


RULES: Final = KindRules(
    resource="csidrivers.storage.k8s.io", default=_default, prepare_update=_prepare_update, validate=_validate, validate_update=_validate_update,
    warnings=_warnings, unconditional_update=False, returns_deleted=True, row=_row,
)
