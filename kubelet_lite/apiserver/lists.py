"""Long answers in slices: a list is written item by item, with an await after each slice, whatever its representation.

Item bytes come from the store's cache, shared by all who read the object. https://kubernetes.io/docs/reference/using-api/api-concepts/#streaming-lists
"""
from __future__ import annotations

import zlib
from collections.abc import Awaitable, Callable, Iterable, Iterator
from typing import Any, Final

import msgspec

from kubelet_lite.apiserver.exchange import GZIP_LEVEL, GZIP_THRESHOLD_BYTES, GZIP_WINDOW, Exchange, to_yaml
from kubelet_lite.apiserver.negotiation import YAML, Representation

SLICE_BYTES: Final = 256 * 1024
"""Encoded, compressed and written at once: about a millisecond. Also what is too little to be worth a stream."""
_INDENT: Final = b"\n    "


class Listing(msgspec.Struct, frozen=True, kw_only=True):
    """A list as JSON: everything before the first item, and after the last. `head` ends with the opening bracket of the items."""

    head: bytes
    items: Iterable[bytes]
    tail: bytes = b"]}"


async def write(exchange: Exchange, listing: Listing, representation: Representation, yielding: Callable[[], Awaitable[None]]) -> None:
    """Answers with a list. Short ones go out whole, with their length."""
    media_type = representation.media_type
    if media_type == YAML:
        slices = _slices(_yaml(listing))
    elif exchange.pretty():
        slices = _slices(_indented(listing))
    else:
        slices = _compact(listing)
    first = next(slices)
    second = next(slices, None)
    if second is None:
        exchange.respond(200, first, media_type)
        return
    compressor = zlib.compressobj(GZIP_LEVEL, wbits=GZIP_WINDOW) if exchange.accepts_gzip() and len(first) > GZIP_THRESHOLD_BYTES else None
    more = b"Content-Encoding: gzip\r\nVary: Accept-Encoding\r\n" if compressor is not None else b""
    stream = exchange.start_stream(200, media_type, more)
    for part in _chain(first, second, slices):
        await stream.write(part if compressor is None else compressor.compress(part))
        await yielding()
    if compressor is not None:
        await stream.write(compressor.flush())
    stream.finish()


def _chain(first: bytes, second: bytes, rest: Iterator[bytes]) -> Iterator[bytes]:
    yield first
    yield second
    yield from rest


def _slices(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """Pieces joined to slices of about the size of one; at least one slice."""
    part: list[bytes] = []
    size = 0
    for piece in pieces:
        part.append(piece)
        size += len(piece)
        if size >= SLICE_BYTES:
            yield b"".join(part)
            part, size = [], 0
    yield b"".join(part)


def _compact(listing: Listing) -> Iterator[bytes]:
    """Slices at once: most lists are asked for like this."""
    opening = listing.head
    part: list[bytes] = []
    size = 0
    for item in listing.items:
        part.append(item)
        size += len(item)
        if size >= SLICE_BYTES:
            yield opening + b",".join(part)
            opening, part, size = b",", [], 0
    if not part and opening is not listing.head:
        opening = b""
    yield b"%b%b%b\n" % (opening, b",".join(part), listing.tail)


def _indented(listing: Listing) -> Iterator[bytes]:
    """As `msgspec.json.format` would indent the whole."""
    before, after = msgspec.json.format(listing.head + b'"@"' + listing.tail, indent=2).split(b'"@"')
    yield before
    separator = b""
    for item in listing.items:
        yield separator + msgspec.json.format(item, indent=2).replace(b"\n", _INDENT)
        separator = b"," + _INDENT
    yield after if separator else after.lstrip(b"\n ")


def _yaml(listing: Listing) -> Iterator[bytes]:
    """Keys sorted: those before the items, the items, those behind them."""
    whole: dict[str, Any] = msgspec.json.decode(listing.head + listing.tail)
    name = next(key for key, value in whole.items() if value == [] and key in ("items", "rows"))
    before = {key: value for key, value in whole.items() if key < name}
    after = {key: value for key, value in whole.items() if key > name}
    yield to_yaml(msgspec.json.encode(before)) if before else b""
    yield name.encode() + b":"
    empty = True
    for item in listing.items:
        yield (b"\n" if empty else b"") + to_yaml(b"[" + item + b"]")
        empty = False
    yield b" []\n" if empty else b""
    yield to_yaml(msgspec.json.encode(after)) if after else b""


