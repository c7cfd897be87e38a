"""JSON patch: the operations of RFC 6902, and Kubernetes' answers to what does not apply."""
import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubelet_lite.api.errors import ApiError, BadRequest, Invalid, RequestEntityTooLarge
from kubelet_lite.registry.patch import apply_json_patch
from kubelet_lite.registry.patch.json_patch import unknown_fields

DOCUMENT = {"a": {"b": [1, 2, 3], "c~/d": "x"}, "n": None}


@pytest.mark.parametrize(("operation", "expected"), [
    ({"op": "add", "path": "/a/b/-", "value": 4}, {"a": {"b": [1, 2, 3, 4], "c~/d": "x"}, "n": None}),
    ({"op": "add", "path": "/a/b/0", "value": 0}, {"a": {"b": [0, 1, 2, 3], "c~/d": "x"}, "n": None}),
    ({"op": "add", "path": "/a/b/-1", "value": 9}, {"a": {"b": [1, 2, 3, 9], "c~/d": "x"}, "n": None}),
    ({"op": "add", "path": "/new", "value": {"x": 1}}, {**DOCUMENT, "new": {"x": 1}}),
    ({"op": "remove", "path": "/a/b/1"}, {"a": {"b": [1, 3], "c~/d": "x"}, "n": None}),
    ({"op": "remove", "path": "/a/c~0~1d"}, {"a": {"b": [1, 2, 3]}, "n": None}),
    ({"op": "replace", "path": "/a/b/-1", "value": 7}, {"a": {"b": [1, 2, 7], "c~/d": "x"}, "n": None}),
    ({"op": "replace", "path": "/absent", "value": 7}, {**DOCUMENT, "absent": 7}),
    ({"op": "replace", "path": "", "value": {"all": "new"}}, {"all": "new"}),
    ({"op": "move", "from": "/a/b/0", "path": "/first"}, {"a": {"b": [2, 3], "c~/d": "x"}, "n": None, "first": 1}),
    ({"op": "copy", "from": "/a/b", "path": "/copy"}, {**DOCUMENT, "copy": [1, 2, 3]}),
    ({"op": "test", "path": "/a/b/2", "value": 3}, DOCUMENT),
    ({"op": "test", "path": "/absent"}, DOCUMENT),
])
def test_an_operation_does_what_the_rfc_says(operation, expected):
    assert apply_json_patch(DOCUMENT, [operation]) == expected


@pytest.mark.parametrize("operation", [
    {"op": "remove", "path": "/absent"},
    {"op": "remove", "path": "/a/b/3"},
    {"op": "add", "path": "/absent/x", "value": 1},
    {"op": "add", "path": "/a/b/5", "value": 1},
    {"op": "add", "path": "/a/b/x", "value": 1},
    {"op": "add", "path": "", "value": {}},
    {"op": "replace", "path": "", "value": 1},
    {"op": "test", "path": "/a/b/0", "value": True},
    {"op": "move", "from": "/absent", "path": "/x"},
    {"op": "nonsense", "path": "/a"},
    {"path": "/a"},
    {"op": "add", "value": 1},
])
def test_what_does_not_apply_is_a_422_without_further_words(operation):
    with pytest.raises(Invalid) as caught:
        apply_json_patch(DOCUMENT, [operation])
    assert caught.value.to_status() == {
        "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
        "message": "the server rejected our request due to an error in our request", "reason": "Invalid", "details": {}, "code": 422,
    }


@pytest.mark.parametrize("patch", [{}, "x", [1], [{"op": 1}], [{"op": "add", "path": []}]])
def test_what_is_no_patch_is_a_bad_request(patch):
    with pytest.raises(BadRequest, match="error decoding patch: json: cannot unmarshal"):
        apply_json_patch(DOCUMENT, patch)


def test_fields_that_no_operation_has_are_named():
    assert list(unknown_fields([{"op": "add", "path": "/a", "value": 1}, {"op": "test", "x": 1, "path": "/"}])) == ['unknown field "[1].x"']


def test_too_many_operations_are_refused():
    with pytest.raises(RequestEntityTooLarge, match="maximum operations in a JSON patch is 10000, got 10001"):
        apply_json_patch(DOCUMENT, [{"op": "test", "path": "/n"}] * 10_001)


def test_copies_are_bounded_in_bytes():
    doubling = [{"op": "add", "path": "/x", "value": ["x" * 1000]}] + [{"op": "copy", "from": "/x", "path": "/x/-"}] * 40
    with pytest.raises(Invalid):
        apply_json_patch({}, doubling)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.text("ab/~", max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("ab/~0-", max_size=2), inner, max_size=3), max_leaves=8,
)
POINTERS = st.lists(st.sampled_from(["a", "b", "0", "1", "-", "-1", "~0", "~1", ""]), max_size=3).map(lambda parts: "".join(f"/{p}" for p in parts))
OPERATIONS = st.fixed_dictionaries(
    {"op": st.sampled_from(["add", "remove", "replace", "move", "copy", "test"]), "path": POINTERS, "from": POINTERS, "value": JSON},
)


@given(st.dictionaries(st.text("ab", max_size=2), JSON, max_size=3), st.lists(OPERATIONS, max_size=4))
def test_a_patch_never_changes_what_it_is_applied_to_and_fails_only_as_an_api_error(document, operations):
    before = repr((document, operations))
    with contextlib.suppress(ApiError):
        apply_json_patch(document, operations)
    assert repr((document, operations)) == before


@given(st.dictionaries(st.text("ab~/", max_size=3), JSON, max_size=3), JSON)
def test_add_then_remove_leaves_the_document_as_it_was(document, value):
    added = apply_json_patch(document, [{"op": "add", "path": "/zz", "value": value}])
    assert apply_json_patch(added, [{"op": "test", "path": "/zz", "value": value}, {"op": "remove", "path": "/zz"}]) == document
