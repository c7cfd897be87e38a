"""Fills ClusterRoles that have an aggregationRule (admin, edit, view) with the rules of the ClusterRoles that it selects.

https://kubernetes.io/docs/reference/access-authn-authz/rbac/#aggregated-clusterroles
"""
from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import msgspec

from kubelet_lite.api import selectors
from kubelet_lite.api.rbac_v1 import ClusterRole, PolicyRule
from kubelet_lite.client.cache import Change, Informers
from kubelet_lite.controllers.base import NOTHING, Controller, Enqueue, Failure, Key, Plan, Update, key_of, on_change


class View(msgspec.Struct, frozen=True):
    """A role that gathers rules, and all roles in the order of their names."""

    role: ClusterRole
    roles: tuple[ClusterRole, ...]


class ClusterRoleAggregation(Controller[View]):
    name = "clusterrole-aggregation-controller"

    def __init__(self, informers: Informers) -> None:
        self.primary = informers.of(ClusterRole)

    def informers(self) -> Sequence[Any]:
        return (self.primary,)

    def connect(self, enqueue: Enqueue) -> None:
        on_change(self.primary, self._gathering, enqueue)

    def _gathering(self, change: Change[ClusterRole]) -> Iterator[Key]:
        """Whichever role changes, each that gathers may have to."""
        yield from (key_of(role) for role in self.primary.list() if role.aggregationRule is not None)

    def view(self, key: Key, failures: Sequence[Failure]) -> View | None:
        role = self.primary.get(key.name)
        if role is None or role.aggregationRule is None:
            return None
        return View(role, tuple(sorted(self.primary.list(), key=lambda r: r.metadata.name)))

    def plan(self, view: View, now: float) -> Plan:
        return plan(view)


def plan(view: View) -> Plan:
    rules = aggregated(view.role, view.roles)
    if rules == tuple(view.role.rules):
        return NOTHING
    return Plan((Update(object=msgspec.structs.replace(view.role, rules=rules)),))


def aggregated(role: ClusterRole, roles: Sequence[ClusterRole]) -> tuple[PolicyRule, ...]:
    """The rules of all selected roles, each once, in the order of selectors and names. One that gathers rules itself counts with those
    that it will have: so each role is written once, however long the chain."""
    return tuple(_gathered(role, roles, {}))


def _gathered(role: ClusterRole, roles: Sequence[ClusterRole], begun: dict[str, Iterable[PolicyRule]]) -> Iterable[PolicyRule]:
    """`begun`: what has been found for roles that gather. In a circle the rules that a role has now stand for those it will have."""
    if role.aggregationRule is None:
        return role.rules
    known = begun.get(role.metadata.name)
    if known is not None:
        return known
    begun[role.metadata.name] = role.rules
    found: dict[PolicyRule, None] = {}
    for selector in role.aggregationRule.clusterRoleSelectors:
        matcher = selectors.from_label_selector(selector)
        for other in roles:
            if other.metadata.name != role.metadata.name and matcher.matches(other.metadata.labels):
                found.update(dict.fromkeys(_gathered(other, roles, begun)))
    begun[role.metadata.name] = found
    return found
