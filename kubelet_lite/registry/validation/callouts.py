"""Where the API server calls out to: URLs and Services of webhooks. https://kubernetes.io/docs/reference/access-authn-authz/extensible-admission-controllers/"""
from __future__ import annotations

from collections.abc import Iterator
from typing import Final
from urllib.parse import urlsplit

from kubelet_lite.api import names
from kubelet_lite.api.errors import FieldError, invalid, required

_FORM: Final = "; desired format: https://host[/path]"


def url(path: str, value: str) -> Iterator[FieldError]:
    try:
        parts = urlsplit(value)
    except ValueError as error:
        yield required(path, f"url must be a valid URL: {error}{_FORM}")
        return
    if parts.scheme != "https":
        yield invalid(path, parts.scheme, f"'https' is the only allowed URL scheme{_FORM}")
    user, _, host = parts.netloc.rpartition("@")
    if not host:
        yield invalid(path, host, f"host must be specified{_FORM}")
    if user:
        yield invalid(path, user, "user information is not permitted in the URL")
    if parts.fragment:
        yield invalid(path, parts.fragment, "fragments are not permitted in the URL")
    if parts.query:
        yield invalid(path, parts.query, "query parameters are not permitted in the URL")


def service(path: str, first: tuple[str, str], second: tuple[str, str], url_path: str | None, port: int | None) -> Iterator[FieldError]:
    """`first` and `second`: name and namespace as (field, value), in the order in which they are asked for."""
    for field, value in (first, second):
        if not value:
            yield required(f"{path}.{field}")
    if port is not None and (messages := names.port_number(port)):
        yield invalid(f"{path}.port", port, f"port is not valid: {','.join(messages)}")
    if url_path:
        yield from _url_path(f"{path}.path", url_path)


def _url_path(path: str, value: str) -> Iterator[FieldError]:
    if value == "/":
        return
    if value == "//":
        yield invalid(path, value, "segment[0] may not be empty")
        return
    if not value.startswith("/"):
        yield invalid(path, value, "must start with a '/'")
    for i, segment in enumerate(value[1:].removesuffix("/").split("/")):
        if not segment:
            yield invalid(path, value, f"segment[{i}] may not be empty")
        for message in names.dns1123_subdomain(segment):
            yield invalid(path, value, f"segment[{i}]: {message}")
