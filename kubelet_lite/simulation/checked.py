"""Values that are checked when they are made: a field of a wrong type, or outside of what its annotation allows, is an error at once.

The annotations are msgspec's (`Annotated[float, Meta(ge=0)]`), so that a replay file is held to the same.
https://jcristharif.com/msgspec/constraints.html
"""
from __future__ import annotations

from functools import cache
from typing import Annotated, Any, Final

import msgspec
from msgspec import Meta
from msgspec.structs import fields, force_setattr

MOST_SECONDS: Final = 1e9
"""Thirty years: more is a mistake, and neither infinite nor no number at all can be played."""

Seconds = Annotated[float, Meta(ge=0, le=MOST_SECONDS)]
"""Of virtual time."""
Period = Annotated[float, Meta(gt=0, le=MOST_SECONDS)]
Shift = Annotated[float, Meta(ge=-MOST_SECONDS, le=MOST_SECONDS)]
"""Forwards or backwards."""
Chance = Annotated[float, Meta(ge=0, le=1)]
Count = Annotated[int, Meta(ge=0)]
Positive = Annotated[int, Meta(ge=1)]
Name = Annotated[str, Meta(min_length=1)]
"""Or a pattern of names: an empty one finds nothing."""


class Checked(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Raises ValueError that names the class and the field. What counts as the same is taken for it: 1 for 1.0, a list for a tuple."""

    def __post_init__(self) -> None:
        for name, wanted in _fields(type(self)):
            value = getattr(self, name)
            try:
                converted = msgspec.convert(value, wanted)
            except msgspec.ValidationError as error:
                raise ValueError(f"{type(self).__name__}.{name}={value!r}: {error}") from None
            if type(converted) is not type(value):
                force_setattr(self, name, converted)


@cache
def _fields(kind: type[Checked]) -> tuple[tuple[str, Any], ...]:
    """Name and type of each."""
    return tuple((field.name, field.type) for field in fields(kind))
