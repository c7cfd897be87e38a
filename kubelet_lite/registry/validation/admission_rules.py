"""Which requests a webhook or an admission policy is about: rules, selectors, match conditions, and their defaults.

https://kubernetes.io/docs/reference/access-authn-authz/extensible-admission-controllers/#matching-requests-rules
"""
from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final, TypeVar

from msgspec.structs import replace

from kubelet_lite.api import names
from kubelet_lite.api.admissionregistration_v1 import (
    MatchCondition,
    MatchResources,
    MutatingAdmissionPolicy,
    MutatingAdmissionPolicyBinding,
    NamedRuleWithOperations,
    ParamKind,
    ParamRef,
    RuleWithOperations,
    ValidatingAdmissionPolicy,
    ValidatingAdmissionPolicyBinding,
    Variable,
)
from kubelet_lite.api.errors import FieldError, duplicate, forbidden, invalid, not_supported, required, too_many
from kubelet_lite.api.meta_v1 import LabelSelector
from kubelet_lite.registry.validation.labels import label_selector
from kubelet_lite.registry.validation.named import dns_subdomain, path_segment, qualified_name

Rules = TypeVar("Rules", RuleWithOperations, NamedRuleWithOperations)
Policy = TypeVar("Policy", MutatingAdmissionPolicy, ValidatingAdmissionPolicy)
Binding = TypeVar("Binding", MutatingAdmissionPolicyBinding, ValidatingAdmissionPolicyBinding)
OPERATIONS: Final = ("*", "CONNECT", "CREATE", "DELETE", "UPDATE")
SCOPES: Final = ("*", "Cluster", "Namespaced")
FAILURE_POLICIES: Final = ("Fail", "Ignore")
MATCH_POLICIES: Final = ("Equivalent", "Exact")
MAX_MATCH_CONDITIONS: Final = 64
NO_SELECTION: Final = LabelSelector()
"""Matches everything: what a selector that is left out becomes."""
_CEL_RESERVED: Final = frozenset((
    "true", "false", "null", "in", "as", "break", "const", "continue", "else", "for", "function", "if", "import", "let", "loop", "package",
    "namespace", "return", "var", "void", "while",
))


# ---- defaults


def default_rules(rules: tuple[Rules, ...]) -> tuple[Rules, ...]:
    return tuple(rule if rule.scope is not None else replace(rule, scope="*") for rule in rules)


def default_match_resources(found: MatchResources) -> MatchResources:
    return replace(
        found, matchPolicy="Equivalent" if found.matchPolicy is None else found.matchPolicy, namespaceSelector=found.namespaceSelector or NO_SELECTION,
        objectSelector=found.objectSelector or NO_SELECTION, resourceRules=default_rules(found.resourceRules),
        excludeResourceRules=default_rules(found.excludeResourceRules),
    )


def default_policy(found: Policy) -> Policy:
    spec = found.spec
    constraints = spec.matchConstraints
    return replace(found, spec=replace(
        spec, failurePolicy="Fail" if spec.failurePolicy is None else spec.failurePolicy,
        matchConstraints=constraints if constraints is None else default_match_resources(constraints),
    ))


def default_binding(found: Binding) -> Binding:
    resources = found.spec.matchResources
    if resources is None:
        return found
    return replace(found, spec=replace(found.spec, matchResources=default_match_resources(resources)))


# ---- checks


def policy(found: MutatingAdmissionPolicy | ValidatingAdmissionPolicy) -> Iterator[FieldError]:
    """What both kinds of policies have: what they are about."""
    spec = found.spec
    yield from failure_policy("spec.failurePolicy", spec.failurePolicy)
    if spec.paramKind is not None:
        yield from param_kind("spec.paramKind", spec.paramKind)
    if spec.matchConstraints is None:
        yield required("spec.matchConstraints")
    else:
        yield from match_resources("spec.matchConstraints", spec.matchConstraints)
        if not spec.matchConstraints.resourceRules:
            yield required("spec.matchConstraints.resourceRules")
    yield from match_conditions("spec.matchConditions", spec.matchConditions)
    yield from variables("spec.variables", spec.variables)


def binding(found: MutatingAdmissionPolicyBinding | ValidatingAdmissionPolicyBinding) -> Iterator[FieldError]:
    """What both kinds of bindings have: the policy, its parameters and what it is about here."""
    spec = found.spec
    if not spec.policyName:
        yield required("spec.policyName")
    else:
        yield from dns_subdomain("spec.policyName", spec.policyName)
    if spec.paramRef is not None:
        yield from param_ref("spec.paramRef", spec.paramRef)
    if spec.matchResources is not None:
        yield from match_resources("spec.matchResources", spec.matchResources)


def failure_policy(path: str, value: str | None) -> Iterator[FieldError]:
    if value is None:
        yield required(path)
    elif value not in FAILURE_POLICIES:
        yield not_supported(path, value, FAILURE_POLICIES)


def match_policy(path: str, value: str | None) -> Iterator[FieldError]:
    if value is None:
        yield required(path)
    elif value not in MATCH_POLICIES:
        yield not_supported(path, value, MATCH_POLICIES)


def match_resources(path: str, found: MatchResources) -> Iterator[FieldError]:
    yield from label_selector(f"{path}.namespaceSelector", found.namespaceSelector)
    yield from label_selector(f"{path}.objectSelector", found.objectSelector)
    for field, rules in (("resourceRules", found.resourceRules), ("excludeResourceRules", found.excludeResourceRules)):
        for i, rule in enumerate(rules):
            for j, name in enumerate(rule.resourceNames):
                yield from path_segment(f"{path}.{field}[{i}].resourceNames[{j}]", name)
                if name in rule.resourceNames[:j]:
                    yield duplicate(f"{path}.{field}[{i}].resourceNames[{j}]", name)
            yield from rule_with_operations(f"{path}.{field}[{i}]", rule)
    yield from match_policy(f"{path}.matchPolicy", found.matchPolicy)


