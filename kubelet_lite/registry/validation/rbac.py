"""What roles and bindings have in common. https://kubernetes.io/docs/reference/access-authn-authz/rbac/"""
from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from msgspec.structs import replace

from kubelet_lite.api import names
from kubelet_lite.api.errors import FieldError, invalid, not_supported, required
from kubelet_lite.api.rbac_v1 import ClusterRoleBinding, PolicyRule, RoleBinding, RoleRef, Subject

GROUP: Final = "rbac.authorization.k8s.io"
name_errors: Final = names.path_segment_name_or_prefix


def policy_rules(rules: Sequence[PolicyRule], namespaced: bool) -> Iterator[FieldError]:
    for i, rule in enumerate(rules):
        yield from _policy_rule(f"rules[{i}]", rule, namespaced)


def _policy_rule(path: str, rule: PolicyRule, namespaced: bool) -> Iterator[FieldError]:
    if not rule.verbs:
        yield required(f"{path}.verbs", "verbs must contain at least one value")
    if rule.nonResourceURLs:
        if namespaced:
            yield invalid(f"{path}.nonResourceURLs", rule.nonResourceURLs, "namespaced rules cannot apply to non-resource URLs")
        if rule.apiGroups or rule.resources or rule.resourceNames:
            yield invalid(f"{path}.nonResourceURLs", rule.nonResourceURLs, "rules cannot apply to both regular resources and non-resource URLs")
        return
    if not rule.apiGroups:
        yield required(f"{path}.apiGroups", "resource rules must supply at least one api group")
    if not rule.resources:
        yield required(f"{path}.resources", "resource rules must supply at least one resource")


def default_role_ref(reference: RoleRef) -> RoleRef:
    return reference if reference.apiGroup else replace(reference, apiGroup=GROUP)


def default_subjects(subjects: tuple[Subject, ...]) -> tuple[Subject, ...]:
    return tuple(_default_subject(subject) for subject in subjects)


def _default_subject(subject: Subject) -> Subject:
    if subject.apiGroup or subject.kind not in ("User", "Group"):
        return subject
    return replace(subject, apiGroup=GROUP)


def role_ref(reference: RoleRef, kinds: Sequence[str]) -> Iterator[FieldError]:
    if reference.apiGroup != GROUP:
        yield not_supported("roleRef.apiGroup", reference.apiGroup, [GROUP])
    if reference.kind not in kinds:
        yield not_supported("roleRef.kind", reference.kind, kinds)
    if not reference.name:
        yield required("roleRef.name")
    for message in names.path_segment_name(reference.name):
        yield invalid("roleRef.name", reference.name, message)


def subjects(bound: Sequence[Subject], namespaced: bool) -> Iterator[FieldError]:
    for i, subject in enumerate(bound):
        yield from _subject(f"subjects[{i}]", subject, namespaced)


def _subject(path: str, subject: Subject, namespaced: bool) -> Iterator[FieldError]:
    if not subject.name:
        yield required(f"{path}.name")
    match subject.kind:
        case "ServiceAccount":
            if subject.name:
                for message in names.dns1123_subdomain(subject.name):
                    yield invalid(f"{path}.name", subject.name, message)
            if subject.apiGroup:
                yield not_supported(f"{path}.apiGroup", subject.apiGroup, [""])
            if not namespaced and not subject.namespace:
                yield required(f"{path}.namespace")
        case "User" | "Group":
            if subject.apiGroup != GROUP:
                yield not_supported(f"{path}.apiGroup", subject.apiGroup, [GROUP])
        case _:
            yield not_supported(f"{path}.kind", subject.kind, ["ServiceAccount", "User", "Group"])


def same_role(new: RoleRef, old: RoleRef) -> Iterator[FieldError]:
    if new != old:
        shown = {"APIGroup": new.apiGroup, "Kind": new.kind, "Name": new.name}
        yield invalid("roleRef", shown, "cannot change roleRef")


def binding_row(binding: RoleBinding | ClusterRoleBinding, age: str) -> Sequence[str]:
    """Name, role, age, and who is bound, by kind of subject."""
    users = [s.name for s in binding.subjects if s.kind == "User"]
    groups = [s.name for s in binding.subjects if s.kind == "Group"]
    accounts = [f"{s.namespace}/{s.name}" for s in binding.subjects if s.kind == "ServiceAccount"]
    role = f"{binding.roleRef.kind}/{binding.roleRef.name}"
    return binding.metadata.name, role, age, ", ".join(users), ", ".join(groups), ", ".join(accounts)
