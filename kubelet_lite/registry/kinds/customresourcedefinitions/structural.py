"""What makes a schema structural: every field has its type outside of what merely restricts values.

https://kubernetes.io/docs/tasks/extend-kubernetes/custom-resources/custom-resource-definitions/#specifying-a-structural-schema
"""
from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final, Literal

from msgspec.structs import replace

from kubelet_lite.api.apiextensions_v1 import JSONSchemaProps
from kubelet_lite.api.errors import FieldError, forbidden, invalid, required
from kubelet_lite.registry.custom import patterns

Level = Literal["root", "item", "field"]
_EMPTY: Final = JSONSchemaProps()
_UNTYPED: Final = {
    "root": "must not be empty at the root", "item": "must not be empty for specified array items", "field": "must not be empty for specified object fields",
}
_INT_OR_STRING: Final = (JSONSchemaProps(type="integer"), JSONSchemaProps(type="string"))


def structural_errors(path: str, schema: JSONSchemaProps) -> Sequence[FieldError]:
    found = [*_invariants(path, schema, "root"), *_completeness(path, path, schema, schema)]
    return sorted(found, key=str)


def unsupported(schema: JSONSchemaProps) -> str:
    """A reason for which the schema cannot be structural at all; "" when there is none."""
    for name, value in (
        ("id", schema.id), ("schema", schema.schema), ("$ref", schema.ref), ("patternProperties", schema.patternProperties),
        ("dependencies", schema.dependencies), ("additionalItems", schema.additionalItems is not None), ("definitions", schema.definitions),
    ):
        if value:
            return f"OpenAPIV3Schema '{name}' is not supported"
    if isinstance(schema.items, tuple) and schema.items:
        return "OpenAPIV3Schema 'items' must be a schema, but is an array"
    if schema.x_kubernetes_preserve_unknown_fields is False:
        return "internal error: 'x-kubernetes-preserve-unknown-fields' must be true or undefined"
    return next(filter(None, map(unsupported, inner_schemas(schema))), "")


def inner_schemas(schema: JSONSchemaProps) -> Iterator[JSONSchemaProps]:
    """Those directly within, wherever a structural schema may have some."""
    yield from schema.properties.values()
    for inner in (item_schema(schema), schema.additionalProperties, schema.not_):
        if isinstance(inner, JSONSchemaProps):
            yield inner
    for several in (schema.allOf, schema.anyOf, schema.oneOf):
        yield from several


def item_schema(schema: JSONSchemaProps) -> JSONSchemaProps | None:
    return schema.items if isinstance(schema.items, JSONSchemaProps) else None


def _invariants(path: str, schema: JSONSchemaProps, level: Level) -> Iterator[FieldError]:
    items = item_schema(schema)
    if schema.type == "array" and schema.items is None:
        yield required(f"{path}.items", "must be specified")
    if items is not None:
        yield from _invariants(f"{path}.items", items, "item")
    for name, inner in schema.properties.items():
        yield from _invariants(f"{path}.properties[{name}]", inner, "field")
    if schema.additionalProperties is not None:
        if level == "root":
            yield forbidden(f"{path}.additionalProperties", "must not be used at the root")
        if isinstance(schema.additionalProperties, JSONSchemaProps):
            yield from _invariants(f"{path}.additionalProperties", schema.additionalProperties, "field")
    yield from _extensions(path, schema)
    yield from _value_rules(path, schema, any_of=schema.anyOf == _INT_OR_STRING, first_all_of=bool(schema.allOf) and schema.allOf[0].anyOf == _INT_OR_STRING)
    yield from _type(path, schema, level)
    yield from _metadata(path, schema, level)
    if schema.x_kubernetes_embedded_resource and not schema.x_kubernetes_preserve_unknown_fields and not schema.properties:
        yield required(f"{path}.properties", "must not be empty if x-kubernetes-embedded-resource is true without x-kubernetes-preserve-unknown-fields")


def _extensions(path: str, schema: JSONSchemaProps) -> Iterator[FieldError]:
    why = "must be false if x-kubernetes-int-or-string is true"
    if schema.x_kubernetes_int_or_string and schema.x_kubernetes_preserve_unknown_fields:
        yield invalid(f"{path}.x-kubernetes-preserve-unknown-fields", True, why)
    if schema.x_kubernetes_int_or_string and schema.x_kubernetes_embedded_resource:
        yield invalid(f"{path}.x-kubernetes-embedded-resource", True, why)


def _type(path: str, schema: JSONSchemaProps, level: Level) -> Iterator[FieldError]:
    kind, embedded = schema.type, schema.x_kubernetes_embedded_resource
    if embedded and kind != "object":
        why = "must be object if x-kubernetes-embedded-resource is true"
        yield invalid(f"{path}.type", kind, why) if kind else required(f"{path}.type", why)
    elif not kind and not schema.x_kubernetes_int_or_string and not schema.x_kubernetes_preserve_unknown_fields:
        yield required(f"{path}.type", _UNTYPED[level])
    if embedded and schema.additionalProperties is not None:
        yield forbidden(f"{path}.additionalProperties", "must not be used if x-kubernetes-embedded-resource is set")
    if level == "root" and kind and kind != "object":
        yield invalid(f"{path}.type", kind, "must be object at the root")


