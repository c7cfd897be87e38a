"""Ports by number or by name."""
from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from kubelet_lite.api import names
from kubelet_lite.api.errors import FieldError, invalid, not_supported, required

PROTOCOLS: Final = ("SCTP", "TCP", "UDP")


def port_number(path: str, value: int) -> Iterator[FieldError]:
    for message in names.port_number(value):
        yield invalid(path, value, message)


def port_number_or_name(path: str, value: int | str) -> Iterator[FieldError]:
    for message in names.port_name(value) if isinstance(value, str) else names.port_number(value):
        yield invalid(path, value, message)


def protocol(path: str, value: str | None) -> Iterator[FieldError]:
    if not value:
        yield required(path)
    elif value not in PROTOCOLS:
        yield not_supported(path, value, PROTOCOLS)
