"""When images are pulled."""
from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from kubelet_lite.api.errors import FieldError, not_supported, required

PULL_POLICIES: Final = ("Always", "IfNotPresent", "Never")


def validate_pull_policy(path: str, policy: str) -> Iterator[FieldError]:
    if not policy:
        yield required(path)
    elif policy not in PULL_POLICIES:
        yield not_supported(path, policy, PULL_POLICIES)
