"""Whether a pod's ResourceClaims are ready for it: reserved for the pod, with devices that a driver of the node prepares.

https://kubernetes.io/docs/concepts/resource-management/dynamic-resource-allocation/
"""
from __future__ import annotations

from collections.abc import Mapping

from kubelet_lite.api import claim_rules
from kubelet_lite.api.core_v1 import Pod
from kubelet_lite.api.resource_v1 import ResourceClaim


def problem(pod: Pod, claims: Mapping[str, ResourceClaim | str], *, has_drivers: bool) -> str:
    """Why the pod must not start; "": nothing. `claims`: by name, or why one could not be read; `has_drivers`: whether the runtime stands
    for the driver of any device. Pure."""
    meta = pod.metadata
    for used in claim_rules.claims_of(pod):
        if used.name is None:
            return claim_rules.not_created(pod)
        claim = claims[used.name]
        if isinstance(claim, str):
            return f"failed to fetch ResourceClaim {used.name} referenced by pod {meta.name}: {claim}"
        if used.generated and (foreign := claim_rules.not_for_pod(claim, pod)):
            return foreign
        if not claim_rules.is_reserved_for(claim, pod):
            return f"pod {meta.name}({meta.uid}) is not allowed to use ResourceClaim {used.name}({claim.metadata.uid})"
        if claim.status.allocation is None:
            return f"ResourceClaim {used.name} is not allocated"
        for result in claim.status.allocation.devices.results:
            if not has_drivers:
                return f"DRA driver {result.driver} is not registered"
    return ""
