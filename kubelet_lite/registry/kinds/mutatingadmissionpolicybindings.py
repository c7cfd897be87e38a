"""MutatingAdmissionPolicyBindings."""
from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Final

from kubelet_lite.api.admissionregistration_v1 import MutatingAdmissionPolicyBinding
from kubelet_lite.api.errors import FieldError
from kubelet_lite.registry.kinds.ages import age
from kubelet_lite.registry.rules import KindRules
from kubelet_lite.registry.validation import admission_rules
from kubelet_lite.registry.validation.collected import collected


@collected
def _validate(binding: MutatingAdmissionPolicyBinding) -> Iterator[FieldError]:
    yield from admission_rules.binding(binding)


def _row(binding: MutatingAdmissionPolicyBinding, now: float) -> Sequence[Any]:
    return binding.metadata.name, binding.spec.policyName, admission_rules.param_ref_text(binding.spec.paramRef), age(binding, now)


RULES: Final = KindRules(
    resource="mutatingadmissionpolicybindings.admissionregistration.k8s.io", default=admission_rules.default_binding, validate=_validate, validate_on_update="instead",
    generation=True,
    unconditional_update=False, row=_row,
)
