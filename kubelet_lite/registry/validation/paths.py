"""File paths that stay below where they belong."""
from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from kubelet_lite.api.errors import FieldError, invalid

MODE_RANGE: Final = "must be a number between 0 and 0777 (octal), both inclusive"


def no_backsteps(path: str, value: str) -> Iterator[FieldError]:
    if ".." in value and ".." in value.split("/"):
        yield invalid(path, value, "must not contain '..'")


def descending(path: str, value: str) -> Iterator[FieldError]:
    """Relative, and never upwards."""
    if value.startswith("/"):
        yield invalid(path, value, "must be a relative path")
    yield from no_backsteps(path, value)


def not_reserved(path: str, value: str) -> Iterator[FieldError]:
    """Descending, and not one of the names that start with `..`, which atomic updates of volumes use."""
    yield from descending(path, value)
    if value.startswith("..") and not value.startswith("../"):
        yield invalid(path, value, "must not start with '..'")


def file_mode(path: str, value: int | None) -> Iterator[FieldError]:
    if value is not None and not 0 <= value <= 0o777:
        yield invalid(path, value, MODE_RANGE)
