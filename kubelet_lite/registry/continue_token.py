"""Tokens with which a list goes on: Kubernetes' own form, so that a client may show one to either.

https://kubernetes.io/docs/reference/using-api/api-concepts/#retrieving-large-results-sets-in-chunks
"""
from __future__ import annotations

import base64
import posixpath
import string
from typing import Final

import msgspec

from kubelet_lite.api.errors import BadRequest

LATEST: Final = -1
"""The revision of a token that goes on from a newer state than the list began with."""
_ALPHABET: Final = frozenset(string.ascii_letters + string.digits + "-_")


class _Token(msgspec.Struct, omit_defaults=True):
    """Kubernetes' own form of a continue token."""

    v: str
    rv: int
    start: str


def encode(revision: int, place: tuple[str, str], namespaced: bool, namespace: str) -> str:
    """A token to go on behind `place`."""
    start = place[1] if namespace or not namespaced else f"{place[0]}/{place[1]}"
    data = msgspec.json.encode(_Token("meta.k8s.io/v1", revision, start + "\0"))
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def parse(text: str, namespace: str, namespaced: bool) -> tuple[int, tuple[str, str]]:
    """(revision, the place behind which to go on). Raises BadRequest."""
    try:
        token = msgspec.json.decode(_base64(text), type=_Token)
    except (ValueError, msgspec.MsgspecError) as error:
        raise _bad_token(f": {error}") from error
    if token.v != "meta.k8s.io/v1":
        raise _bad_token(f": server does not recognize this encoded version {token.v}")
    if token.rv == 0:
        raise _bad_token(": incorrect encoded start resourceVersion (version meta.k8s.io/v1)")
    if not token.start:
        raise _bad_token(": encoded start key empty (version meta.k8s.io/v1)")
    start = token.start.rstrip("\0").removeprefix("/")
    if posixpath.normpath(f"/{start}") != f"/{start}":
        raise _bad_token(f": {token.start}")
    if namespace or not namespaced:
        return token.rv, (namespace, start)
    head, _, tail = start.partition("/")
    return token.rv, (head, tail)


def _bad_token(why: str) -> BadRequest:
    return BadRequest(f"invalid continue token: continue key is not valid{why}")


def _base64(text: str) -> bytes:
    """As Go reads it: URL alphabet, no padding."""
    wrong = next((i for i, letter in enumerate(text) if letter not in _ALPHABET), len(text) - 1 if len(text) % 4 == 1 else -1)
    if wrong >= 0:
        raise ValueError(f"illegal base64 data at input byte {wrong}")
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
