"""Quantities (`500m`, `1.5Gi`, `2e3`): exact arithmetic and the canonical form that Kubernetes writes.

Every quantity is a whole number of nanos: what is finer is rounded away from zero when read, as Kubernetes does.
https://kubernetes.io/docs/reference/kubernetes-api/common-definitions/quantity/
"""
from __future__ import annotations

import re
from collections.abc import Iterable
from fractions import Fraction
from functools import lru_cache
from typing import Final, Literal

import msgspec

Style = Literal["decimal", "binary", "exponent"]
"""`12M`, `12Mi`, `12e6`: which family of suffixes a quantity was written in, and is written in again."""
NANO: Final = 10 ** 9
MAX_BINARY: Final = (2 ** 63 - 1) * NANO
"""A binary quantity is capped at what an int64 holds."""
DECIMAL_SUFFIXES: Final = {"n": -9, "u": -6, "m": -3, "": 0, "k": 3, "M": 6, "G": 9, "T": 12, "P": 15, "E": 18}
BINARY_SUFFIXES: Final = {"Ki": 10, "Mi": 20, "Gi": 30, "Ti": 40, "Pi": 50, "Ei": 60}
MOST_DIGITS: Final = 18
"""Numbers of more digits do not fit into Kubernetes' fast form (an int64): their text is never kept as it was written."""
FURTHEST_EXPONENT: Final = 1000
"""Exponents beyond it are refused: their value would fill the memory."""
NOT_A_QUANTITY: Final = r"quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'"
_SPLIT: Final = re.compile(r"([+-]?)0*([0-9]*)(?:\.([0-9]*))?([eEinumkKMGTP]*[-+]?[0-9]*)", re.ASCII)
_EXPONENT: Final = re.compile(r"[eE]([+-]?[0-9]+)", re.ASCII)


class QuantityError(ValueError):
    """Not a quantity, in Kubernetes' words."""


class Quantity(msgspec.Struct, frozen=True):
    """An amount and the family of suffixes it is written in."""

    nanos: int
    style: Style
    text: str
    """The canonical text. A text that Kubernetes takes for canonical is kept as it was (`1.500`, `+1`, `1E3`)."""


@lru_cache(maxsize=16384)
def read(text: str) -> Quantity:
    """The quantity that a text stands for. Raises QuantityError."""
    found = _SPLIT.fullmatch(text)
    if found is None or not text:
        raise QuantityError(NOT_A_QUANTITY)
    sign, number, fraction, suffix = found[1], found[2] or "0", found[3] or "", found[4]
    shifted = int(number + fraction)
    style: Style
    if suffix in DECIMAL_SUFFIXES:
        style, exponent = "decimal", DECIMAL_SUFFIXES[suffix]
    elif suffix in BINARY_SUFFIXES:
        style, exponent = "binary", BINARY_SUFFIXES[suffix]
    elif (power := _EXPONENT.fullmatch(suffix)) is not None and abs(int(power[1])) <= FURTHEST_EXPONENT:
        style, exponent = "exponent", int(power[1])
    else:
        raise QuantityError("unable to parse quantity's suffix")
    nanos = _scaled(shifted << exponent, 9 - len(fraction)) if style == "binary" else _scaled(shifted, exponent - len(fraction) + 9)
    if style == "binary":
        nanos = min(nanos, MAX_BINARY)
        kept = not fraction and bool(shifted & 7) and 14 - len(number) - exponent * 3 // 10 >= 0
        if 0 < nanos < NANO:
            style = "decimal"
    else:
        scale = exponent - len(fraction)
        digits = number + fraction
        kept = scale % 3 == 0 and scale >= -9 and len(digits) <= MOST_DIGITS and not digits.endswith("000") and digits[0] != "0"
    nanos = -nanos if sign == "-" else nanos
    return Quantity(nanos, style, text if kept or text == "0" else written(nanos, style))


def _scaled(number: int, power: int) -> int:
    """number * 10**power, rounded up."""
    factor: int = 10 ** abs(power)
    return number * factor if power >= 0 else -(-number // factor)


def written(nanos: int, style: Style) -> str:
    """The canonical text: no fraction, the largest suffix that loses nothing."""
    if nanos == 0:
        return "0"
    if style == "binary":
        whole, rest = divmod(nanos, NANO)
        if not rest and abs(whole) >= 1024:
            power = 0
            while whole % 1024 == 0 and power < len(BINARY_SUFFIXES):
                whole, power = whole // 1024, power + 1
            return f"{whole}{['', *BINARY_SUFFIXES][power]}"
    exponent = -9
    while nanos % 1000 == 0:
        nanos, exponent = nanos // 1000, exponent + 3
    if style != "exponent" and exponent <= 18:
        return f"{nanos}{_DECIMAL_BY_EXPONENT[exponent]}"
    return f"{nanos}e{exponent}" if exponent else str(nanos)


_DECIMAL_BY_EXPONENT: Final = {exponent: suffix for suffix, exponent in DECIMAL_SUFFIXES.items()}


def parse(text: str) -> Fraction:
    """The exact value."""
    return Fraction(read(text).nanos, NANO)


def canonical(text: str) -> str:
    """The text that Kubernetes answers for this one."""
    return read(text).text


def to_int(text: str) -> int:
    """Whole units, rounded away from zero."""
    return _rounded(read(text).nanos, NANO)


def milli(text: str) -> int:
    """Thousandths, rounded away from zero."""
    return _rounded(read(text).nanos, NANO // 1000)


@lru_cache(maxsize=4096)
def canonical_milli(text: str) -> str:
    """As `canonical`, with what is finer than a milli rounded up: what Kubernetes does to every list of resources."""
    quantity = read(text)
    step = NANO // 1000
    if quantity.nanos % step == 0:
        return quantity.text
    return written(_rounded(quantity.nanos, step) * step, quantity.style)


def of_int(value: int, style: Style = "decimal") -> str:
    """`of_int(2048, "binary")` is `2Ki`."""
    return written(value * NANO, style)


def of_milli(value: int) -> str:
    """`of_milli(1500)` is `1500m`."""
    return written(value * (NANO // 1000), "decimal")


def total(texts: Iterable[str]) -> str:
    """The sum, in the style of the first that is not zero."""
    nanos, style = 0, None
    for text in texts:
        quantity = read(text)
        nanos += quantity.nanos
        if style is None and quantity.nanos:
            style = quantity.style
    return written(nanos, style or "decimal")


def _rounded(nanos: int, unit: int) -> int:
    return -(-nanos // unit) if nanos >= 0 else nanos // unit
