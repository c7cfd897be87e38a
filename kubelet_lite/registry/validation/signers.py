"""Names of certificate signers: a domain and a path. https://kubernetes.io/docs/reference/access-authn-authz/certificate-signing-requests/#signers"""
from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Final

from kubelet_lite.api import names
from kubelet_lite.api.errors import FieldError, invalid, required, too_long

LONGEST_SIGNER_NAME: Final = names.SUBDOMAIN_LENGTH + 1 + names.SUBDOMAIN_LENGTH + names.LABEL_LENGTH + 1


def signer_name(path: str, value: str) -> Iterator[FieldError]:
    if not value:
        yield required(path)
        return
    domain, slash, rest = value.partition("/")
    if not slash or "/" in rest:
        yield invalid(path, value, "must be a fully qualified domain and path of the form 'example.com/signer-name'")
        return
    if len(domain) > names.SUBDOMAIN_LENGTH:
        yield too_long(path, names.SUBDOMAIN_LENGTH)
    yield from _first_wrong_label(path, domain, names.dns1123_label)
    if "." not in domain:
        yield invalid(path, domain, "should be a domain with at least two segments separated by dots")
    yield from _first_wrong_label(path, rest, names.dns1123_subdomain)
    if len(value) > LONGEST_SIGNER_NAME:
        yield too_long(path, LONGEST_SIGNER_NAME)


def _first_wrong_label(path: str, text: str, check: Callable[[str], Sequence[str]]) -> Iterator[FieldError]:
    for i, label in enumerate(text.split(".")):
        if messages := check(label):
            for message in messages:
                yield invalid(path, text, f"validating label {i}: {message}")
            return
