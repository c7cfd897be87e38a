"""Semantic versions (`1.2.3-rc.1+build`): their order, as device attributes and expressions use it.

https://semver.org/spec/v2.0.0.html
"""
from __future__ import annotations

import re
from functools import lru_cache
from typing import Final

PATTERN: Final = re.compile(
    r"(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)(?:-((?:0|[1-9]\d*|\d*[a-zA-Z-][0-9a-zA-Z-]*)(?:\.(?:0|[1-9]\d*|\d*[a-zA-Z-][0-9a-zA-Z-]*))*))?"
    r"(?:\+([0-9a-zA-Z-]+(?:\.[0-9a-zA-Z-]+)*))?",
    re.ASCII,
)
_LENIENT: Final = re.compile(r"v?(\d+)(?:\.(\d+))?(?:\.(\d+))?(.*)", re.ASCII | re.DOTALL)
Version = tuple[int, int, int, bool, tuple[tuple[bool, int, str], ...]]
"""Major, minor, patch, whether it is no pre-release, and the parts of the pre-release: ordered as versions are."""


@lru_cache(maxsize=4096)
def read(text: str) -> Version | None:
    """None: not a version. Build metadata has no say."""
    found = PATTERN.fullmatch(text)
    if found is None:
        return None
    parts = tuple((False, int(part), "") if part.isdigit() else (True, 0, part) for part in found[4].split(".")) if found[4] else ()
    return int(found[1]), int(found[2]), int(found[3]), not parts, parts


def normalised(text: str) -> str:
    """`v1.02` → `1.2.0`: what people write, as a version; anything else as it is."""
    found = _LENIENT.fullmatch(text)
    return f"{int(found[1])}.{int(found[2] or 0)}.{int(found[3] or 0)}{found[4]}" if found is not None else text
