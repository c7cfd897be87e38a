"""Roles: permissions inside one namespace."""
from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from kubelet_lite.api.errors import FieldError
from kubelet_lite.api.rbac_v1 import Role
from kubelet_lite.registry.kinds.ages import name_and_creation
from kubelet_lite.registry.rules import KindRules
from kubelet_lite.registry.validation import rbac
from kubelet_lite.registry.validation.collected import collected


@collected
def _validate(role: Role) -> Iterator[FieldError]:
    yield from rbac.policy_rules(role.rules, namespaced=True)


RULES: Final = KindRules(
    resource="roles.rbac.authorization.k8s.io", validate=_validate, name_errors=rbac.name_errors, create_on_update=True, row=name_and_creation,
)
