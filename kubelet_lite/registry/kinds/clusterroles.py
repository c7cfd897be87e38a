"""ClusterRoles: permissions everywhere, perhaps put together from other ClusterRoles."""
from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from kubelet_lite.api.errors import FieldError, invalid, required
from kubelet_lite.api.rbac_v1 import ClusterRole
from kubelet_lite.registry.kinds.ages import name_and_creation
from kubelet_lite.registry.rules import KindRules
from kubelet_lite.registry.validation import rbac
from kubelet_lite.registry.validation.collected import collected
from kubelet_lite.registry.validation.labels import label_selector


@collected
def _validate(role: ClusterRole) -> Iterator[FieldError]:
    yield from rbac.policy_rules(role.rules, namespaced=False)
    if role.aggregationRule is None:
        return
    path = "aggregationRule.clusterRoleSelectors"
    if not role.aggregationRule.clusterRoleSelectors:
        yield required(path, "at least one clusterRoleSelector required if aggregationRule is non-nil")
    for i, selector in enumerate(role.aggregationRule.clusterRoleSelectors):
        errors = tuple(label_selector(f"{path}[{i}]", selector))
        yield from errors
        if errors:
            yield invalid(f"{path}[{i}]", None, "invalid label selector.")


RULES: Final = KindRules(
    resource="clusterroles.rbac.authorization.k8s.io", validate=_validate, name_errors=rbac.name_errors, create_on_update=True,
    row=name_and_creation,
)
