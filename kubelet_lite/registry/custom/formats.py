"""The formats that a schema may name, as Kubernetes checks them. A format that it does not know says nothing.

https://kubernetes.io/docs/tasks/extend-kubernetes/custom-resources/custom-resource-definitions/#validation
"""
from __future__ import annotations

import base64
import binascii
import datetime
import ipaddress
import re
from collections.abc import Callable, Mapping
from email.utils import parseaddr
from typing import Final
from urllib.parse import urlsplit

from kubelet_lite.api import names
from kubelet_lite.api.durations import DurationError, parse_duration

Check = Callable[[str], bool]
_WORDY_DURATION: Final = re.compile(
    r"(?:\s*\d+\s*(?:ns|nano\w*|us|µs|micro\w*|ms|milli\w*|s|sec\w*|m|min\w*|h|hr\w*|hour\w*|d|day\w*|w|wk\w*|week\w*))+\s*", re.IGNORECASE | re.ASCII,
)
_DATE_TIME: Final = re.compile(r"(\d{4})-(\d\d)-(\d\d)[Tt ](\d\d):(\d\d):(\d\d)(?:\.\d+)?(?:[Zz]|[+-]\d\d:\d\d|[+-]\d{4})?", re.ASCII)
_MAC: Final = re.compile(r"(?:[0-9A-Fa-f]{2}([:-]))(?:[0-9A-Fa-f]{2}\1){4}(?:[0-9A-Fa-f]{2})(?:\1[0-9A-Fa-f]{2}){0,2}|(?:[0-9A-Fa-f]{4}\.){2,3}[0-9A-Fa-f]{4}")
_HOST_LABEL: Final = re.compile(r"[^\W_](?:[\w-]{0,61}[^\W_])?")
_MAX_HOST: Final = 255


def fits(format: str, text: str) -> bool:
    """Whether a text has a format (`date-time`, `uuid`, …)."""
    check = CHECKS.get(format.replace("-", "")) or CHECKS.get(format)
    return check is None or check(text)


def _like(pattern: str) -> Check:
    compiled = re.compile(pattern, re.ASCII)
    return lambda text: compiled.fullmatch(text) is not None


def _uuid(third: str = "[0-9A-F]{4}", fourth: str = "[0-9A-F]{4}") -> Check:
    return _like(rf"(?i)[0-9A-F]{{8}}-?[0-9A-F]{{4}}-?{third}-?{fourth}-?[0-9A-F]{{12}}")


def _date(text: str) -> bool:
    try:
        return re.fullmatch(r"\d{4}-\d\d-\d\d", text, re.ASCII) is not None and bool(datetime.date.fromisoformat(text))
    except ValueError:
        return False


def _date_time(text: str) -> bool:
    found = _DATE_TIME.fullmatch(text)
    if found is None:
        return False
    year, month, day, hour, minute, second = map(int, found.groups())
    return _date(f"{year:04}-{month:02}-{day:02}") and hour < 24 and minute < 60 and second < 60


def _duration(text: str) -> bool:
    try:
        parse_duration(text)
    except DurationError:
        return _WORDY_DURATION.fullmatch(text) is not None
    return True


def _uri(text: str) -> bool:
    """An absolute address, or a path from the root."""
    try:
        parts = urlsplit(text)
        has_port = parts.port is None or parts.port >= 0
    except ValueError:
        return False
    return has_port and (bool(parts.scheme) or text.startswith("/")) and not re.search(r"[\x00-\x20\x7f]|%(?![0-9A-Fa-f]{2})", text)


def _email(text: str) -> bool:
    name, address = parseaddr(text)
    return re.fullmatch(r"[^@\s<>]+@[^@\s<>]+", address) is not None and (text == address or bool(name) or text == f"<{address}>")


def _hostname(text: str) -> bool:
    bare = text.removesuffix(".")
    return bool(bare) and len(text) <= _MAX_HOST and all(_HOST_LABEL.fullmatch(label) for label in bare.split("."))


def _address(kind: type[ipaddress.IPv4Address | ipaddress.IPv6Address]) -> Check:
    def check(text: str) -> bool:
        try:
            kind(text)
        except ValueError:
            return False
        return "%" not in text

    return check


def _cidr(text: str) -> bool:
    address, slash, bits = text.partition("/")
    try:
        return bool(slash) and bits.isdigit() and "%" not in address and bool(ipaddress.ip_interface(f"{address}/{int(bits)}")) and bits == str(int(bits))
    except ValueError:
        return False


def _base64(text: str) -> bool:
    try:
        base64.b64decode(text.encode("utf-8"), validate=True)
    except (binascii.Error, ValueError):
        return False
    return bool(text)


def _isbn10(text: str) -> bool:
    digits = re.sub(r"[\s-]", "", text)
    if not re.fullmatch(r"\d{9}[\dX]", digits, re.ASCII):
        return False
    return sum((10 if digit == "X" else int(digit)) * (i + 1) for i, digit in enumerate(digits)) % 11 == 0


def _isbn13(text: str) -> bool:
    digits = re.sub(r"[\s-]", "", text)
    return re.fullmatch(r"\d{13}", digits, re.ASCII) is not None and sum(int(digit) * (1, 3)[i % 2] for i, digit in enumerate(digits)) % 10 == 0


def _credit_card(text: str) -> bool:
    digits = re.sub(r"\D", "", text, flags=re.ASCII)
    if not re.fullmatch(r"4\d{12}(?:\d{3})?|5[1-5]\d{14}|6(?:011|5\d\d)\d{12}|3[47]\d{13}|3(?:0[0-5]|[68]\d)\d{11}|(?:2131|1800|35\d{3})\d{11}", digits):
        return False
    doubled = [int(digit) * (1 + i % 2) for i, digit in enumerate(reversed(digits))]
    return sum(value - 9 if value > 9 else value for value in doubled) % 10 == 0


CHECKS: Final[Mapping[str, Check]] = {
    "bsonobjectid": _like(r"[0-9a-fA-F]{24}"),
    "uri": _uri,
    "email": _email,
    "hostname": _hostname,
    "ipv4": _address(ipaddress.IPv4Address),
    "ipv6": _address(ipaddress.IPv6Address),
    "cidr": _cidr,
    "mac": lambda text: _MAC.fullmatch(text) is not None,
    "uuid": _uuid(),
    "uuid3": _uuid("3[0-9A-F]{3}"),
    "uuid4": _uuid("4[0-9A-F]{3}", "[89AB][0-9A-F]{3}"),
    "uuid5": _uuid("5[0-9A-F]{3}", "[89AB][0-9A-F]{3}"),
    "isbn": lambda text: _isbn10(text) or _isbn13(text),
    "isbn10": _isbn10,
    "isbn13": _isbn13,
    "creditcard": _credit_card,
    "ssn": _like(r"\d{3}[- ]?\d{2}[- ]?\d{4}"),
    "hexcolor": _like(r"#?(?:[0-9a-fA-F]{3}|[0-9a-fA-F]{6})"),
    "rgbcolor": _like(r"rgb\(\s*(?:\d|[1-9]\d|1\d\d|2[0-4]\d|25[0-5])(?:\s*,\s*(?:\d|[1-9]\d|1\d\d|2[0-4]\d|25[0-5])){2}\s*\)"),
    "byte": _base64,
    "password": lambda text: True,
    "date": _date,
    "duration": _duration,
    "datetime": _date_time,
    "k8s-short-name": lambda text: not names.dns1123_label(text),
    "k8s-long-name": lambda text: not names.dns1123_subdomain(text),
}
"""By name without dashes, as Kubernetes compares them (but for its own two)."""