def _metadata(path: str, schema: JSONSchemaProps, level: Level) -> Iterator[FieldError]:
    """Kubernetes knows what kind, apiVersion and metadata are: a schema may only restrict names."""
    is_resource = level == "root" or schema.x_kubernetes_embedded_resource
    for name in ("kind", "apiVersion"):
        inner = schema.properties.get(name)
        if inner is not None and is_resource and inner.type != "string":
            yield invalid(f"{path}.properties[{name}].type", inner.type, "must be string")
    inner = schema.properties.get("metadata")
    if inner is None:
        return
    where = f"{path}.properties[metadata]"
    if is_resource and inner.type != "object":
        yield invalid(f"{where}.type", inner.type, "must be object")
    if level == "root":
        only_names = inner.properties.keys() <= {"name", "generateName"}
        if replace(inner, type="", default=None, properties={} if only_names else inner.properties) != _EMPTY:
            yield forbidden(where, "must not specify anything other than name and generateName, but metadata is implicitly specified")


def _value_rules(path: str, schema: JSONSchemaProps, *, any_of: bool = False, first_all_of: bool = False) -> Iterator[FieldError]:
    """`any_of`, `first_all_of`: where the types of an int-or-string may stand."""
    if not any_of:
        for i, inner in enumerate(schema.anyOf):
            yield from _nested(f"{path}.anyOf[{i}]", inner)
    for i, inner in enumerate(schema.allOf):
        yield from _nested(f"{path}.allOf[{i}]", inner, any_of=first_all_of and i == 0)
    for i, inner in enumerate(schema.oneOf):
        yield from _nested(f"{path}.oneOf[{i}]", inner)
    if schema.not_ is not None:
        yield from _nested(f"{path}.not", schema.not_)
    if schema.pattern and (wrong := patterns.error(schema.pattern)):
        yield invalid(f"{path}.pattern", schema.pattern, f"must be a valid regular expression, but isn't: {wrong}")


def _nested(path: str, schema: JSONSchemaProps, *, any_of: bool = False) -> Iterator[FieldError]:
    """What restricts values may not define fields."""
    yield from _value_rules(path, schema, any_of=any_of)
    items = item_schema(schema)
    if items is not None:
        yield from _nested(f"{path}.items", items)
    for name, inner in schema.properties.items():
        yield from _nested(f"{path}.properties[{name}]", inner)
    for name, given, should in (
        ("type", schema.type, "empty"), ("additionalProperties", schema.additionalProperties is not None, "undefined"),
        ("default", schema.default is not None, "undefined"), ("title", schema.title, "empty"), ("description", schema.description, "empty"),
        ("nullable", schema.nullable, "false"), ("x-kubernetes-preserve-unknown-fields", schema.x_kubernetes_preserve_unknown_fields, "false"),
        ("x-kubernetes-embedded-resource", schema.x_kubernetes_embedded_resource, "false"),
        ("x-kubernetes-int-or-string", schema.x_kubernetes_int_or_string, "false"),
        ("x-kubernetes-list-map-keys", schema.x_kubernetes_list_map_keys, "empty"),
        ("x-kubernetes-list-type", schema.x_kubernetes_list_type is not None, "undefined"),
        ("x-kubernetes-map-type", schema.x_kubernetes_map_type is not None, "undefined"),
        ("x-kubernetes-validations", schema.x_kubernetes_validations, "empty"),
    ):
        if given:
            yield forbidden(f"{path}.{name}", f"must be {should} to be structural")
    if "metadata" in schema.properties:
        yield forbidden(f"{path}.properties[metadata]", "must not be specified in a nested context")


def _completeness(path: str, where: str, rules: JSONSchemaProps, schema: JSONSchemaProps) -> Iterator[FieldError]:
    """Every field that a rule at `where` names is defined under `path`, where `schema` stands."""
    if rules.not_ is not None:
        yield from _nested_completeness(path, f"{where}.not", rules.not_, schema)
    for name, several in (("allOf", rules.allOf), ("anyOf", rules.anyOf), ("oneOf", rules.oneOf)):
        for i, inner in enumerate(several):
            yield from _nested_completeness(path, f"{where}.{name}[{i}]", inner, schema)


def _nested_completeness(path: str, where: str, rules: JSONSchemaProps, schema: JSONSchemaProps | None) -> Iterator[FieldError]:
    if schema is None:
        yield required(path, f"because it is defined in {where}")
        return
    yield from _completeness(path, where, rules, schema)
    items = item_schema(rules)
    if items is not None:
        yield from _nested_completeness(f"{path}.items", f"{where}.items", items, item_schema(schema))
    for name, inner in rules.properties.items():
        yield from _nested_completeness(f"{path}.properties[{name}]", f"{where}.properties[{name}]", inner, schema.properties.get(name))
