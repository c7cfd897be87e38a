"""Nobody grants what they do not have: a role or binding may hold only permissions that its writer has, or may `escalate` or `bind`.

https://kubernetes.io/docs/reference/access-authn-authz/rbac/#privilege-escalation-prevention-and-bootstrapping
"""
from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from msgspec.structs import replace

from kubelet_lite.api.errors import NotFound
from kubelet_lite.api.identity import MASTERS
from kubelet_lite.api.rbac_v1 import ClusterRole, PolicyRule, RoleRef
from kubelet_lite.registry.admission.plugin import Plugin, Review, World, on
from kubelet_lite.registry.authorization import rbac
from kubelet_lite.registry.authorization.attributes import Attributes, quoted

_EVERYTHING: Final = (
    PolicyRule(verbs=("*",), apiGroups=("*",), resources=("*",)),
    PolicyRule(verbs=("*",), nonResourceURLs=("*",)),
)


def _role(new: Any, review: Review, world: World) -> Any:
    if _exempt(new, review) or _may(review, world, "escalate", review.resource.plural, review.name or new.metadata.name):
        return new
    _confirm(new, new.rules, review, world)
    if isinstance(new, ClusterRole) and new.aggregationRule is not None and new.aggregationRule.clusterRoleSelectors:
        owned, _ = world.authorizer.rbac.rules_for(review.identity, "")
        if rbac.missing(owned, _EVERYTHING):
            raise review.forbidden("must have cluster-admin privileges to use the aggregationRule", new)
    return new


def _binding(new: Any, review: Review, world: World) -> Any:
    reference: RoleRef = new.roleRef
    plural = "roles" if reference.kind == "Role" else "clusterroles"
    if _exempt(new, review) or _may(review, world, "bind", plural, reference.name):
        return new
    try:
        rules = world.authorizer.rbac.rules_of(reference, review.namespace)
    except rbac.RoleNotFound as error:
        raise NotFound.of(rbac.GROUP, plural, error.name) from error
    _confirm(new, rules, review, world)
    return new


def _exempt(new: Any, review: Review) -> bool:
    return MASTERS in review.identity.groups or (review.operation == "UPDATE" and _only_references_changed(new, review.old))


def _only_references_changed(new: Any, old: Any) -> bool:
    """Whether the update is one that the garbage collector makes: owner references and finalizers alone."""
    metadata = replace(
        new.metadata, ownerReferences=old.metadata.ownerReferences, finalizers=old.metadata.finalizers,
        managedFields=old.metadata.managedFields, resourceVersion=old.metadata.resourceVersion,
    )
    return bool(replace(new, metadata=metadata) == old)


def _may(review: Review, world: World, verb: str, plural: str, name: str) -> bool:
    attributes = Attributes(verb=verb, group=rbac.GROUP, version="*", resource=plural, namespace=review.namespace, name=name)
    return world.authorizer.authorize(review.identity, attributes).allowed


def _confirm(new: Any, wanted: Iterable[PolicyRule], review: Review, world: World) -> None:
    identity = review.identity
    owned, errors = world.authorizer.rbac.rules_for(identity, review.namespace)
    missing = rbac.missing(owned, wanted)
    if not missing:
        return
    lines = sorted({rbac.describe_rule(rule) for rule in rbac.compact(missing)})
    text = (
        f"user {quoted(identity.name)} (groups={rbac.quoted_list(identity.groups)}) is attempting to grant RBAC permissions not currently held:\n"
        + "\n".join(lines)
    )
    raise review.forbidden(f"{text}; resolution errors: [{' '.join(errors)}]" if errors else text, new)


ROLES: Final = Plugin(name="RoleEscalation", handles=on((rbac.ROLES, rbac.CLUSTER_ROLES), "CREATE", "UPDATE"), mutate=_role)
BINDINGS: Final = Plugin(name="BindingEscalation", handles=on((rbac.ROLE_BINDINGS, rbac.CLUSTER_ROLE_BINDINGS), "CREATE", "UPDATE"), mutate=_binding)
