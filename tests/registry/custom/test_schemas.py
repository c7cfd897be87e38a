"""Pure functions over schemas: pruning, defaults, validation, lists, embedded objects, merging."""
from __future__ import annotations

from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from kubelet_lite.api.errors import BadRequest
from kubelet_lite.registry.custom import embedded, formats, list_types, patterns
from kubelet_lite.registry.custom.defaulting import default
from kubelet_lite.registry.custom.nesting import MAX_LEVELS, is_schema_too_deep, is_too_deep
from kubelet_lite.registry.custom.pruning import prune
from kubelet_lite.registry.custom.typed_structure import root_node
from kubelet_lite.registry.custom.values import wrong
from kubelet_lite.registry.patch.merging import fields_of, merge, problems
from tests.registry.custom.things import schema

NAMES = st.sampled_from("abcd")
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(0, 9) | st.text("xy", max_size=2),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=3), max_leaves=12,
)
OBJECTS = st.dictionaries(NAMES, VALUES, max_size=4)


def _object(properties: dict[str, Any], more: dict[str, Any]) -> dict[str, Any]:
    return {"type": "object", "properties": properties, **more}


SCHEMAS = st.recursive(
    st.sampled_from(({"type": "integer", "default": 5}, {"type": "string"}, {"type": "string", "nullable": True}, {"x-kubernetes-preserve-unknown-fields": True})),
    lambda inner: st.builds(_object, st.dictionaries(NAMES, inner, max_size=3), st.sampled_from(({}, {"x-kubernetes-preserve-unknown-fields": True})))
    | st.builds(lambda item: {"type": "array", "items": item}, inner) | st.builds(lambda item: {"type": "object", "additionalProperties": item}, inner),
    max_leaves=8,
)
ROOTS = st.builds(_object, st.dictionaries(NAMES, SCHEMAS, max_size=4), st.just({})).map(schema)


@given(ROOTS, OBJECTS)
def test_what_is_pruned_once_is_pruned_for_good(root: Any, value: Any) -> None:
    kept, gone = prune(root, value)
    again, nothing = prune(root, kept)
    assert again is kept
    assert not nothing
    assert (kept is value) is not bool(gone)


@given(ROOTS, OBJECTS)
def test_defaults_are_filled_once_and_never_pruned(root: Any, value: Any) -> None:
    filled = default(root, prune(root, value)[0])
    assert default(root, filled) is filled
    assert prune(root, filled) == (filled, [])


@given(ROOTS, OBJECTS)
def test_what_has_not_changed_is_never_wrong(root: Any, value: Any) -> None:
    assert not list(wrong("", root, value, "", value))


@given(ROOTS, OBJECTS, OBJECTS)
def test_an_update_has_no_errors_that_a_new_object_would_not_have(root: Any, new: Any, old: Any) -> None:
    assert {str(error) for error in wrong("", root, new, "", old)} <= {str(error) for error in wrong("", root, new)}


@given(ROOTS, OBJECTS)
def test_what_is_applied_is_what_is_merged(root: Any, value: Any) -> None:
    kept = prune(root, value)[0]
    node = root_node(root)
    assume(next(problems(kept, node), None) is None)
    assert merge({}, kept, node) == kept
    fields_of(kept, node)


def test_unknown_fields_are_named_by_their_paths() -> None:
    root = schema({"type": "object", "properties": {"spec": {"type": "object", "properties": {
        "list": {"type": "array", "items": {"type": "object", "properties": {"a": {"type": "string"}}}},
        "free": {"type": "object", "x-kubernetes-preserve-unknown-fields": True, "properties": {"known": {"type": "object"}}},
    }}}})
    value = {"metadata": {}, "spec": {"list": [{"a": "x", "b": 1}], "more": 1, "free": {"any": {"thing": 1}, "known": {"not": 1}}}, "extra": 1}
    kept, gone = prune(root, value)
    assert gone == ["extra", "spec.free.known.not", "spec.list[0].b", "spec.more"]
    assert kept == {"metadata": {}, "spec": {"list": [{"a": "x"}], "free": {"any": {"thing": 1}, "known": {}}}}


