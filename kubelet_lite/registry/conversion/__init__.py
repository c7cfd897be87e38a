"""Kinds that are served in two forms and kept in one: what turns one into the other, a file each and a line in CONVERSIONS."""
from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from kubelet_lite.registry.conversion import events, horizontalpodautoscalers
from kubelet_lite.registry.conversion.conversion import Conversion

CONVERSIONS: Final[Mapping[tuple[str, str], Conversion]] = {
    ("events.k8s.io/v1", "events"): events.CONVERSION,
    ("autoscaling/v1", "horizontalpodautoscalers"): horizontalpodautoscalers.CONVERSION,
}
"""By the served form's apiVersion and plural."""
