"""What scheduler, kubelet and controllers must agree on about ResourceClaims: which one a pod uses, and who may use it.

https://kubernetes.io/docs/concepts/resource-management/dynamic-resource-allocation/
"""
from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

import msgspec

from kubelet_lite.api.core_v1 import Pod, PodResourceClaim
from kubelet_lite.api.resource_v1 import (
    DeviceRequest,
    DeviceSubRequest,
    DeviceTaint,
    DeviceToleration,
    ExactDeviceRequest,
    ResourceClaim,
    ResourceClaimConsumerReference,
)
from kubelet_lite.api.scheduling_rules import FINISHED

DELETE_PROTECTION: Final = "resource.kubernetes.io/delete-protection"
"""The finalizer of a claim that has devices."""
POD_CLAIM_NAME: Final = "resource.kubernetes.io/pod-claim-name"
"""On a claim that was made for a pod: the name that the pod's spec gives it."""
MOST_CONSUMERS: Final = 256
Alternative = ExactDeviceRequest | DeviceSubRequest


class Used(msgspec.Struct, frozen=True):
    """A claim as a pod's spec names it."""

    entry: PodResourceClaim
    name: str | None
    """Of the ResourceClaim; None: it has not been made yet."""
    generated: bool
    """Whether it is made for this pod from a template, and must belong to it."""


def claims_of(pod: Pod) -> Iterator[Used]:
    """Those that it uses; where nothing was generated for an entry, on purpose, there is none."""
    for entry in pod.spec.resourceClaims:
        if entry.resourceClaimName is not None:
            yield Used(entry, entry.resourceClaimName, False)
            continue
        status = next((status for status in pod.status.resourceClaimStatuses if status.name == entry.name), None)
        if status is None:
            yield Used(entry, None, True)
        elif status.resourceClaimName is not None:
            yield Used(entry, status.resourceClaimName, True)


def not_for_pod(claim: ResourceClaim, pod: Pod) -> str:
    """Why a generated claim is not the pod's; "": it is."""
    a, b = claim.metadata, pod.metadata
    if a.namespace == b.namespace and any(r.controller and r.uid == b.uid for r in a.ownerReferences):
        return ""
    return f"ResourceClaim {shown(claim)} was not created for pod {b.namespace}/{b.name} (pod is not owner)"


def not_created(pod: Pod) -> str:
    """What is said of a pod that waits for a claim to be made."""
    return f'pod "{pod.metadata.namespace}/{pod.metadata.name}": ResourceClaim not created yet'


def shown(claim: ResourceClaim) -> str:
    """A claim in a message."""
    return f"{claim.metadata.namespace}/{claim.metadata.name}"


def consumer(pod: Pod) -> ResourceClaimConsumerReference:
    return ResourceClaimConsumerReference(resource="pods", name=pod.metadata.name, uid=pod.metadata.uid)


def is_reserved_for(claim: ResourceClaim, pod: Pod) -> bool:
    return any(reference.uid == pod.metadata.uid for reference in claim.status.reservedFor)


def can_be_reserved(claim: ResourceClaim) -> bool:
    """Whether one more may use it."""
    return len(claim.status.reservedFor) < MOST_CONSUMERS


def is_done(pod: Pod) -> bool:
    """Whether none of its containers runs, nor ever will."""
    return pod.status.phase in FINISHED or (pod.metadata.deletionTimestamp is not None and not pod.spec.nodeName)


def alternatives(request: DeviceRequest) -> Iterator[tuple[str, Alternative]]:
    """What a request may be satisfied by, the best first, each with its name in results."""
    if request.exactly is not None:
        yield request.name, request.exactly
    for sub in request.firstAvailable:
        yield f"{request.name}/{sub.name}", sub


def tolerates(tolerations: Iterable[DeviceToleration], taint: DeviceTaint) -> bool:
    return any(
        (not toleration.effect or toleration.effect == taint.effect)
        and (not toleration.key or toleration.key == taint.key)
        and (toleration.operator == "Exists" or (toleration.operator in ("", "Equal") and toleration.value == taint.value))
        for toleration in tolerations
    )