def test_nulls_that_are_not_allowed_give_way_to_defaults_or_go() -> None:
    root = schema({"type": "object", "properties": {
        "a": {"type": "integer", "default": 1}, "b": {"type": "integer"}, "c": {"type": "integer", "nullable": True, "default": 3},
        "d": {"type": "object", "default": {}, "properties": {"e": {"type": "integer", "default": 4}}},
    }})
    assert default(root, {"a": None, "b": None, "c": None}) == {"a": 1, "c": None, "d": {"e": 4}}


def test_a_changed_item_of_a_keyed_list_is_compared_with_the_one_of_the_same_key() -> None:
    items = {"type": "object", "properties": {"name": {"type": "string"}, "size": {"type": "integer", "maximum": 3}, "note": {"type": "string"}}}
    keyed = {"type": "array", "items": items, "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["name"]}
    old = {"list": [{"name": "a", "size": 9}]}
    new = {"list": [{"name": "b", "size": 1}, {"name": "a", "size": 9, "note": "x"}]}
    assert not list(wrong("", schema({"type": "object", "properties": {"list": keyed}}), new, "", old))
    atomic = schema({"type": "object", "properties": {"list": {"type": "array", "items": items}}})
    assert [str(error) for error in wrong("", atomic, new, "", old)] == [
        "list[1].size: Invalid value: 9: list[1].size in body should be less than or equal to 3",
    ]


@pytest.mark.parametrize(("rules", "value", "message"), [
    ({"type": "string", "format": "date-time"}, "yesterday", 'v: Invalid value: "yesterday": v in body must be of type date-time: "yesterday"'),
    ({"type": "string", "pattern": "^[a-z]+$"}, "A", "v: Invalid value: \"A\": v in body should match '^[a-z]+$'"),
    ({"type": "integer", "enum": [1, 2]}, True, 'v: Unsupported value: true: supported values: "1", "2"'),
    ({"type": "object", "required": ["x"]}, {}, "v.x: Required value"),
    ({"type": "array", "items": {"type": "string"}, "maxItems": 1}, ["a", "b"], "v: Too many: 2: must have at most 1 items"),
    ({"type": "integer", "anyOf": [{"minimum": 5}, {"maximum": 1}]}, 3, '<nil>: Invalid value: "": "v" must validate at least one schema (anyOf)'),
    ({"type": "integer", "oneOf": [{"minimum": 1}, {"minimum": 2}]}, 3, '<nil>: Invalid value: "": "v" must validate one and only one schema (oneOf). Found 2 valid alternatives'),
    ({"type": "integer", "allOf": [{"minimum": 5}]}, 3, '<nil>: Invalid value: "": "v" must validate all the schemas (allOf). None validated'),
    ({"type": "integer", "not": {"minimum": 1}}, 3, '<nil>: Invalid value: "": "v" must not validate the schema (not)'),
    ({"x-kubernetes-int-or-string": True}, [], 'v: Invalid value: "array": v in body must be of type integer,string: "array"'),
])
def test_what_is_wrong_with_a_value(rules: Any, value: Any, message: str) -> None:
    found = [str(error) for error in wrong("", schema({"type": "object", "properties": {"v": rules}}), {"v": value})]
    assert message in found


OTHER_DIGITS = str.maketrans("0123456789", "٠١٢٣٤٥٦٧٨٩")


@pytest.mark.parametrize(("format", "good", "bad"), [
    ("date", "2024-02-29", "2023-02-29"), ("date-time", "2024-01-02T03:04:05.6Z", "2024-01-02T25:00:00Z"), ("duration", "1h2m", "1 fortnight"),
    ("ipv4", "10.0.0.1", "10.0.0.256"), ("ipv6", "::1", "10.0.0.1"), ("cidr", "10.0.0.0/8", "10.0.0.0"), ("mac", "01:02:03:04:05:06", "01:02"),
    ("uuid", "123e4567-e89b-12d3-a456-426614174000", "123e4567"), ("uuid4", "123e4567-e89b-42d3-a456-426614174000", "123e4567-e89b-12d3-a456-426614174000"),
    ("email", "a@b.com", "a"), ("hostname", "a-b.example.com", "-a"), ("uri", "https://a/b", "a b"), ("byte", "YQ==", "!"),
    ("hexcolor", "#ffaa00", "#ggg"), ("rgbcolor", "rgb(1, 2,255)", "rgb(1,2,256)"), ("isbn10", "0-306-40615-2", "0306406153"),
    ("isbn13", "978-0-306-40615-7", "9780306406158"), ("creditcard", "4111 1111 1111 1111", "4111111111111112"), ("ssn", "123-45-6789", "12-3"),
    ("bsonobjectid", "507f1f77bcf86cd799439011", "507f"), ("k8s-short-name", "a-b", "a.b"), ("k8s-long-name", "a.b", "A"),
])
def test_formats(format: str, good: str, bad: str) -> None:
    assert formats.fits(format, good)
    assert not formats.fits(format, bad)
    other_digits = good.translate(OTHER_DIGITS)
    assert other_digits == good or format in ("hostname", "email", "uri", "byte") or not formats.fits(format, other_digits)


def test_a_format_that_nobody_knows_says_nothing() -> None:
    assert formats.fits("shoe-size", "anything")


def test_patterns_are_those_of_re2() -> None:
    assert patterns.matches(r"^\w+$", "abc")
    assert not patterns.matches(r"\w", "é")  # Go's \w is ASCII
    assert not patterns.matches(r"^a$", "a\n")
    assert patterns.error("(?=a)") == "error parsing regexp: invalid or unsupported Perl syntax: `(?=`"
    assert patterns.error("[a") == "error parsing regexp: missing closing ]: `[a`"
    assert patterns.error(r"\d+") == ""
    assert patterns.matches("(a*)*$", "a" * 5000 + "b") is True  # at once: no backtracking


def test_items_that_stand_twice() -> None:
    root = schema({"type": "object", "properties": {
        "set": {"type": "array", "x-kubernetes-list-type": "set", "items": {"type": "string"}},
        "map": {"type": "array", "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["k"], "items": {"type": "object", "properties": {"k": {"type": "integer"}}}},
        "list": {"type": "array", "items": {"type": "string"}},
    }})
    value = {"set": ["a", "b", "a"], "map": [{"k": 1, "x": 1}, {"k": 1}], "list": ["a", "a"]}
    assert [str(error) for error in list_types.duplicates(root, value)] == ['set[2]: Duplicate value: "a"', 'map[1]: Duplicate value: {"k":1}']


def test_an_embedded_object_is_an_object() -> None:
    root = schema({"type": "object", "properties": {"t": {"type": "object", "x-kubernetes-embedded-resource": True, "x-kubernetes-preserve-unknown-fields": True}}})
    value = {"t": {"apiVersion": "v1", "metadata": {"labels": {"a": "-"}, "unknown": 1}}}
    coerced = embedded.coerce(root, value)
    assert coerced == {"t": {"apiVersion": "v1", "metadata": {"labels": {"a": "-"}}}}
    assert [error.field for error in embedded.errors(root, coerced)] == ["t.kind", "t.metadata.labels"]
    assert embedded.coerce(root, coerced) is coerced
    with pytest.raises(BadRequest, match=r"t\.metadata: Invalid value"):
        embedded.coerce(root, {"t": {"metadata": {"labels": 1}}})


def test_deeper_than_the_limit_is_too_deep() -> None:
    value: Any = {}
    rules: dict[str, Any] = {"type": "object"}
    for _ in range(MAX_LEVELS):
        value, rules = {"a": value}, {"type": "object", "properties": {"a": rules}}
    assert not is_too_deep(value)
    assert is_too_deep({"a": value})
    assert not is_schema_too_deep(schema(rules))
    assert is_schema_too_deep(schema({"type": "array", "items": rules}))