def rule_with_operations(path: str, rule: RuleWithOperations | NamedRuleWithOperations) -> Iterator[FieldError]:
    yield from _some(f"{path}.operations", rule.operations, "operations")
    for i, operation in enumerate(rule.operations):
        if operation not in OPERATIONS:
            yield not_supported(f"{path}.operations[{i}]", operation, OPERATIONS)
    yield from _some(f"{path}.apiGroups", rule.apiGroups, "API groups")
    yield from _some(f"{path}.apiVersions", rule.apiVersions, "API versions")
    for i, version in enumerate(rule.apiVersions):
        if not version:
            yield required(f"{path}.apiVersions[{i}]")
    yield from _resources(f"{path}.resources", rule.resources)
    if rule.scope is not None and rule.scope not in SCOPES:
        yield not_supported(f"{path}.scope", rule.scope, SCOPES)


def _some(path: str, values: Sequence[str], what: str) -> Iterator[FieldError]:
    if not values:
        yield required(path)
    if len(values) > 1 and "*" in values:
        yield invalid(path, values, f"if '*' is present, must not specify other {what}")


def _resources(path: str, resources: Sequence[str]) -> Iterator[FieldError]:
    if not resources:
        yield required(path)
    all_below: list[str] = []  # resources of which every subresource is named
    everywhere: list[str] = []  # subresources that are named for every resource
    for i, text in enumerate(resources):
        resource, slash, subresource = text.partition("/")
        if not text:
            yield required(f"{path}[{i}]")
        if not slash:
            continue
        if resource in all_below:
            yield invalid(f"{path}[{i}]", text, f"if '{resource}/*' is present, must not specify {text}")
        if subresource in everywhere:
            yield invalid(f"{path}[{i}]", text, f"if '*/{subresource}' is present, must not specify {text}")
        if subresource == "*":
            all_below.append(resource)
        if resource == "*":
            everywhere.append(subresource)
    if len(resources) > 1 and "*/*" in resources:
        yield invalid(path, resources, "if '*/*' is present, must not specify other resources")
    if "*" in resources and any("/" not in text and text not in ("", "*") for text in resources):
        yield invalid(path, resources, "if '*' is present, must not specify other resources without subresources")


def match_conditions(path: str, conditions: Sequence[MatchCondition]) -> Iterator[FieldError]:
    if len(conditions) > MAX_MATCH_CONDITIONS:
        yield too_many(path, len(conditions), MAX_MATCH_CONDITIONS)
    seen: list[str] = []
    for i, condition in enumerate(conditions):
        if not condition.expression.strip():
            yield required(f"{path}[{i}].expression")
        if not condition.name:
            yield required(f"{path}[{i}].name")
            continue
        yield from qualified_name(f"{path}[{i}].name", condition.name)
        if condition.name in seen:
            yield duplicate(f"{path}[{i}].name", condition.name)
        seen.append(condition.name)


def variables(path: str, found: Sequence[Variable]) -> Iterator[FieldError]:
    for i, variable in enumerate(found):
        if not variable.name.strip():
            yield required(f"{path}[{i}].name", "name is not specified")
        elif not _is_identifier(variable.name):
            yield invalid(f"{path}[{i}].name", variable.name, "must be a valid CEL identifier")
        if not variable.expression.strip():
            yield required(f"{path}[{i}].expression", "expression is not specified")


def _is_identifier(value: str) -> bool:
    return value.isascii() and value.isidentifier() and value not in _CEL_RESERVED


def param_kind(path: str, found: ParamKind) -> Iterator[FieldError]:
    if not found.apiVersion:
        yield required(f"{path}.apiVersion")
    else:
        group, _, version = found.apiVersion.rpartition("/")
        if group and (messages := names.dns1123_subdomain(group)):
            yield invalid(f"{path}.apiVersion", group, ",".join(messages))
        if not version:
            yield invalid(f"{path}.apiVersion", found.apiVersion, "version must be specified")
        elif messages := names.dns1035_label(version):
            yield invalid(f"{path}.apiVersion", version, ",".join(messages))
    if not found.kind:
        yield required(f"{path}.kind")
    elif messages := names.dns1035_label(found.kind.lower()):
        yield invalid(f"{path}.kind", found.kind, f"may have mixed case, but should otherwise match: {','.join(messages)}")


def param_ref(path: str, found: ParamRef) -> Iterator[FieldError]:
    exclusive = "name and selector are mutually exclusive"
    if found.name:
        yield from path_segment(f"{path}.name", found.name)
        if found.selector is not None:
            yield forbidden(f"{path}.name", exclusive)
    if found.selector is not None:
        yield from label_selector(f"{path}.selector", found.selector)
        if found.name:
            yield forbidden(f"{path}.selector", exclusive)
    if not found.name and found.selector is None:
        yield required(path, "one of name or selector must be specified")
    if not found.parameterNotFoundAction:
        yield required(f"{path}.parameterNotFoundAction")
    elif found.parameterNotFoundAction not in ("Deny", "Allow"):
        yield not_supported(f"{path}.parameterNotFoundAction", found.parameterNotFoundAction, ["Deny", "Allow"])


# ---- cells of tables


def param_kind_text(found: ParamKind | None) -> str:
    return "<unset>" if found is None else f"{found.apiVersion}/{found.kind}"


def param_ref_text(found: ParamRef | None) -> str:
    return "<unset>" if found is None else f"{found.namespace or '*'}/{found.name}"
