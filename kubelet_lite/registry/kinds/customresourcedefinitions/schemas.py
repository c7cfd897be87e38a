"""What the schema of a version may say. https://kubernetes.io/docs/tasks/extend-kubernetes/custom-resources/custom-resource-definitions/#validation"""
from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import msgspec
from msgspec.structs import replace

from kubelet_lite.api.apiextensions_v1 import CustomResourceValidation, JSONSchemaProps, ValidationRule
from kubelet_lite.api.errors import FieldError, forbidden, invalid, not_supported, required
from kubelet_lite.registry.custom.nesting import TOO_DEEP, is_schema_too_deep
from kubelet_lite.registry.kinds.customresourcedefinitions.defaults import default_errors
from kubelet_lite.registry.kinds.customresourcedefinitions.field_paths import follow
from kubelet_lite.registry.kinds.customresourcedefinitions.structural import (
    item_schema,
    structural_errors,
    unsupported,
)
from kubelet_lite.registry.validation.go_values import go_value

TYPES: Final = ("array", "boolean", "integer", "number", "object", "string")
LIST_TYPES: Final = ("atomic", "set", "map")
MAP_TYPES: Final = ("atomic", "granular")
REASONS: Final = ("FieldValueDuplicate", "FieldValueForbidden", "FieldValueInvalid", "FieldValueRequired")
_METADATA_FIELDS: Final = frozenset({"metadata", "kind", "apiVersion"})
_ROOT_FIELDS: Final = (
    "description", "type", "format", "title", "maximum", "exclusiveMaximum", "minimum", "exclusiveMinimum", "maxLength", "minLength", "pattern",
    "maxItems", "minItems", "uniqueItems", "multipleOf", "required", "items", "properties", "externalDocs", "example",
    "x_kubernetes_preserve_unknown_fields", "x_kubernetes_validations",
)
"""What may stand at the root beside a status subresource, whose schema is cut out of the whole."""
_ROOT_NAMES: Final = "[Description Type Format Title Maximum ExclusiveMaximum Minimum ExclusiveMinimum MaxLength MinLength Pattern MaxItems MinItems " \
    "UniqueItems MultipleOf Required Items Properties ExternalDocs Example XPreserveUnknownFields XValidations]"


class Place(msgspec.Struct, frozen=True):
    """Where in the whole a schema stands, as far as it decides what the schema may say."""

    is_root: bool = False
    no_defaults: str | None = None
    """Why there may be no default."""
    in_metadata: bool = False


def validation_errors(path: str, validation: CustomResourceValidation | None, *, has_status: bool) -> Iterator[FieldError]:
    schema = validation.openAPIV3Schema if validation is not None else None
    if schema is None:
        return
    where = f"{path}.openAPIV3Schema"
    if is_schema_too_deep(schema):
        yield invalid(where, "", TOO_DEEP)
        return
    found = list(_root(where, schema)) if has_status else []
    if schema.nullable:
        found.append(forbidden(f"{where}.nullable", "nullable cannot be true at the root"))
    why_not = unsupported(schema)
    if not why_not:
        found += structural_errors(where, schema) or default_errors(where, schema)
    found += _schema(where, schema, Place(is_root=True))
    if why_not and not found:
        found.append(invalid(where, "", why_not))
    yield from found


def _root(path: str, schema: JSONSchemaProps) -> Iterator[FieldError]:
    if schema.type and schema.type != "object":
        yield invalid(f"{path}.type", schema.type, 'only "object" is allowed as the type at the root of the schema if the status subresource is enabled')
        return
    if replace(schema, **{name: getattr(_EMPTY, name) for name in _ROOT_FIELDS}) != _EMPTY:
        yield invalid(path, go_value(schema), f"only {_ROOT_NAMES} fields are allowed at the root of the schema if the status subresource is enabled")


