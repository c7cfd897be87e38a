"""Administrative access to devices that others use is asked for only in namespaces whose label allows it.

Kubernetes checks it with the rules of the kind; here it is admission, since it looks at the namespace.
https://kubernetes.io/docs/concepts/resource-management/dynamic-resource-allocation/dra-features/#admin-access
"""
from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from kubelet_lite.api.errors import FieldError, Invalid, forbidden
from kubelet_lite.api.resource_v1 import DeviceClaim, ResourceClaim, ResourceClaimTemplate
from kubelet_lite.registry.admission.plugin import Plugin, Review, World, on

KINDS: Final = ("resourceclaims.resource.k8s.io", "resourceclaimtemplates.resource.k8s.io")
LABEL: Final = "resource.kubernetes.io/admin-access"


def _validate(new: ResourceClaim | ResourceClaimTemplate, review: Review, world: World) -> None:
    path, claim = ("spec.devices", new.spec.devices) if isinstance(new, ResourceClaim) else ("spec.spec.devices", new.spec.spec.devices)
    errors = list(_errors(path, claim))
    if not errors:
        return
    namespace = world.view.get("namespaces", "", review.namespace)
    if namespace is None or namespace.metadata.labels.get(LABEL) != "true":
        raise Invalid.of(review.resource.group, review.resource.kind, new.metadata.name or new.metadata.generateName, errors)


def _errors(path: str, claim: DeviceClaim) -> Iterator[FieldError]:
    for i, request in enumerate(claim.requests):
        if request.exactly is not None and request.exactly.adminAccess:
            text = f"admin access to devices requires the `{LABEL}: true` label on the containing namespace"
            yield forbidden(f"{path}.requests[{i}].exactly.adminAccess", text)


PLUGIN: Final = Plugin(name="DeviceAdminAccess", handles=on(KINDS, "CREATE"), validate=_validate)
