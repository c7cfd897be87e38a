import json

import yaml
from hypothesis import given
from hypothesis import strategies as st

from kubelet_lite.apiserver import lists
from kubelet_lite.apiserver.lists import Listing

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.text(st.characters(codec="utf-8"), max_size=6),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(st.characters(codec="utf-8"), max_size=4), inner, max_size=3),
)
ITEMS = st.lists(st.dictionaries(st.sampled_from("abc"), VALUES, max_size=3), max_size=5)


def listing(items):
    return Listing(head=b'{"kind":"L","apiVersion":"v1","metadata":{},"items":[', items=[json.dumps(item).encode() for item in items])


def whole(items):
    return {"kind": "L", "apiVersion": "v1", "metadata": {}, "items": items}


@given(ITEMS)
def test_every_form_of_a_list_says_the_same(items):
    assert json.loads(b"".join(lists._compact(listing(items)))) == whole(items)
    assert json.loads(b"".join(lists._indented(listing(items)))) == whole(items)
    assert yaml.safe_load(b"".join(lists._yaml(listing(items)))) == whole(items)


@given(st.lists(st.integers(0, 400_000), max_size=12))
def test_slices_are_about_as_large_as_they_may_be(sizes):
    slices = list(lists._compact(Listing(head=b"[", items=[b"x" * size for size in sizes], tail=b"]")))
    assert sum(map(len, slices)) == sum(sizes) + max(0, len(sizes) - 1) + len(b"[]\n")
    assert all(len(part) >= lists.SLICE_BYTES for part in slices[:-1])
    assert all(len(part) < lists.SLICE_BYTES + 400_020 for part in slices)
