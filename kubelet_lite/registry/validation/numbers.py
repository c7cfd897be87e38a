"""Checks of plain numbers and of int-or-percent values."""
from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from kubelet_lite.api import names
from kubelet_lite.api.errors import FieldError, invalid

NEGATIVE: Final = "must be greater than or equal to 0"
NOT_POSITIVE: Final = "must be greater than zero"
NOT_INTEGER: Final = "must be an integer"
IMMUTABLE: Final = "field is immutable"
MAX_INT32: Final = 2 ** 31 - 1


def nonnegative(path: str, value: int | None) -> Iterator[FieldError]:
    if value is not None and value < 0:
        yield invalid(path, value, NEGATIVE)


def in_range(path: str, value: int, low: int, high: int) -> Iterator[FieldError]:
    if not low <= value <= high:
        yield invalid(path, value, names.not_between(low, high))


def int_or_percent(path: str, value: int | str) -> Iterator[FieldError]:
    """A number that is not negative, or a percentage."""
    if isinstance(value, str):
        for message in names.percent(value):
            yield invalid(path, value, message)
    else:
        yield from nonnegative(path, value)


def at_most_all(path: str, value: int | str) -> Iterator[FieldError]:
    """Not more than 100 %."""
    if isinstance(value, str) and not names.percent(value) and int(value[:-1]) > 100:
        yield invalid(path, value, "must not be greater than 100%")


def amount(value: int | str | None) -> int:
    """The number, or the number before the percent sign: what tells whether it is zero. What is neither counts as zero."""
    if isinstance(value, str):
        digits = value.removesuffix("%")
        return int(digits) if digits.isascii() and digits.lstrip("+-").isdigit() else 0
    return value or 0
