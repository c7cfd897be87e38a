"""Schemas of custom resources: what makes one structural, which defaults fit, where paths lead."""
from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubelet_lite.api.apiextensions_v1 import CustomResourceDefinition, JSONSchemaProps
from kubelet_lite.registry.custom.values import wrong
from kubelet_lite.registry.kinds.customresourcedefinitions import RULES
from kubelet_lite.registry.kinds.customresourcedefinitions.field_paths import FieldPath, follow

ROOT = "spec.validation.openAPIV3Schema"


def of(*fields: str, **properties: Any) -> dict[str, Any]:
    return {"type": "object", "properties": properties, **({"required": list(fields)} if fields else {})}


def definition(schema: dict[str, Any], **version: Any) -> CustomResourceDefinition:
    versions = [{"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": schema}, **version}]
    plain = {
        "metadata": {"name": "as.example.com"},
        "spec": {"group": "example.com", "scope": "Namespaced", "names": {"plural": "as", "kind": "A"}, "versions": versions},
    }
    return RULES.prepare_create(RULES.default(msgspec.convert(plain, CustomResourceDefinition)))  # type: ignore[no-any-return]


def errors(schema: dict[str, Any], **version: Any) -> list[str]:
    return [str(error).replace(ROOT, "*") for error in RULES.validate(definition(schema, **version))]