def _schema(path: str, schema: JSONSchemaProps, place: Place) -> Iterator[FieldError]:
    yield from _features(path, schema, place)
    inside = replace(place, is_root=False)
    if schema.additionalProperties is not None:
        if schema.properties and schema.additionalProperties is not True:
            yield forbidden(f"{path}.additionalProperties", "additionalProperties and properties are mutual exclusive")
        if isinstance(schema.additionalProperties, JSONSchemaProps):
            values = replace(inside, no_defaults="inside additionalProperties applying to object metadata") if place.in_metadata else inside
            yield from _schema(f"{path}.additionalProperties", schema.additionalProperties, values)
    for name, inner in schema.properties.items():
        yield from _schema(f"{path}.properties[{name}]", inner, _place_of_property(schema, name, place))
    if schema.not_ is not None:
        yield from _schema(f"{path}.not", schema.not_, inside)
    for several, schemas in (("allOf", schema.allOf), ("oneOf", schema.oneOf), ("anyOf", schema.anyOf)):
        for i, inner in enumerate(schemas):
            yield from _schema(f"{path}.{several}[{i}]", inner, inside)
    for name, inner in schema.definitions.items():
        yield from _schema(f"{path}.definitions[{name}]", inner, inside)
    if isinstance(schema.items, JSONSchemaProps):
        yield from _schema(f"{path}.items", schema.items, inside)
    else:
        for i, inner in enumerate(schema.items or ()):
            yield from _schema(f"{path}.items[{i}]", inner, inside)
    if schema.x_kubernetes_preserve_unknown_fields is False:
        yield invalid(f"{path}.x-kubernetes-preserve-unknown-fields", False, "must be true or undefined")
    yield from _map_type(path, schema)
    yield from _list_type(path, schema)
    for i, rule in enumerate(schema.x_kubernetes_validations):
        yield from _rule(f"{path}.x-kubernetes-validations[{i}]", rule, schema)


def _place_of_property(schema: JSONSchemaProps, name: str, place: Place) -> Place:
    if name not in _METADATA_FIELDS or not (place.is_root or schema.x_kubernetes_embedded_resource):
        return replace(place, is_root=False)
    return Place(in_metadata=True, no_defaults=f"in top-level {name}" if place.is_root else place.no_defaults)


def _features(path: str, schema: JSONSchemaProps, place: Place) -> Iterator[FieldError]:
    if schema.type and schema.type not in TYPES:
        yield not_supported(f"{path}.type", schema.type, TYPES)
    if schema.default is not None and place.no_defaults is not None:
        yield forbidden(f"{path}.default", f"must not be set {place.no_defaults}")
    for name, given in (
        ("id", schema.id), ("additionalItems", schema.additionalItems is not None), ("patternProperties", schema.patternProperties),
        ("definitions", schema.definitions), ("dependencies", schema.dependencies is not None), ("$ref", schema.ref is not None),
    ):
        if given:
            yield forbidden(f"{path}.{name}", f"{name} is not supported")
    if schema.type == "null":
        yield forbidden(f"{path}.type", "type cannot be set to null, use nullable as an alternative")
    if isinstance(schema.items, tuple) and schema.items:
        yield forbidden(f"{path}.items", "items must be a schema object and not an array")
    if place.in_metadata and schema.x_kubernetes_embedded_resource:
        yield forbidden(f"{path}.x-kubernetes-embedded-resource", "must not be used inside of resource meta")
    if schema.uniqueItems:
        yield forbidden(f"{path}.uniqueItems", "uniqueItems cannot be set to true since the runtime complexity becomes quadratic")


def _map_type(path: str, schema: JSONSchemaProps) -> Iterator[FieldError]:
    kind = schema.x_kubernetes_map_type
    if kind is None:
        return
    if schema.type != "object":
        yield _must_be(f"{path}.type", schema.type, "must be object if x-kubernetes-map-type is specified")
    if kind not in MAP_TYPES:
        yield not_supported(f"{path}.x-kubernetes-map-type", kind, MAP_TYPES)


def _list_type(path: str, schema: JSONSchemaProps) -> Iterator[FieldError]:
    kind, keys, items = schema.x_kubernetes_list_type, schema.x_kubernetes_list_map_keys, item_schema(schema)
    if kind is not None and schema.type != "array":
        yield _must_be(f"{path}.type", schema.type, "must be array if x-kubernetes-list-type is specified")
    elif kind == "set" and items is not None:
        yield from _set_items(f"{path}.items", items)
    if kind is not None and kind not in LIST_TYPES:
        yield not_supported(f"{path}.x-kubernetes-list-type", kind, LIST_TYPES)
    if keys and kind != "map":
        why = "must be map if x-kubernetes-list-map-keys is non-empty"
        yield required(f"{path}.x-kubernetes-list-type", why) if kind is None else invalid(f"{path}.x-kubernetes-list-type", kind, why)
    if kind == "map":
        yield from _map_items(path, schema)
    if kind in ("set", "map") and items is not None:
        yield from _entries(f"{path}.items", schema, items)


