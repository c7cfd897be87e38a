"""Role-based access control: which rules a user has, whether they cover a request, and whether they cover other rules.

The bindings are indexed by subject once per change of any role or binding.
https://kubernetes.io/docs/reference/access-authn-authz/rbac/
"""
from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Final

import msgspec

from kubelet_lite.api.identity import Identity
from kubelet_lite.api.rbac_v1 import ClusterRoleBinding, PolicyRule, RoleBinding, RoleRef, Subject
from kubelet_lite.registry.authorization.attributes import Attributes, Decision, quoted
from kubelet_lite.registry.view import View

GROUP: Final = "rbac.authorization.k8s.io"
ROLES: Final = f"roles.{GROUP}"
ROLE_BINDINGS: Final = f"rolebindings.{GROUP}"
CLUSTER_ROLES: Final = f"clusterroles.{GROUP}"
CLUSTER_ROLE_BINDINGS: Final = f"clusterrolebindings.{GROUP}"
MAX_USERS: Final = 8192
"""Users whose grants are remembered, one for each namespace in which they act."""
SERVICE_ACCOUNT_PREFIX: Final = "system:serviceaccount:"


class RoleNotFound(Exception):
    """A binding refers to a role that does not exist: it grants nothing, and the denial says so."""

    def __init__(self, qualified: str, name: str) -> None:
        super().__init__(f"{qualified} {quoted(name)} not found")
        self.qualified = qualified
        self.name = name


class Grant(msgspec.Struct, frozen=True):
    """One binding as it reaches one of its subjects. `namespace` "" is everywhere."""

    namespace: str
    binding: ClusterRoleBinding | RoleBinding
    description: str
    """What a decision that rests on it says."""


def _grant(namespace: str, binding: ClusterRoleBinding | RoleBinding, subject: Subject) -> Grant:
    kind, name = "ClusterRoleBinding", binding.metadata.name
    if namespace:
        kind, name = "RoleBinding", f"{name}/{namespace}"
    whom = subject.name
    if subject.kind == "ServiceAccount":
        whom = f"{whom}/{subject.namespace or namespace}"
    reference = binding.roleRef
    description = f"{kind} {quoted(name)} of {reference.kind} {quoted(reference.name)} to {subject.kind} {quoted(whom)}"
    return Grant(namespace, binding, description)


class _Index:
    """All grants by what is granted to: `user:NAME` or `group:NAME`; cluster-wide first, each in the order of names."""

    def __init__(self, view: View) -> None:
        self._by_subject: dict[str, list[tuple[str, ClusterRoleBinding | RoleBinding, Subject]]] = {}
        """What becomes of each Grant once somebody asks for it."""
        self._found: dict[tuple[str, tuple[str, ...], str], Sequence[Grant]] = {}
        """What was asked for: by user, groups and namespace."""
        for binding in view.list(CLUSTER_ROLE_BINDINGS):
            self._add(binding, "")
        for binding in view.list(ROLE_BINDINGS):
            self._add(binding, binding.metadata.namespace)

    def _add(self, binding: ClusterRoleBinding | RoleBinding, namespace: str) -> None:
        for subject in binding.subjects:
            key = _subject_key(subject, namespace)
            if key:
                self._by_subject.setdefault(key, []).append((namespace, binding, subject))

    def of(self, identity: Identity, namespace: str) -> Sequence[Grant]:
        """What the user has cluster-wide, then what it has in the namespace; each binding once."""
        key = identity.name, identity.groups, namespace
        found = self._found.get(key)
        if found is None:
            if len(self._found) >= MAX_USERS:
                self._found.clear()
            found = self._found[key] = tuple(self._find(identity, namespace))
        return found

    def _find(self, identity: Identity, namespace: str) -> Iterator[Grant]:
        keys = [f"user:{identity.name}", *(f"group:{group}" for group in identity.groups)]
        found = [grants for key in keys if (grants := self._by_subject.get(key))]
        for wanted in ("", namespace) if namespace else ("",):
            seen: set[int] = set()
            for grants in found:
                for where, binding, subject in grants:
                    if where == wanted and id(binding) not in seen:
                        seen.add(id(binding))
                        yield _grant(where, binding, subject)


def _subject_key(subject: Subject, namespace: str) -> str:
    if subject.kind == "User":
        return f"user:{subject.name}"
    if subject.kind == "Group":
        return f"group:{subject.name}"
    if subject.kind == "ServiceAccount" and (subject.namespace or namespace):
        return f"user:{SERVICE_ACCOUNT_PREFIX}{subject.namespace or namespace}:{subject.name}"
    return ""


