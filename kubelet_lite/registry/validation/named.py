"""Names as fields: each check of api/names.py as field errors."""
from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from kubelet_lite.api import names
from kubelet_lite.api.errors import FieldError, invalid


def each(path: str, value: str, messages: Sequence[str]) -> Iterator[FieldError]:
    for message in messages:
        yield invalid(path, value, message)


def _check(messages: Callable[[str], Sequence[str]]) -> Callable[[str, str], Iterator[FieldError]]:
    def check(path: str, value: str) -> Iterator[FieldError]:
        return each(path, value, messages(value))

    return check


dns_label = _check(names.dns1123_label)
dns_subdomain = _check(names.dns1123_subdomain)
dns1035_label = _check(names.dns1035_label)
wildcard_subdomain = _check(names.wildcard_dns1123_subdomain)
qualified_name = _check(names.qualified_name)
path_segment = _check(names.path_segment_name)
ip_address = _check(names.ip_address)
cidr = _check(names.cidr)
fully_qualified_name = _check(names.fully_qualified_name)
