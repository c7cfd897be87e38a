"""JSON merge patch: the RFC's examples and its laws."""
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubelet_lite.api.errors import BadRequest
from kubelet_lite.registry.patch import apply_merge_patch


@pytest.mark.parametrize(("current", "patch", "expected"), [
    ({"a": "b"}, {"a": "c"}, {"a": "c"}),
    ({"a": "b"}, {"b": "c"}, {"a": "b", "b": "c"}),
    ({"a": "b"}, {"a": None}, {}),
    ({"a": ["b"]}, {"a": "c"}, {"a": "c"}),
    ({"a": {"b": "c"}}, {"a": {"b": "d", "c": None}}, {"a": {"b": "d"}}),
    ({"a": [{"b": "c"}]}, {"a": [1]}, {"a": [1]}),
    ({"e": None}, {"a": 1}, {"e": None, "a": 1}),
    ({}, {"a": {"bb": {"ccc": None}}}, {"a": {"bb": {}}}),
    ({}, {"a": [{"b": None, "c": 1}, None]}, {"a": [{"c": 1}]}),
])
def test_merging_is_as_in_the_rfc(current, patch, expected):
    assert apply_merge_patch(current, patch) == expected


@pytest.mark.parametrize("patch", [[], "x", 1, None])
def test_a_patch_is_an_object(patch):
    with pytest.raises(BadRequest, match="error decoding patch"):
        apply_merge_patch({}, patch)


WITHOUT_NULLS = st.recursive(
    st.booleans() | st.integers(-9, 9) | st.text("ab", max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("abc", max_size=1), inner, max_size=3), max_leaves=8,
)
DOCUMENTS = st.dictionaries(st.text("abc", max_size=1), WITHOUT_NULLS, max_size=3)
PATCHES = st.dictionaries(st.text("abc", max_size=1), st.none() | WITHOUT_NULLS, max_size=3)


def difference(before, after):
    """The merge patch that makes `after` of `before`."""
    patch = {name: None for name in before if name not in after}
    for name, new in after.items():
        old = before.get(name)
        if isinstance(old, dict) and isinstance(new, dict):
            patch[name] = difference(old, new)
        elif name not in before or (old, type(old)) != (new, type(new)) or isinstance(new, list):
            patch[name] = new
    return patch


@given(DOCUMENTS, PATCHES)
def test_a_patch_applied_twice_is_applied_once(document, patch):
    once = apply_merge_patch(document, patch)
    assert apply_merge_patch(once, patch) == once


@given(DOCUMENTS, DOCUMENTS)
def test_a_difference_applied_gives_the_other(before, after):
    assert apply_merge_patch(before, difference(before, after)) == after


@given(DOCUMENTS)
def test_the_empty_patch_changes_nothing(document):
    assert apply_merge_patch(document, {}) == document
