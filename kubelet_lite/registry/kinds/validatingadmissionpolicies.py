"""ValidatingAdmissionPolicies. Their expressions are not compiled here.

https://kubernetes.io/docs/reference/access-authn-authz/validating-admission-policy/
"""
from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Final

from kubelet_lite.api import names
from kubelet_lite.api.admissionregistration_v1 import AuditAnnotation, ValidatingAdmissionPolicy, Validation
from kubelet_lite.api.errors import FieldError, duplicate, invalid, not_supported, required
from kubelet_lite.registry.kinds.ages import age
from kubelet_lite.registry.rules import KindRules
from kubelet_lite.registry.validation import admission_rules
from kubelet_lite.registry.validation.collected import collected

REASONS: Final = ("Forbidden", "Invalid", "RequestEntityTooLarge")
MAX_AUDIT_ANNOTATIONS: Final = 20
_NOTHING: Final = "validations or auditAnnotations must contain at least one item"


@collected
def _validate(policy: ValidatingAdmissionPolicy) -> Iterator[FieldError]:
    spec = policy.spec
    yield from admission_rules.policy(policy)
    if not spec.validations and not spec.auditAnnotations:
        yield required("spec.validations", _NOTHING)
        yield required("spec.auditAnnotations", _NOTHING)
    for i, validation in enumerate(spec.validations):
        yield from _validation(f"spec.validations[{i}]", validation)
    yield from _audit_annotations("spec.auditAnnotations", policy.metadata.name, spec.auditAnnotations)


def _validation(path: str, validation: Validation) -> Iterator[FieldError]:
    expression, message = validation.expression.strip(), validation.message.strip()
    if not expression:
        yield required(f"{path}.expression", "expression is not specified")
    if validation.messageExpression and not validation.messageExpression.strip():
        yield invalid(f"{path}.messageExpression", validation.messageExpression, "must be non-empty if specified")
    if validation.message and not message:
        yield invalid(f"{path}.message", validation.message, "message must be non-empty if specified")
    elif "\n" in message:
        yield invalid(f"{path}.message", validation.message, "message must not contain line breaks")
    elif "\n" in expression and not message:
        yield required(f"{path}.message", "message must be specified if expression contains line breaks")
    if validation.reason is not None and validation.reason not in REASONS:
        yield not_supported(f"{path}.reason", validation.reason, REASONS)


def _audit_annotations(path: str, name: str, annotations: Sequence[AuditAnnotation]) -> Iterator[FieldError]:
    if len(annotations) > MAX_AUDIT_ANNOTATIONS:
        yield invalid(path, [{"Key": a.key, "ValueExpression": a.valueExpression} for a in annotations],
                      f"must not have more than {MAX_AUDIT_ANNOTATIONS} auditAnnotations")
    for i, annotation in enumerate(annotations):
        at, key = f"{path}[{i}]", annotation.key
        if not name:
            yield invalid(f"{at}.key", key, "requires metadata.name be non-empty")
        else:
            for message in names.qualified_name(f"{name}/{key}"):
                yield invalid(f"{at}.key", f"{name}/{key}", message)
        if not annotation.valueExpression.strip():
            yield required(f"{at}.valueExpression", "valueExpression is not specified")
        if any(other.key == key for other in annotations[:i]):
            yield duplicate(f"{at}.key", key)


def _row(policy: ValidatingAdmissionPolicy, now: float) -> Sequence[Any]:
    return policy.metadata.name, len(policy.spec.validations), admission_rules.param_kind_text(policy.spec.paramKind), age(policy, now)


RULES: Final = KindRules(
    resource="validatingadmissionpolicies.admissionregistration.k8s.io", default=admission_rules.default_policy, validate=_validate, validate_on_update="instead",
    generation=True,
    unconditional_update=False, row=_row,
)
