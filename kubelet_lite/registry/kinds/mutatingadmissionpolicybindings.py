"""MutatingAdmissionPolicyBindings."""
from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Final

from msgspec.structs import replace

from kubelet_lite.api.admissionregistration_v1 import MutatingAdmissionPolicyBinding
from kubelet_lite.api.errors import FieldError, required
from kubelet_lite.registry.kinds.ages import age
from kubelet_lite.registry.rules import KindRules
from kubelet_lite.registry.validation import admission_rules
from kubelet_lite.registry.validation.collected import collected
from kubelet_lite.registry.validation.named import dns_subdomain


def _default(binding: MutatingAdmissionPolicyBinding) -> MutatingAdmissionPolicyBinding:
    resources = binding.spec.matchResources
    if resources is None:
        return binding
    return replace(binding, spec=replace(binding.spec, matchResources=admission_rules.default_match_resources(resources)))


@collected
def _validate(binding: MutatingAdmissionPolicyBinding) -> Iterator[FieldError]:
    spec = binding.spec
    if not spec.policyName:
        yield required("spec.policyName")
    else:
        yield from dns_subdomain("spec.policyName", spec.policyName)
    if spec.paramRef is not None:
        yield from admission_rules.param_ref("spec.paramRef", spec.paramRef)
    if spec.matchResources is not None:
        yield from admission_rules.match_resources("spec.matchResources", spec.matchResources)


def _row(binding: MutatingAdmissionPolicyBinding, now: float) -> Sequence[Any]:
    return binding.metadata.name, binding.spec.policyName, admission_rules.param_ref_text(binding.spec.paramRef), age(binding, now)


RULES: Final = KindRules(
    resource="mutatingadmissionpolicybindings.admissionregistration.k8s.io", default=_default, validate=_validate, validate_on_update="instead",
    generation=True,
    unconditional_update=False, row=_row,
)
