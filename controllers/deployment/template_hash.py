"""The hash of a pod template that names a ReplicaSet and labels its pods: 32 bits, in letters that spell no words.

Equal templates have equal hashes; nothing else is promised of it, so that `collisionCount` can ask for another one.
"""
from __future__ import annotations

from typing import Final

import msgspec

from kubelet_lite.api.core_v1 import PodTemplateSpec

_LETTERS: Final = "bcdfghjklmnpqrstvwxz2456789"
_encoder: Final = msgspec.json.Encoder(order="sorted")


def template_hash(template: PodTemplateSpec, collision_count: int | None = None) -> str:
    data = _encoder.encode(template)
    if collision_count is not None:
        data += collision_count.to_bytes(8, "little")
    return "".join(_LETTERS[ord(digit) % len(_LETTERS)] for digit in str(_fnv(data)))


def _fnv(data: bytes) -> int:
    """FNV-1a of 32 bits."""
    value = 0x811C9DC5
    for byte in data:
        value = (value ^ byte) * 0x01000193 & 0xFFFFFFFF
    return value
