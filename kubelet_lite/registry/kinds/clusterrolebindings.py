"""ClusterRoleBindings: who has the permissions of a ClusterRole everywhere."""
from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from msgspec.structs import replace

from kubelet_lite.api.errors import FieldError
from kubelet_lite.api.rbac_v1 import ClusterRoleBinding
from kubelet_lite.registry.kinds.ages import age
from kubelet_lite.registry.rules import KindRules
from kubelet_lite.registry.validation import rbac
from kubelet_lite.registry.validation.collected import collected


def _default(binding: ClusterRoleBinding) -> ClusterRoleBinding:
    return replace(binding, roleRef=rbac.default_role_ref(binding.roleRef), subjects=rbac.default_subjects(binding.subjects))


@collected
def _validate(binding: ClusterRoleBinding) -> Iterator[FieldError]:
    yield from rbac.role_ref(binding.roleRef, ["ClusterRole"])
    yield from rbac.subjects(binding.subjects, namespaced=False)


@collected
def _validate_update(new: ClusterRoleBinding, old: ClusterRoleBinding) -> Iterator[FieldError]:
    yield from rbac.same_role(new.roleRef, old.roleRef)


RULES: Final = KindRules(
    resource="clusterrolebindings.rbac.authorization.k8s.io", default=_default, validate=_validate, validate_update=_validate_update,
    name_errors=rbac.name_errors, create_on_update=True, row=lambda binding, now: rbac.binding_row(binding, age(binding, now)),
)
