"""What a conversion between a served form and the stored one consists of."""
from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from kubelet_lite.api.resources import Resource


class Conversion(msgspec.Struct, frozen=True, kw_only=True, eq=False):
    """Both directions lose nothing: what the served form cannot say, it keeps in annotations, as Kubernetes does."""

    stored: Resource
    to_stored: Callable[[Any], Any]
    to_served: Callable[[Any], Any]
    fields: Mapping[str, str]
    """The served form's names of selectable fields → the stored kind's."""
