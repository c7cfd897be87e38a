"""FlowSchemas. https://kubernetes.io/docs/concepts/cluster-administration/flow-control/"""
from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Final

from msgspec.structs import replace

from kubelet_lite.api import names
from kubelet_lite.api.errors import FieldError, forbidden, invalid, not_supported, required
from kubelet_lite.api.flowcontrol_v1 import (
    FlowSchema,
    NonResourcePolicyRule,
    PolicyRulesWithSubjects,
    ResourcePolicyRule,
    Subject,
)
from kubelet_lite.registry.kinds.ages import NONE, age
from kubelet_lite.registry.rules import ALL_OF_METADATA, KindRules
from kubelet_lite.registry.validation.collected import collected
from kubelet_lite.registry.validation.named import dns_label, dns_subdomain

DEFAULT_PRECEDENCE: Final = 1000
MAX_PRECEDENCE: Final = 10000
DISTINGUISHERS: Final = ("ByNamespace", "ByUser")
KINDS: Final = ("Group", "ServiceAccount", "User")
VERBS: Final = ("create", "delete", "deletecollection", "get", "list", "patch", "proxy", "update", "watch")
_FIELDS: Final = {"User": "user", "Group": "group", "ServiceAccount": "serviceAccount"}


def _default(schema: FlowSchema) -> FlowSchema:
    if schema.spec.matchingPrecedence:
        return schema
    return replace(schema, spec=replace(schema.spec, matchingPrecedence=DEFAULT_PRECEDENCE))


@collected
def _validate(schema: FlowSchema) -> Iterator[FieldError]:
    spec, precedence = schema.spec, schema.spec.matchingPrecedence
    if precedence <= 0:
        yield invalid("spec.matchingPrecedence", precedence, "must be a positive value")
    if precedence > MAX_PRECEDENCE:
        yield invalid("spec.matchingPrecedence", precedence, f"must not be greater than {MAX_PRECEDENCE}")
    if precedence == 1 and schema.metadata.name != "exempt":
        yield invalid("spec.matchingPrecedence", precedence, "only the schema named 'exempt' may have matchingPrecedence 1")
    method = spec.distinguisherMethod
    if method is not None and method.type not in DISTINGUISHERS:
        yield not_supported("spec.distinguisherMethod.type", {"Type": method.type}, DISTINGUISHERS)
    if not spec.priorityLevelConfiguration.name:
        yield required("spec.priorityLevelConfiguration.name", "must reference a priority level")
    else:
        yield from dns_subdomain("spec.priorityLevelConfiguration.name", spec.priorityLevelConfiguration.name)
    for i, rule in enumerate(spec.rules):
        yield from _rule(f"spec.rules[{i}]", rule)


def _rule(path: str, rule: PolicyRulesWithSubjects) -> Iterator[FieldError]:
    if not rule.subjects:
        yield required(f"{path}.subjects", "subjects must contain at least one value")
    for i, subject in enumerate(rule.subjects):
        yield from _subject(f"{path}.subjects[{i}]", subject)
    if not rule.resourceRules and not rule.nonResourceRules:
        yield required(path, "at least one of resourceRules and nonResourceRules has to be non-empty")
    for i, of_resources in enumerate(rule.resourceRules):
        yield from _resource_rule(f"{path}.resourceRules[{i}]", of_resources)
    for i, of_urls in enumerate(rule.nonResourceRules):
        yield from _url_rule(f"{path}.nonResourceRules[{i}]", of_urls)


