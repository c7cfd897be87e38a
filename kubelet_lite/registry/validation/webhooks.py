"""What validating and mutating webhooks have in common.

https://kubernetes.io/docs/reference/access-authn-authz/extensible-admission-controllers/
"""
from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Final, TypeVar

from msgspec.structs import replace

from kubelet_lite.api import names
from kubelet_lite.api.admissionregistration_v1 import MutatingWebhook, ValidatingWebhook, WebhookClientConfig
from kubelet_lite.api.errors import FieldError, duplicate, invalid, not_supported, required
from kubelet_lite.registry.kinds.ages import age
from kubelet_lite.registry.validation import callouts
from kubelet_lite.registry.validation.admission_rules import (
    FAILURE_POLICIES,
    MATCH_POLICIES,
    NO_SELECTION,
    default_rules,
    match_conditions,
    rule_with_operations,
)
from kubelet_lite.registry.validation.labels import label_selector
from kubelet_lite.registry.validation.named import each, fully_qualified_name

Webhook = TypeVar("Webhook", ValidatingWebhook, MutatingWebhook)
SIDE_EFFECTS: Final = ("None", "NoneOnDryRun")
REVIEW_VERSIONS: Final = ("v1", "v1beta1")
DEFAULT_TIMEOUT_SECONDS: Final = 10
LONGEST_TIMEOUT_SECONDS: Final = 30
DEFAULT_PORT: Final = 443


def default_webhook(hook: Webhook) -> Webhook:
    config = hook.clientConfig
    if config.service is not None and config.service.port is None:
        config = replace(config, service=replace(config.service, port=DEFAULT_PORT))
    return replace(
        hook, failurePolicy="Fail" if hook.failurePolicy is None else hook.failurePolicy,
        matchPolicy="Equivalent" if hook.matchPolicy is None else hook.matchPolicy, namespaceSelector=hook.namespaceSelector or NO_SELECTION,
        objectSelector=hook.objectSelector or NO_SELECTION, rules=default_rules(hook.rules), clientConfig=config,
        timeoutSeconds=DEFAULT_TIMEOUT_SECONDS if hook.timeoutSeconds is None else hook.timeoutSeconds,
    )


def webhooks(hooks: Sequence[ValidatingWebhook | MutatingWebhook]) -> Iterator[FieldError]:
    seen: list[str] = []
    for i, hook in enumerate(hooks):
        path = f"webhooks[{i}]"
        yield from _webhook(path, hook)
        yield from _review_versions(f"{path}.admissionReviewVersions", hook.admissionReviewVersions)
        if hook.name and hook.name in seen:
            yield duplicate(f"{path}.name", hook.name)
        seen.append(hook.name)


def _webhook(path: str, hook: ValidatingWebhook | MutatingWebhook) -> Iterator[FieldError]:
    if not hook.name:
        yield required(f"{path}.name")
    else:
        yield from fully_qualified_name(f"{path}.name", hook.name)
    for i, rule in enumerate(hook.rules):
        yield from rule_with_operations(f"{path}.rules[{i}]", rule)
    if hook.failurePolicy is not None and hook.failurePolicy not in FAILURE_POLICIES:
        yield not_supported(f"{path}.failurePolicy", hook.failurePolicy, FAILURE_POLICIES)
    if hook.matchPolicy is not None and hook.matchPolicy not in MATCH_POLICIES:
        yield not_supported(f"{path}.matchPolicy", hook.matchPolicy, MATCH_POLICIES)
    if hook.sideEffects is None:
        yield required(f"{path}.sideEffects", f"must specify one of {', '.join(SIDE_EFFECTS)}")
    elif hook.sideEffects not in SIDE_EFFECTS:
        yield not_supported(f"{path}.sideEffects", hook.sideEffects, SIDE_EFFECTS)
    if hook.timeoutSeconds is not None and not 1 <= hook.timeoutSeconds <= LONGEST_TIMEOUT_SECONDS:
        yield invalid(f"{path}.timeoutSeconds", hook.timeoutSeconds, f"the timeout value must be between 1 and {LONGEST_TIMEOUT_SECONDS} seconds")
    yield from label_selector(f"{path}.namespaceSelector", hook.namespaceSelector)
    yield from label_selector(f"{path}.objectSelector", hook.objectSelector)
    if isinstance(hook, MutatingWebhook) and hook.reinvocationPolicy is not None and hook.reinvocationPolicy not in ("IfNeeded", "Never"):
        yield not_supported(f"{path}.reinvocationPolicy", hook.reinvocationPolicy, ["IfNeeded", "Never"])
    yield from client_config(f"{path}.clientConfig", hook.clientConfig)
    yield from match_conditions(f"{path}.matchConditions", hook.matchConditions)


def client_config(path: str, config: WebhookClientConfig) -> Iterator[FieldError]:
    if config.url is not None and config.service is None:
        yield from callouts.url(f"{path}.url", config.url)
    elif config.service is not None and config.url is None:
        found = config.service
        # Kubernetes hands over name and namespace the wrong way round: each is missed under the other's name
        yield from callouts.service(f"{path}.service", ("name", found.namespace), ("namespace", found.name), found.path, found.port)
    else:
        yield required(path, "exactly one of url or service is required")


def _review_versions(path: str, versions: Sequence[str]) -> Iterator[FieldError]:
    known = ", ".join(REVIEW_VERSIONS)
    if not versions:
        yield required(path, f"must specify one of {known}")
        return
    for i, version in enumerate(versions):
        if version in versions[:i]:
            yield invalid(f"{path}[{i}]", version, "duplicate version")
            continue
        yield from each(f"{path}[{i}]", version, names.dns1035_label(version))
    if not any(version in REVIEW_VERSIONS for version in versions):
        yield invalid(path, versions, f"must include at least one of {known}")


def webhooks_changed(new: Any, old: Any) -> bool:
    return bool(new.webhooks != old.webhooks)


def webhooks_row(configuration: Any, now: float) -> Sequence[Any]:
    return configuration.metadata.name, len(configuration.webhooks), age(configuration, now)
