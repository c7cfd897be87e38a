"""Subresources that change a part of their object, beside status: what each may change, and what must hold of it.

To add one is one entry of `part_of`.
"""
from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from msgspec.structs import replace

from kubelet_lite.api.errors import FieldError
from kubelet_lite.registry.kinds.namespaces import validate_finalize
from kubelet_lite.registry.part import Part, transition_errors
from kubelet_lite.registry.stored import Stored
from kubelet_lite.registry.subresources import approval, ephemeral_containers, resize


def part_of(target: Stored, subresource: str) -> Part | None:
    """The part of an object that a subresource is, or None where it is no part."""
    match target.resource.qualified, subresource:
        case "namespaces", "finalize":
            return Part(subresource=subresource, prepare=_finalize, validate=_finalize_errors)
        case "pods", "ephemeralcontainers":
            return Part(
                subresource=subresource, prepare=ephemeral_containers.prepare, validate=ephemeral_containers.validate,
                moves_generation=ephemeral_containers.generation_moves,
            )
        case "pods", "resize":
            return Part(
                subresource=subresource, prepare=resize.prepare, validate=resize.validate, moves_generation=resize.generation_moves,
            )
        case "certificatesigningrequests.certificates.k8s.io", "approval":
            return Part(subresource=subresource, prepare=approval.prepare, validate=approval.errors(target.rules.validate))
    return None


def _finalize(new: Any, live: Any, now: float) -> Any:
    return replace(new, status=live.status)


def _finalize_errors(new: Any, live: Any) -> Sequence[FieldError]:
    return [*transition_errors(new, live), *validate_finalize(new, live)]
