"""The admission chain: built-in plug-ins in Kubernetes' order, a file each; those that change objects run before validation.

The registry calls `mutate` after defaulting and before validation, `validate` after validation and before the object is stored.
A plug-in that refuses raises an ApiError; one that warns appends to the context's warnings.
https://kubernetes.io/docs/reference/access-authn-authz/admission-controllers/
"""
from __future__ import annotations

from typing import Any, Final

from kubelet_lite.registry.admission import (
    certificates,
    default_classes,
    default_toleration_seconds,
    device_admin_access,
    limit_ranger,
    namespace_lifecycle,
    node_restriction,
    persistent_volume_claim_resize,
    pod_security,
    pod_topology_labels,
    priority,
    rbac_escalation,
    resource_quota,
    runtime_class,
    service_account,
    storage_object_in_use_protection,
    taint_nodes_by_condition,
)
from kubelet_lite.registry.admission.plugin import Mutate, Operation, Plugin, Review, Validate, World

PLUGINS: Final[tuple[Plugin, ...]] = (
    namespace_lifecycle.PLUGIN,
    limit_ranger.PLUGIN,
    service_account.PLUGIN,
    node_restriction.PLUGIN,
    taint_nodes_by_condition.PLUGIN,
    pod_security.PLUGIN,
    pod_topology_labels.PLUGIN,
    priority.PODS,
    priority.CLASS_RULES,
    default_toleration_seconds.PLUGIN,
    default_classes.STORAGE,
    storage_object_in_use_protection.PLUGIN,
    persistent_volume_claim_resize.PLUGIN,
    runtime_class.PLUGIN,
    device_admin_access.PLUGIN,
    certificates.REQUESTER,
    certificates.APPROVAL,
    certificates.SIGNING,
    certificates.SUBJECT,
    default_classes.INGRESS,
    rbac_escalation.ROLES,
    rbac_escalation.BINDINGS,
    resource_quota.PLUGIN,
)
"""In the order in which they run."""


class Admission:
    """Synchronous: what a plug-in read still holds when the object is stored, as long as nothing is awaited in between."""

    def __init__(self, world: World, plugins: tuple[Plugin, ...] = PLUGINS) -> None:
        self._world = world
        self._plugins = plugins
        self._mutating: dict[tuple[str, str, str], tuple[Mutate, ...]] = {}
        self._validating: dict[tuple[str, str, str], tuple[Validate, ...]] = {}

    def mutate(self, new: Any, review: Review) -> Any:
        """The object as the plug-ins want it. Not called for deletes."""
        key = (review.resource.qualified, review.subresource, review.operation)
        steps = self._mutating.get(key)
        if steps is None:
            steps = self._mutating[key] = tuple(p.mutate for p in self._concerned(*key) if p.mutate is not None)
        for step in steps:
            new = step(new, review, self._world)
        return new

    def validate(self, new: Any, review: Review) -> None:
        """Raises an ApiError when a plug-in refuses. For a delete `new` is None."""
        key = (review.resource.qualified, review.subresource, review.operation)
        steps = self._validating.get(key)
        if steps is None:
            steps = self._validating[key] = tuple(p.validate for p in self._concerned(*key) if p.validate is not None)
        for step in steps:
            step(new, review, self._world)

    def _concerned(self, resource: str, subresource: str, operation: Operation) -> list[Plugin]:
        return [plugin for plugin in self._plugins if plugin.handles(resource, subresource, operation)]
