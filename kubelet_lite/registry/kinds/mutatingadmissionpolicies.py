"""MutatingAdmissionPolicies. Their expressions are not compiled here.

https://kubernetes.io/docs/reference/access-authn-authz/mutating-admission-policy/
"""
from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Final

from kubelet_lite.api.admissionregistration_v1 import MutatingAdmissionPolicy, Mutation
from kubelet_lite.api.errors import FieldError, not_supported, required
from kubelet_lite.registry.kinds.ages import age
from kubelet_lite.registry.rules import KindRules
from kubelet_lite.registry.validation import admission_rules
from kubelet_lite.registry.validation.collected import collected

PATCH_TYPES: Final = ("ApplyConfiguration", "JSONPatch")
REINVOCATION_POLICIES: Final = ("IfNeeded", "Never")


@collected
def _validate(policy: MutatingAdmissionPolicy) -> Iterator[FieldError]:
    spec = policy.spec
    yield from admission_rules.policy(policy)
    if not spec.mutations:
        yield required("spec.mutations", "mutations must contain at least one item")
    for i, mutation in enumerate(spec.mutations):
        yield from _mutation(f"spec.mutations[{i}]", mutation)
    if not spec.reinvocationPolicy:
        yield required("spec.reinvocationPolicy")
    elif spec.reinvocationPolicy not in REINVOCATION_POLICIES:
        yield not_supported("spec.reinvocationPolicy", spec.reinvocationPolicy, REINVOCATION_POLICIES)


def _mutation(path: str, mutation: Mutation) -> Iterator[FieldError]:
    match mutation.patchType:
        case "":
            yield required(f"{path}.patchType")
        case "ApplyConfiguration":
            if mutation.applyConfiguration is None:
                yield required(f"{path}.applyConfiguration", "must be specified when patchType is ApplyConfiguration")
            elif not mutation.applyConfiguration.expression.strip():
                yield required(f"{path}.applyConfiguration.expression", "expression is not specified")
        case "JSONPatch":
            if mutation.jsonPatch is None:
                yield required(f"{path}.jsonPatch", "must be specified when patchType is JSONPatch")
            elif not mutation.jsonPatch.expression.strip():
                yield required(f"{path}.jsonPatch.expression", "expression is not specified")
        case unknown:
            yield not_supported(f"{path}.patchType", unknown, PATCH_TYPES)


def _row(policy: MutatingAdmissionPolicy, now: float) -> Sequence[Any]:
    return policy.metadata.name, len(policy.spec.mutations), admission_rules.param_kind_text(policy.spec.paramKind), age(policy, now)


RULES: Final = KindRules(
    resource="mutatingadmissionpolicies.admissionregistration.k8s.io", default=admission_rules.default_policy, validate=_validate, validate_on_update="instead",
    generation=True,
    unconditional_update=False, row=_row,
)