INT_OR_STRING = {"x-kubernetes-int-or-string": True, "anyOf": [{"type": "integer"}, {"type": "string"}]}
KEYED = {"type": "array", "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["n"], "items": of("n", n={"type": "string"})}


@pytest.mark.parametrize("schema", [
    of(), of(a=INT_OR_STRING), of(a={"type": "object", "x-kubernetes-preserve-unknown-fields": True}), of(a={"x-kubernetes-preserve-unknown-fields": True}),
    of(a=KEYED), of(a={"type": "object", "additionalProperties": {"type": "string"}}), of(a={"type": "integer", "default": 3, "maximum": 3}),
    of(metadata=of(name={"type": "string", "pattern": "^a"})), {**of(a={"type": "string"}), "anyOf": [{"required": ["a"]}, {"not": {"required": ["a"]}}]},
    of(a={"type": "object", "default": {"b": 1}, "properties": {"b": {"type": "integer"}}}), of(a={"type": "number", "default": 1}),
    of(a={"type": "string", "nullable": True}),
])
def test_a_structural_schema_is_accepted(schema: dict[str, Any]) -> None:
    assert errors(schema) == []


@pytest.mark.parametrize(("schema", "wanted"), [
    ({"properties": {}}, ["*.type: Required value: must not be empty at the root"]),
    (of(a={}), ["*.properties[a].type: Required value: must not be empty for specified object fields"]),
    (of(a={"type": "array"}), ["*.properties[a].items: Required value: must be specified"]),
    (of(a={"type": "array", "items": {}}), ["*.properties[a].items.type: Required value: must not be empty for specified array items"]),
    ({**of(), "additionalProperties": True}, ["*.additionalProperties: Forbidden: must not be used at the root"]),
    (of(a={"type": "string", "allOf": [{"type": "string"}]}), ["*.properties[a].allOf[0].type: Forbidden: must be empty to be structural"]),
    ({**of(), "anyOf": [{"properties": {"b": {}}}]}, ["*.properties[b]: Required value: because it is defined in *.anyOf[0].properties[b]"]),
    (of(metadata=of(labels={"type": "object"})), [
        "*.properties[metadata]: Forbidden: must not specify anything other than name and generateName, but metadata is implicitly specified",
    ]),
    ({**of(), "$ref": "x"}, ["*.$ref: Forbidden: $ref is not supported"]),
    (of(a={"type": "array", "items": {"type": "string"}, "uniqueItems": True}), [
        "*.properties[a].uniqueItems: Forbidden: uniqueItems cannot be set to true since the runtime complexity becomes quadratic",
    ]),
    (of(a={"type": "object", "default": {"b": 1}}), ['*.properties[a].default: Invalid value: {"b":1}: must not have unknown fields']),
    (of(a={"type": "integer", "default": "x"}), ['*.properties[a].default: Invalid value: "string":  in body must be of type integer: "string"']),
    (of(metadata={"type": "object", "default": {}}), ["*.properties[metadata].default: Forbidden: must not be set in top-level metadata"]),
    (of(a={**KEYED, "items": of(n={"type": "string"})}), [
        "*.properties[a].items.properties[n].default: Required value: this property is in x-kubernetes-list-map-keys, so it must have a default "
        "or be a required property",
    ]),
])
def test_what_is_not_structural_is_said(schema: dict[str, Any], wanted: list[str]) -> None:
    assert errors(schema) == wanted


def test_what_differs_between_versions_is_checked_in_each() -> None:
    found = definition(of(a={}))
    second = msgspec.structs.replace(found.spec.versions[0], name="v2", storage=False, schema=definition(of()).spec.versions[0].schema)
    found = msgspec.structs.replace(found, spec=msgspec.structs.replace(found.spec, versions=(*found.spec.versions, second)))
    assert [error.field for error in RULES.validate(found)] == ["spec.versions[0].schema.openAPIV3Schema.properties[a].type"]


def test_a_version_that_was_stored_stays() -> None:
    old = definition(of())
    version = msgspec.structs.replace(old.spec.versions[0], name="v2")
    new = RULES.prepare_update(msgspec.structs.replace(old, spec=msgspec.structs.replace(old.spec, versions=(version,))), old)
    assert new.status.storedVersions == ("v1", "v2")
    assert [error.field for error in RULES.validate_update(new, old)] == ["status.storedVersions[0]"]


def test_groups_of_the_community_need_approval() -> None:
    found = definition(of())
    ours = msgspec.structs.replace(found, spec=msgspec.structs.replace(found.spec, group="x.k8s.io"))
    for text, count in (("", 1), ("soon", 1), ("unapproved, an experiment", 0), ("https://example.com/pr/1", 0)):
        metadata = msgspec.structs.replace(ours.metadata, name="as.x.k8s.io", annotations={"api-approved.kubernetes.io": text})
        assert len(RULES.validate(msgspec.structs.replace(ours, metadata=metadata))) == count, text


def schema_of(plain: dict[str, Any]) -> JSONSchemaProps:
    return msgspec.convert(plain, JSONSchemaProps)


@pytest.mark.parametrize(("path", "found"), [
    (".a.b", ("a", "b")), (".m['x.y']", ("m", "x.y")), (".m.z", ("m", "z")), (".nope", "does not refer to a valid field"), ("a", "expected [ or . but got: a"),
    (".", "unexpected end of JSON path"), (".m['x'", "unexpected end of JSON path"), (".m[x]", "expected single quoted string but got x"),
])
def test_a_path_leads_to_a_field_or_nowhere(path: str, found: Any) -> None:
    schema = schema_of(of(a=of(b={"type": "string"}), m={"type": "object", "additionalProperties": {"type": "string"}}))
    result = follow(path, schema)
    assert (result.names if isinstance(result, FieldPath) else result) == found


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | st.floats(-5, 5) | st.text("ab", max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("abc"), inner, max_size=3), max_leaves=8,
)


@given(JSON)
def test_every_value_is_of_its_own_kind_and_of_no_other(value: Any) -> None:
    kinds = {type(None): "null", bool: "boolean", int: "integer", float: "number", str: "string", list: "array", dict: "object"}
    own = kinds[type(value)]
    fitting = {kind for kind in kinds.values() if not any(wrong("x", JSONSchemaProps(type=kind), value))}
    whole = isinstance(value, float) and value.is_integer()
    assert fitting == {own} | ({"number"} if own == "integer" else set()) | ({"integer"} if whole else set())


@given(JSON)
def test_a_value_and_its_negation_cannot_both_fit(value: Any) -> None:
    inner = schema_of({"type": "object", "required": ["a"]})
    fits = not any(wrong("x", inner, value))
    assert any(wrong("x", JSONSchemaProps(not_=inner), value)) == fits


def test_messages_name_the_place_in_the_value() -> None:
    schema = schema_of(of("b", a={"type": "array", "items": {"type": "integer", "minimum": 1}}))
    assert list(map(str, wrong("x", schema, {"a": [1, 0]}))) == [
        "x.b: Required value", "x.a[1]: Invalid value: 0: a[1] in body should be greater than or equal to 1",
    ]
