"""NamespaceLifecycle: nothing is created in a namespace that is absent or terminating, and the system's own are not deleted.

https://kubernetes.io/docs/reference/access-authn-authz/admission-controllers/#namespacelifecycle
"""
from __future__ import annotations

from typing import Any, Final

from kubelet_lite.api.errors import Cause, NotFound
from kubelet_lite.registry.admission.plugin import Operation, Plugin, Review, World

IMMORTAL: Final = ("default", "kube-node-lease", "kube-public", "kube-system")
_REVIEWS: Final = ("localsubjectaccessreviews.authorization.k8s.io",)


def _handles(resource: str, subresource: str, operation: Operation) -> bool:
    return operation in ("CREATE", "DELETE") and resource not in _REVIEWS


def _mutate(new: Any, review: Review, world: World) -> Any:
    if review.operation != "CREATE" or not review.resource.namespaced:
        return new
    namespace = world.view.get("namespaces", "", review.namespace)
    if namespace is None:
        raise NotFound.of("", "namespaces", review.namespace)
    if namespace.status.phase == "Terminating" or namespace.metadata.deletionTimestamp:
        error = review.forbidden(f"unable to create new content in namespace {review.namespace} because it is being terminated", new)
        message = f"namespace {review.namespace} is being terminated"
        error.causes = (Cause(reason="NamespaceTerminating", message=message, field="metadata.namespace"),)
        raise error
    return new


def _validate(new: Any, review: Review, world: World) -> None:
    if review.operation == "DELETE" and review.resource.qualified == "namespaces" and review.name in IMMORTAL:
        raise review.forbidden("this namespace may not be deleted")


PLUGIN: Final = Plugin(name="NamespaceLifecycle", handles=_handles, mutate=_mutate, validate=_validate)
