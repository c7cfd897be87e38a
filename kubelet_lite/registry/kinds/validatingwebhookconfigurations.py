"""ValidatingWebhookConfigurations."""
from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from msgspec.structs import replace

from kubelet_lite.api.admissionregistration_v1 import ValidatingWebhookConfiguration
from kubelet_lite.api.errors import FieldError
from kubelet_lite.registry.rules import KindRules
from kubelet_lite.registry.validation.collected import collected
from kubelet_lite.registry.validation.webhooks import default_webhook, webhooks, webhooks_changed, webhooks_row


def _default(configuration: ValidatingWebhookConfiguration) -> ValidatingWebhookConfiguration:
    return replace(configuration, webhooks=tuple(default_webhook(hook) for hook in configuration.webhooks))


@collected
def _validate(configuration: ValidatingWebhookConfiguration) -> Iterator[FieldError]:
    yield from webhooks(configuration.webhooks)


RULES: Final = KindRules(
    resource="validatingwebhookconfigurations.admissionregistration.k8s.io", default=_default, validate=_validate, validate_on_update="instead",
    generation=True,
    generation_moves=webhooks_changed, unconditional_update=False, row=webhooks_row,
)
