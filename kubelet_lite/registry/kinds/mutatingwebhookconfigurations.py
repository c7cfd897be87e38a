"""MutatingWebhookConfigurations."""
from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from msgspec.structs import replace

from kubelet_lite.api.admissionregistration_v1 import MutatingWebhook, MutatingWebhookConfiguration
from kubelet_lite.api.errors import FieldError
from kubelet_lite.registry.rules import KindRules
from kubelet_lite.registry.validation.collected import collected
from kubelet_lite.registry.validation.webhooks import default_webhook, webhooks, webhooks_changed, webhooks_row


def _default(configuration: MutatingWebhookConfiguration) -> MutatingWebhookConfiguration:
    return replace(configuration, webhooks=tuple(_default_webhook(hook) for hook in configuration.webhooks))


def _default_webhook(hook: MutatingWebhook) -> MutatingWebhook:
    hook = default_webhook(hook)
    return hook if hook.reinvocationPolicy is not None else replace(hook, reinvocationPolicy="Never")


@collected
def _validate(configuration: MutatingWebhookConfiguration) -> Iterator[FieldError]:
    yield from webhooks(configuration.webhooks)


RULES: Final = KindRules(
    resource="mutatingwebhookconfigurations.admissionregistration.k8s.io", default=_default, validate=_validate, validate_on_update="instead",
    generation=True,
    generation_moves=webhooks_changed, unconditional_update=False, row=webhooks_row,
)