def _set_items(path: str, items: JSONSchemaProps) -> Iterator[FieldError]:
    """Members of a set are compared as wholes."""
    why = "must be atomic as item of a list with x-kubernetes-list-type=set"
    if items.type == "array" and items.x_kubernetes_list_type not in (None, "atomic"):
        yield invalid(f"{path}.x-kubernetes-list-type", items.x_kubernetes_list_type, why)
    if items.type == "object" and items.x_kubernetes_map_type != "atomic":
        yield invalid(f"{path}.x-kubernetes-map-type", items.x_kubernetes_list_type, why)


def _map_items(path: str, schema: JSONSchemaProps) -> Iterator[FieldError]:
    keys, items = schema.x_kubernetes_list_map_keys, item_schema(schema)
    if not keys:
        yield required(f"{path}.x-kubernetes-list-map-keys", "must not be empty if x-kubernetes-list-type is map")
    if schema.items is None:
        yield required(f"{path}.items", "must have a schema if x-kubernetes-list-type is map")
    elif items is None:
        yield invalid(f"{path}.items", go_value(schema.items), "must only have a single schema if x-kubernetes-list-type is map")
    elif items.type != "object":
        yield invalid(f"{path}.items.type", items.type, "must be object if parent array's x-kubernetes-list-type is map")
    else:
        for i, key in enumerate(keys):
            inner = items.properties.get(key)
            if inner is None:
                yield invalid(f"{path}.x-kubernetes-list-map-keys", keys, "entries must all be names of item properties")
            elif inner.type in ("array", "object"):
                yield invalid(f"{path}.items.properties[{key}].type", items.type, "must be a scalar type if parent array's x-kubernetes-list-type is map")
            if key in keys[:i]:
                yield invalid(f"{path}.x-kubernetes-list-map-keys", keys, "must not contain duplicate entries")


def _entries(path: str, schema: JSONSchemaProps, items: JSONSchemaProps) -> Iterator[FieldError]:
    """Every entry of a set or map must be there, and have its keys."""
    if items.nullable:
        yield forbidden(f"{path}.nullable", f"cannot be nullable when x-kubernetes-list-type is {schema.x_kubernetes_list_type}")
    if schema.x_kubernetes_list_type != "map":
        return
    for key in schema.x_kubernetes_list_map_keys:
        inner = items.properties.get(key)
        if inner is None:
            continue
        where = f"{path}.properties[{key}]"
        if key not in items.required and inner.default is None:
            why = "this property is in x-kubernetes-list-map-keys, so it must have a default or be a required property"
            yield required(f"{where}.default", why)
        if inner.nullable:
            yield forbidden(f"{where}.nullable", "this property is in x-kubernetes-list-map-keys, so it cannot be nullable")


def _rule(path: str, rule: ValidationRule, schema: JSONSchemaProps) -> Iterator[FieldError]:
    """A rule in CEL; whether it compiles is not known here."""
    expression, message = rule.rule.strip(), rule.message.strip()
    if not expression:
        yield required(f"{path}.rule", "rule is not specified")
    elif rule.message and not message:
        yield invalid(f"{path}.message", rule.message, "must be non-empty if specified")
    elif _has_line_breaks(message):
        yield invalid(f"{path}.message", rule.message, "must not contain line breaks")
    elif _has_line_breaks(expression) and not message:
        yield required(f"{path}.message", "must be specified if rule contains line breaks")
    if rule.messageExpression and not rule.messageExpression.strip():
        yield required(f"{path}.messageExpression", "must be non-empty if specified")
    if rule.reason is not None and rule.reason not in REASONS:
        yield not_supported(f"{path}.reason", rule.reason, REASONS)
    if rule.fieldPath and not rule.fieldPath.strip():
        yield invalid(f"{path}.fieldPath", rule.fieldPath, "must be non-empty if specified")
    if _has_line_breaks(rule.fieldPath):
        yield invalid(f"{path}.fieldPath", rule.fieldPath, "must not contain line breaks")
    if rule.fieldPath and not unsupported(schema) and isinstance(follow(rule.fieldPath, schema), str):
        yield invalid(f"{path}.fieldPath", rule.fieldPath, "must be a valid path")


def _has_line_breaks(text: str) -> bool:
    return "\n" in text or "\r" in text


def _must_be(path: str, value: str, why: str) -> FieldError:
    return invalid(path, value, why) if value else required(path, why)


_EMPTY: Final = JSONSchemaProps()