def _subject(path: str, subject: Subject) -> Iterator[FieldError]:
    if subject.kind not in KINDS:
        yield not_supported(f"{path}.kind", subject.kind, KINDS)
        return
    for kind, field in _FIELDS.items():
        value = getattr(subject, field)
        if kind == subject.kind and value is None:
            yield required(f"{path}.{field}", f"{field} is required when subject kind is '{kind}'")
        elif kind == subject.kind and not value.name:
            yield required(f"{path}.{field}.name")
        elif kind != subject.kind and value is not None:
            yield forbidden(f"{path}.{field}", f"{field} is forbidden when subject kind is not '{kind}'")
    account = subject.serviceAccount
    if subject.kind == "ServiceAccount" and account is not None:
        if account.name and account.name != "*":
            yield from dns_subdomain(f"{path}.serviceAccount.name", account.name)
        if not account.namespace:
            yield required(f"{path}.serviceAccount.namespace", "must specify namespace for service account")
        else:
            yield from dns_label(f"{path}.serviceAccount.namespace", account.namespace)


def _verbs(path: str, verbs: Sequence[str]) -> Iterator[FieldError]:
    if not verbs:
        yield required(path, "verbs must contain at least one value")
    elif "*" in verbs:
        yield from _alone(path, verbs, "verbs")
    elif any(verb not in VERBS for verb in verbs):
        yield not_supported(path, verbs, VERBS)


def _alone(path: str, values: Sequence[str], what: str) -> Iterator[FieldError]:
    if len(values) > 1 and "*" in values:
        yield invalid(path, values, f"if '*' is present, must not specify other {what}")


def _resource_rule(path: str, rule: ResourcePolicyRule) -> Iterator[FieldError]:
    yield from _verbs(f"{path}.verbs", rule.verbs)
    if not rule.apiGroups:
        yield required(f"{path}.apiGroups", "resource rules must supply at least one api group")
    yield from _alone(f"{path}.apiGroups", rule.apiGroups, "api groups")
    if not rule.resources:
        yield required(f"{path}.resources", "resource rules must supply at least one resource")
    yield from _alone(f"{path}.resources", rule.resources, "resources")
    if not rule.namespaces and not rule.clusterScope:
        yield required(f"{path}.namespaces", "resource rules that are not cluster scoped must supply at least one namespace")
    yield from _alone(f"{path}.namespaces", rule.namespaces, "namespaces")
    if "*" not in rule.namespaces:
        for i, namespace in enumerate(rule.namespaces):
            for message in names.dns1123_label(namespace):
                yield invalid(f"{path}.namespaces[{i}]", namespace, f"each member of this list must be '*' or a DNS-1123 label; {message}")


def _url_rule(path: str, rule: NonResourcePolicyRule) -> Iterator[FieldError]:
    yield from _verbs(f"{path}.verbs", rule.verbs)
    urls = rule.nonResourceURLs
    if not urls:
        yield required(f"{path}.nonResourceURLs", "nonResourceURLs must contain at least one value")
    yield from _alone(f"{path}.nonResourceURLs", urls, "non-resource URLs")
    if "*" not in urls:
        for i, url in enumerate(urls):
            if problem := _url_problem(url):
                yield invalid(f"{path}.nonResourceURLs[{i}]", url, problem)


def _url_problem(url: str) -> str:
    if not url:
        return "must not be empty"
    if not url.startswith("/"):
        return "must start with slash"
    if " " in url:
        return "must not contain white-space"
    if "//" in url:
        return "must not contain double slash"
    if url.count("*") > 1 or ("*" in url and not url.endswith("/*")):
        return "wildcard can only do suffix matching"
    return ""


def _row(schema: FlowSchema, now: float) -> Sequence[Any]:
    method = schema.spec.distinguisherMethod
    dangling = next((condition.status for condition in schema.status.conditions if condition.type == "Dangling"), "?")
    return (
        schema.metadata.name, schema.spec.priorityLevelConfiguration.name, schema.spec.matchingPrecedence, NONE if method is None else method.type,
        age(schema, now), dangling,
    )


RULES: Final = KindRules(
    resource="flowschemas.flowcontrol.apiserver.k8s.io", default=_default, status_update_keeps=ALL_OF_METADATA, validate=_validate, validate_on_update="instead",
    generation=True, row=_row,
)
