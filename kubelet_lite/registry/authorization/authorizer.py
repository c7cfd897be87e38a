"""The authorization chain of the cluster: system:masters, then Node, then RBAC; the first that allows wins.

Decisions are remembered until a role or binding changes. https://kubernetes.io/docs/reference/access-authn-authz/authorization/
"""
from __future__ import annotations

from typing import Final

from msgspec.structs import replace

from kubelet_lite.api.identity import MASTERS, Identity
from kubelet_lite.registry.authorization.attributes import Attributes, Decision, forbidden
from kubelet_lite.registry.authorization.node import NODES_GROUP, NodeAuthorizer
from kubelet_lite.registry.authorization.rbac import RbacAuthorizer
from kubelet_lite.registry.view import View

MAX_CACHED_DECISIONS: Final = 8192
"""Decisions remembered: some hundred users times what each does often. When full, all are forgotten at once."""

ANY_NAME: Final = "\0"
"""No object has this name, no role speaks of it: who may do something to it may do so to all. Remembered once, not once an object."""
_MASTERS_ALLOWED: Final = Decision(True)


class ClusterAuthorizer:
    """Synchronous and pure over the store's present snapshot."""

    def __init__(self, view: View) -> None:
        self.rbac = RbacAuthorizer(view)
        self._node = NodeAuthorizer(view)
        self._decisions: dict[tuple[object, ...], Decision] = {}
        self._rules_of_decisions: object = None

    def authorize(self, identity: Identity, attributes: Attributes) -> Decision:
        if MASTERS in identity.groups:
            return _MASTERS_ALLOWED
        if NODES_GROUP in identity.groups:  # depends on pods, so it is asked anew each time
            return self._ask(identity, attributes)
        rules = self.rbac.rules_version()
        if rules != self._rules_of_decisions or len(self._decisions) >= MAX_CACHED_DECISIONS:
            self._decisions.clear()
            self._rules_of_decisions = rules
        key = (identity.name, identity.groups, attributes)
        decision = self._decisions.get(key)
        if decision is None:
            decision = self._decisions[key] = self._ask(identity, attributes)
        return decision

    def check(self, identity: Identity, attributes: Attributes) -> None:
        """Raises Forbidden for what is not allowed."""
        if MASTERS in identity.groups:
            return
        if attributes.name and NODES_GROUP not in identity.groups and self.authorize(identity, replace(attributes, name=ANY_NAME)).allowed:
            return
        decision = self.authorize(identity, attributes)
        if not decision.allowed:
            raise forbidden(identity, attributes, decision.reason)

    def _ask(self, identity: Identity, attributes: Attributes) -> Decision:
        reasons = []
        for authorizer in (self._node, self.rbac):
            decision = authorizer.authorize(identity, attributes)
            if decision.allowed:
                return decision
            if decision.reason:
                reasons.append(decision.reason)
        return Decision(False, "\n".join(reasons))
