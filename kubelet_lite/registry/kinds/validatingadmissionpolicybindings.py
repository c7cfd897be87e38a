"""ValidatingAdmissionPolicyBindings."""
from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Final

from kubelet_lite.api.admissionregistration_v1 import ValidatingAdmissionPolicyBinding
from kubelet_lite.api.errors import FieldError, duplicate, invalid, not_supported, required
from kubelet_lite.registry.kinds.ages import age
from kubelet_lite.registry.rules import KindRules
from kubelet_lite.registry.validation import admission_rules
from kubelet_lite.registry.validation.collected import collected

ACTIONS: Final = ("Audit", "Deny", "Warn")


@collected
def _validate(binding: ValidatingAdmissionPolicyBinding) -> Iterator[FieldError]:
    yield from admission_rules.binding(binding)
    yield from _actions("spec.validationActions", binding.spec.validationActions)


def _actions(path: str, actions: tuple[str, ...]) -> Iterator[FieldError]:
    if not actions:
        yield required(path, "at least one validation action is required")
    for i, action in enumerate(actions):
        if action not in ACTIONS:
            yield not_supported(f"{path}[{i}]", action, ACTIONS)
        if action in actions[:i]:
            yield duplicate(f"{path}[{i}]", action)
    if "Deny" in actions and "Warn" in actions:
        yield invalid(path, actions, "must not contain both Deny and Warn (repeating the same validation failure information in the API response "
                                     "and headers serves no purpose)")


def _row(binding: ValidatingAdmissionPolicyBinding, now: float) -> Sequence[Any]:
    return binding.metadata.name, binding.spec.policyName, admission_rules.param_ref_text(binding.spec.paramRef), age(binding, now)


RULES: Final = KindRules(
    resource="validatingadmissionpolicybindings.admissionregistration.k8s.io", default=admission_rules.default_binding, validate=_validate, validate_on_update="instead",
    generation=True,
    unconditional_update=False, row=_row,
)