class RbacAuthorizer:
    """Answers from the store's present snapshot."""

    def __init__(self, view: View) -> None:
        self._view = view
        self._index: _Index | None = None
        self._bindings_version: tuple[int, int] = (-1, -1)

    def rules_version(self) -> int:
        """What all decisions depend on: equal versions mean equal decisions."""
        return self._view.changed(ROLES, ROLE_BINDINGS, CLUSTER_ROLES, CLUSTER_ROLE_BINDINGS)

    def authorize(self, identity: Identity, attributes: Attributes) -> Decision:
        errors: list[str] = []
        for grant in self._grants().of(identity, attributes.namespace):
            try:
                rules = self.rules_of(grant.binding.roleRef, grant.namespace)
            except RoleNotFound as error:
                errors.append(str(error))
                continue
            if any(allows(rule, attributes) for rule in rules):
                return Decision(True, f"RBAC: allowed by {grant.description}")
        return Decision(False, f"RBAC: {aggregated(errors)}" if errors else "")

    def rules_of(self, reference: RoleRef, namespace: str) -> tuple[PolicyRule, ...]:
        """A role's rules; RoleNotFound when there is none."""
        if reference.kind == "Role":
            role = self._view.get(ROLES, namespace, reference.name)
            qualified = f"role.{GROUP}"
        else:
            role = self._view.get(CLUSTER_ROLES, "", reference.name)
            qualified = f"clusterrole.{GROUP}"
        if role is None:
            raise RoleNotFound(qualified, reference.name)
        rules: tuple[PolicyRule, ...] = role.rules
        return rules

    def rules_for(self, identity: Identity, namespace: str) -> tuple[list[PolicyRule], list[str]]:
        """All rules of a user in a namespace, and what could not be resolved."""
        rules: list[PolicyRule] = []
        errors: list[str] = []
        for grant in self._grants().of(identity, namespace):
            try:
                rules += self.rules_of(grant.binding.roleRef, grant.namespace)
            except RoleNotFound as error:
                errors.append(str(error))
        return rules, errors

    def _grants(self) -> _Index:
        version = (self._view.changed(CLUSTER_ROLE_BINDINGS), self._view.changed(ROLE_BINDINGS))
        if self._index is None or version != self._bindings_version:
            self._index = _Index(self._view)
            self._bindings_version = version
        return self._index


def aggregated(errors: Iterable[str]) -> str:
    """Several errors as Go's aggregate shows them: each once, in brackets when there is more than one."""
    unique = list(dict.fromkeys(errors))
    return unique[0] if len(unique) == 1 else f"[{', '.join(unique)}]"


# ---- one rule and one request


def allows(rule: PolicyRule, attributes: Attributes) -> bool:
    """Whether a rule covers a request."""
    if not _has(rule.verbs, attributes.verb):
        return False
    if not attributes.resource:
        return any(_url_covers(url, attributes.path) for url in rule.nonResourceURLs)
    if not _has(rule.apiGroups, attributes.group) or not _resource_matches(rule.resources, attributes.resource, attributes.subresource):
        return False
    return not rule.resourceNames or attributes.name in rule.resourceNames


def _has(values: tuple[str, ...], wanted: str) -> bool:
    return "*" in values or wanted in values


def _resource_matches(resources: tuple[str, ...], resource: str, subresource: str) -> bool:
    combined = f"{resource}/{subresource}" if subresource else resource
    if "*" in resources or combined in resources:
        return True
    return bool(subresource) and f"*/{subresource}" in resources


def _url_covers(owned: str, path: str) -> bool:
    return owned == "*" or owned == path or (owned.endswith("*") and path.startswith(owned.rstrip("*")))


# ---- rules against rules


def breakdown(rule: PolicyRule) -> Iterator[PolicyRule]:
    """A rule as rules that each grant one verb on one thing."""
    for group in rule.apiGroups:
        for resource in rule.resources:
            for verb in rule.verbs:
                for name in rule.resourceNames or ("",):
                    yield PolicyRule(apiGroups=(group,), resources=(resource,), verbs=(verb,), resourceNames=(name,) if name else ())
    for url in rule.nonResourceURLs:
        for verb in rule.verbs:
            yield PolicyRule(nonResourceURLs=(url,), verbs=(verb,))


def missing(owned: Iterable[PolicyRule], wanted: Iterable[PolicyRule]) -> list[PolicyRule]:
    """The parts of `wanted` that no rule of `owned` covers."""
    owners = list(owned)
    return [part for rule in wanted for part in breakdown(rule) if not any(_covers(owner, part) for owner in owners)]


def _covers(owner: PolicyRule, part: PolicyRule) -> bool:
    if "*" not in owner.verbs and not all(verb in owner.verbs for verb in part.verbs):
        return False
    if part.nonResourceURLs:
        return all(any(_url_covers(url, wanted) for url in owner.nonResourceURLs) for wanted in part.nonResourceURLs)
    if "*" not in owner.apiGroups and not all(group in owner.apiGroups for group in part.apiGroups):
        return False
    if not all(_resource_covers(owner.resources, resource) for resource in part.resources):
        return False
    return not owner.resourceNames or (bool(part.resourceNames) and all(name in owner.resourceNames for name in part.resourceNames))


def _resource_covers(owned: tuple[str, ...], resource: str) -> bool:
    if "*" in owned or resource in owned:
        return True
    _, slash, subresource = resource.partition("/")
    return bool(slash) and f"*/{subresource}" in owned


def compact(rules: Iterable[PolicyRule]) -> list[PolicyRule]:
    """Rules that differ in nothing but verbs become one; those that name more than one thing come first, as they are."""
    complex_rules: list[PolicyRule] = []
    simple: dict[Any, PolicyRule] = {}
    for rule in rules:
        if len(rule.apiGroups) != 1 or len(rule.resources) != 1 or rule.nonResourceURLs or len(rule.resourceNames) > 1:
            complex_rules.append(rule)
            continue
        key = (rule.apiGroups, rule.resources, rule.resourceNames)
        known = simple.get(key)
        if known is None:
            simple[key] = rule
        else:
            simple[key] = msgspec.structs.replace(known, verbs=tuple(dict.fromkeys((*known.verbs, *rule.verbs))))
    return [*complex_rules, *simple.values()]


def describe_rule(rule: PolicyRule) -> str:
    """A rule as escalation messages show it."""
    parts = [("APIGroups", rule.apiGroups), ("Resources", rule.resources), ("NonResourceURLs", rule.nonResourceURLs),
             ("ResourceNames", rule.resourceNames), ("Verbs", rule.verbs)]
    return "{" + ", ".join(f"{name}:{quoted_list(values)}" for name, values in parts if values) + "}"


def quoted_list(values: Iterable[str]) -> str:
    """A list of strings as Go's %q shows it."""
    return "[" + " ".join(quoted(value) for value in values) + "]"
