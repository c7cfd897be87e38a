"""Subresources that change a part of their object, beside status: what each may change, and what must hold of it.

To add one is one entry of PARTS.
"""
from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from msgspec.structs import replace

from kubelet_lite.api.errors import FieldError
from kubelet_lite.registry.kinds.namespaces import validate_finalize
from kubelet_lite.registry.part import Part, transition_errors


def _finalize(new: Any, live: Any) -> Any:
    return replace(new, status=live.status)


def _finalize_errors(new: Any, live: Any) -> Sequence[FieldError]:
    return [*transition_errors(new, live), *validate_finalize(new, live)]


PARTS: Final[Mapping[tuple[str, str], Part]] = {
    ("namespaces", "finalize"): Part(subresource="finalize", prepare=_finalize, validate=_finalize_errors),
}
"""By the resource's qualified name and the subresource's."""
