"""An object whose type this program does not know: custom resources. Its metadata is typed, the rest is plain JSON values."""
from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from kubelet_lite.api.meta_v1 import ObjectMeta


class Unstructured(msgspec.Struct, frozen=True, kw_only=True):
    """`fields` is everything beside kind, apiVersion and metadata (spec, status, …), never to be changed."""

    kind: str = ""
    apiVersion: str = ""
    metadata: ObjectMeta = msgspec.field(default_factory=ObjectMeta)
    fields: Mapping[str, Any] = msgspec.field(default_factory=dict)
