"""Bytes are made once while they are asked for, and are bounded."""
from __future__ import annotations

import msgspec

from kubelet_lite.store.encoded import ENTRY_BYTES, EncodedCache
from tests.store.things import Metadata, Thing


def encode(thing: Thing) -> bytes:
    return b"x" * thing.value


def thing(size: int, name: str = "a") -> Thing:
    return Thing(Metadata(name), size)


def test_an_object_is_encoded_once_for_each_encoding() -> None:
    cache, obj = EncodedCache(10_000), thing(10)
    assert cache.get(obj, encode) is cache.get(obj, encode)
    assert cache.get(obj, msgspec.json.encode) == msgspec.json.encode(obj)
    assert cache.encoded == 2


def test_equal_objects_do_not_share_bytes_that_could_differ() -> None:
    cache = EncodedCache(10_000)
    cache.get(thing(10), encode)
    cache.get(thing(10), encode)
    assert cache.encoded == 2


def test_what_was_not_asked_for_longest_goes_first() -> None:
    cache = EncodedCache(8 * (100 + ENTRY_BYTES))
    used, unused = thing(100), thing(100)
    cache.get(unused, encode)
    for _ in range(20):
        cache.get(used, encode)
        cache.get(thing(100), encode)
        assert cache.size_bytes <= 8 * (100 + ENTRY_BYTES)
    count = cache.encoded
    cache.get(used, encode)
    assert cache.encoded == count
    cache.get(unused, encode)
    assert cache.encoded == count + 1


def test_what_is_too_large_is_not_kept() -> None:
    cache, large = EncodedCache(1_000), thing(5_000)
    assert len(cache.get(large, encode)) == len(cache.get(large, encode)) == 5_000
    assert (cache.size_bytes, cache.encoded) == (0, 2)
