"""Fills ClusterRoles that have an aggregationRule (admin, edit, view) with the rules of the ClusterRoles that it selects.

https://kubernetes.io/docs/reference/access-authn-authz/rbac/#aggregated-clusterroles
"""
from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import msgspec

from kubelet_lite.api import selectors
from kubelet_lite.api.encoding import to_json
from kubelet_lite.api.rbac_v1 import ClusterRole, PolicyRule
from kubelet_lite.client.cache import Change, Informers
from kubelet_lite.controllers.base import NOTHING, Controller, Enqueue, Failure, Key, Patch, Plan, key_of, on_change


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
    return Plan((Patch(object=view.role, change={"rules": [to_json(rule) for rule in rules]}, if_unchanged=True),))


def aggregated(role: ClusterRole, roles: Sequence[ClusterRole]) -> tuple[PolicyRule, ...]:
    """The rules of all selected roles, each once, in the order of selectors and names."""
    found: list[PolicyRule] = []
    for selector in role.aggregationRule.clusterRoleSelectors if role.aggregationRule is not None else ():
        matcher = selectors.from_label_selector(selector)
        for other in roles:
            if other.metadata.name != role.metadata.name and matcher.matches(other.metadata.labels):
                found += [rule for rule in other.rules if rule not in found]
    return tuple(found)
