"""Where no controller makes ResourceClaims from templates: a pod gets those that it would have."""
from __future__ import annotations

from msgspec.structs import replace

from kubelet_lite.api import claim_rules
from kubelet_lite.api.core_v1 import Pod, PodResourceClaimStatus
from kubelet_lite.api.meta_v1 import ObjectMeta, OwnerReference
from kubelet_lite.api.resource_v1 import ResourceClaim, ResourceClaimTemplate
from kubelet_lite.scheduler.surroundings import Given


def with_claims(pod: Pod, around: Given) -> Pod:
    """The pod as it says which they are; they are put into `around`. Where a template is missing the pod goes without."""
    made = []
    for used in claim_rules.claims_of(pod):
        template = around.get(ResourceClaimTemplate, used.entry.resourceClaimTemplateName or "", pod.metadata.namespace) if used.name is None else None
        if template is not None:
            name = f"{pod.metadata.name}-{used.entry.name}"
            owner = OwnerReference(apiVersion="v1", kind="Pod", name=pod.metadata.name, uid=pod.metadata.uid, controller=True)
            meta = ObjectMeta(name=name, namespace=pod.metadata.namespace, uid=f"claim/{pod.metadata.namespace}/{name}", ownerReferences=(owner,))
            around.add(ResourceClaim(metadata=meta, spec=template.spec.spec))
            made.append(PodResourceClaimStatus(name=used.entry.name, resourceClaimName=name))
    if not made:
        return pod
    return replace(pod, status=replace(pod.status, resourceClaimStatuses=(*pod.status.resourceClaimStatuses, *made)))
