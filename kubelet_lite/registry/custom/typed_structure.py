"""A schema as patches and server-side apply see it: which places are merged, which owned as a whole.

https://kubernetes.io/docs/reference/using-api/server-side-apply/#custom-resources-and-server-side-apply
"""
from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from kubelet_lite.api.apiextensions_v1 import JSONSchemaProps
from kubelet_lite.api.meta_v1 import ObjectMeta
from kubelet_lite.registry.patch.schema import ANY, ANY_SCALAR, UNTYPED, Node, node_of

_SCALARS: Final[Mapping[str, Node]] = {
    "string": Node("leaf", scalar="string"), "integer": Node("leaf", scalar="number"), "number": Node("leaf", scalar="number"),
    "boolean": Node("leaf", scalar="boolean"),
}


def root_node(schema: JSONSchemaProps) -> Node:
    """Of a whole custom resource."""
    return _resource(_object(schema))


def _resource(node: Node) -> Node:
    """With what every object has, whatever the schema says of it."""
    free = node.shape == "any"
    whole = Node("struct" if free else node.shape, scalar="map", element=ANY if free else node.element)
    whole.fields = {**node.fields, "metadata": node_of(ObjectMeta), "kind": _SCALARS["string"], "apiVersion": _SCALARS["string"]}
    return whole


def _node(schema: JSONSchemaProps) -> Node:
    if schema.x_kubernetes_int_or_string:
        return ANY_SCALAR
    match schema.type:
        case "object":
            node = _object(schema)
            return _resource(node) if schema.x_kubernetes_embedded_resource else node
        case "array":
            return _list(schema)
    if schema.x_kubernetes_preserve_unknown_fields:
        return ANY
    return _SCALARS.get(schema.type, UNTYPED)


def _object(schema: JSONSchemaProps) -> Node:
    keeps = bool(schema.x_kubernetes_preserve_unknown_fields)
    atomic = schema.x_kubernetes_map_type == "atomic"
    if not schema.properties:
        if isinstance(schema.additionalProperties, JSONSchemaProps):
            return Node("leaf" if atomic else "map", scalar="map", element=_node(schema.additionalProperties))
        if keeps or schema.additionalProperties:
            return Node("leaf", scalar="map", element=ANY) if atomic else ANY
    node = Node("leaf" if atomic else "struct", scalar="map", element=ANY if keeps or schema.additionalProperties else None)
    node.fields = {name: _node(inner) for name, inner in schema.properties.items()}
    return node


def _list(schema: JSONSchemaProps) -> Node:
    items = schema.items if isinstance(schema.items, JSONSchemaProps) else None
    element = _node(items) if items is not None else ANY
    match schema.x_kubernetes_list_type:
        case "set":
            return Node("set", element=element)
        case "map":
            node = Node("list", element=element)
            node.keys = tuple(sorted(schema.x_kubernetes_list_map_keys))
            properties = items.properties if items is not None else {}
            node.key_defaults = {key: properties[key].default for key in node.keys if key in properties and properties[key].default is not None}
            return node
    return Node("leaf", scalar="list", element=element)
