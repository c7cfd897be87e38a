"""ServiceAccounts. https://kubernetes.io/docs/concepts/security/service-accounts/"""
from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from msgspec.structs import replace

from kubelet_lite.api.core_v1 import ObjectReference, ServiceAccount
from kubelet_lite.registry.kinds.ages import name_and_age
from kubelet_lite.registry.rules import KindRules

_ENFORCE: Final = "kubernetes.io/enforce-mountable-secrets"


def _prepare(account: ServiceAccount) -> ServiceAccount:
    """Of a reference to a Secret only the name is kept."""
    secrets = tuple(ObjectReference(name=secret.name) for secret in account.secrets)
    return account if secrets == account.secrets else replace(account, secrets=secrets)


def _warnings(new: ServiceAccount, old: ServiceAccount | None) -> Sequence[str]:
    enforced = new.metadata.annotations.get(_ENFORCE)
    if enforced is None or (old is not None and old.metadata.annotations.get(_ENFORCE) == enforced):
        return ()
    return (f"metadata.annotations[{_ENFORCE}]: deprecated in v1.32+; prefer separate namespaces to isolate access to mounted secrets",)


RULES: Final = KindRules(
    resource="serviceaccounts", prepare_create=_prepare, prepare_update=lambda new, old: _prepare(new), warnings=_warnings, row=name_and_age,
)
