"""What the types say about merging: for each field whether it is one leaf, a map, or a list whose items are known by keys or value.

Built from the Structs and the facts of `api/_generated/lists.py`. Patches, managedFields and server-side apply share this view.
https://kubernetes.io/docs/reference/using-api/server-side-apply/#merge-strategy
"""
from __future__ import annotations

import sys
from collections.abc import Mapping
from functools import cache
from types import UnionType
from typing import TYPE_CHECKING, Annotated, Any, Final, Union, get_args, get_origin, get_type_hints

import msgspec

from kubelet_lite.api._generated.defaults import DEFAULTS
from kubelet_lite.api._generated.lists import LISTS
from kubelet_lite.api.meta_v1 import ObjectMeta
from kubelet_lite.api.resources import Resource

if TYPE_CHECKING:
    from kubelet_lite.api.apiextensions_v1 import JSONSchemaProps


class Node:
    """A place in an object. Built on first use, since types refer to themselves."""

    __slots__ = ("element", "fields", "key_defaults", "keys", "merge_key", "scalar", "shape", "strategies", "type")

    def __init__(self, shape: str, *, scalar: str = "", element: Node | None = None, struct: Any = None) -> None:
        self.shape = shape
        """`leaf` (a scalar, or an atomic list or map: owned as a whole), `struct`, `map`, `list` (known by keys), `set`, `any`
        (no schema: maps are merged, lists and scalars are leaves)."""
        self.scalar = scalar
        """Of a leaf: what its value must be: string, number, boolean, any (of the three), list, map, or nothing in particular."""
        self.element = element
        """Of a map, list or set, atomic ones too: what each item is."""
        self.fields: Mapping[str, Node] = {}
        """Of a struct: its fields by their names on the wire."""
        self.type = struct
        self.keys: tuple[str, ...] = ()
        self.key_defaults: Mapping[str, Any] = {}
        self.strategies: tuple[str, ...] = ()
        """Of a field, for strategic merge patches: merge, replace, retainKeys."""
        self.merge_key = ""

    def child(self, name: str) -> Node | None:
        """What a map or struct holds under this name; None where the schema has no such field."""
        if self.shape == "any":
            return self
        return self.fields.get(name) or self.element


ANY: Final = Node("any")
UNTYPED: Final = Node("leaf")
ANY_SCALAR: Final = Node("leaf", scalar="any")
"""Quantities, times and IntOrString: Kubernetes' schema leaves open what they are written as."""


@cache
def node_of(kind: Any) -> Node:
    """The node of a whole type."""
    name = f"{kind.__module__.rsplit('.', 1)[-1]}.{kind.__name__}"
    facts = LISTS.get(name, {})
    node = Node("leaf" if facts.get("", _NO_FACT)[4] == "atomic" else "struct", scalar="map", struct=kind)
    node.fields = _Fields(kind, facts)
    return node


_NO_FACT: Final = ("", (), "", "", "")


class _Fields(dict[str, Node]):
    """The fields of one Struct, each resolved when it is first asked for."""

    def __init__(self, kind: Any, facts: Mapping[str, tuple[str, tuple[str, ...], str, str, str]]) -> None:
        super().__init__()
        self._facts = facts
        hints = get_type_hints(kind, vars(sys.modules[kind.__module__]), include_extras=True)
        self._hints = {f.encode_name: hints[f.name] for f in msgspec.structs.fields(kind)}

    def __missing__(self, name: str) -> Node:
        node = self[name] = _field(self._hints[name], self._facts.get(name, _NO_FACT))
        return node

    def get(self, name: str, default: Any = None) -> Any:
        return self[name] if name in self._hints else default


def _field(hint: Any, fact: tuple[str, tuple[str, ...], str, str, str]) -> Node:
    list_type, list_keys, strategy, merge_key, map_type = fact
    node = _of_hint(hint, list_type or ("merge" if strategy.startswith("merge") else "atomic"), list_keys or ((merge_key,) if merge_key else ()), map_type)
    if strategy:
        patched = Node(node.shape, scalar=node.scalar, element=node.element, struct=node.type)
        patched.fields, patched.keys, patched.key_defaults = node.fields, node.keys, node.key_defaults
        patched.strategies, patched.merge_key = tuple(strategy.split(",")), merge_key
        return patched
    return node


def _of_hint(hint: Any, list_type: str, keys: tuple[str, ...], map_type: str) -> Node:
    hint = _bare(hint)
    origin = get_origin(hint)
    if origin is Annotated:  # a format
        return ANY_SCALAR
    if origin is tuple:
        element = _of_hint(get_args(hint)[0], "atomic", (), "")
        if list_type == "atomic":
            return Node("leaf", scalar="list", element=element)
        if not keys:
            return Node("set", element=element)
        node = Node("list", element=element)
        node.keys = tuple(sorted(keys))
        if element.type is not None:
            defaults = DEFAULTS.get(f"{element.type.__module__.rsplit('.', 1)[-1]}.{element.type.__name__}", {})
            node.key_defaults = {k: defaults[k] for k in node.keys if k in defaults}
        return node
    if isinstance(origin, type) and issubclass(origin, Mapping):
        element = _of_hint(get_args(hint)[1], "atomic", (), "")
        return Node("leaf" if map_type == "atomic" else "map", scalar="map", element=element)
    if isinstance(hint, type) and issubclass(hint, msgspec.Struct):
        whole = node_of(hint)
        if map_type == "atomic" and whole.shape == "struct":
            atomic = Node("leaf", scalar="map", struct=hint)
            atomic.fields = whole.fields
            return atomic
        return whole
    if origin in (Union, UnionType):
        kinds = {_bare(a) for a in get_args(hint) if a is not type(None)}
        if not all(get_origin(kind) is None and kind in _SCALARS for kind in kinds):  # a schema or several, say
            return ANY
        return _SCALARS[int] if kinds == {int, float} else ANY_SCALAR
    return _SCALARS.get(hint, UNTYPED)


def _bare(hint: Any) -> Any:
    """Without `| None`, and without bounds."""
    if get_origin(hint) is Annotated:
        bare, *notes = get_args(hint)
        return hint if any(isinstance(note, msgspec.Meta) and note.extra for note in notes) else _bare(bare)
    rest = [a for a in get_args(hint) if a is not type(None)]
    return _bare(rest[0]) if type(None) in get_args(hint) and len(rest) == 1 else hint


_SCALARS: Final[Mapping[Any, Node]] = {
    str: Node("leaf", scalar="string"), bytes: Node("leaf", scalar="string"), int: Node("leaf", scalar="number"),
    float: Node("leaf", scalar="number"), bool: Node("leaf", scalar="boolean"),
}


class SchemaResource(Resource, frozen=True, kw_only=True, eq=False):
    """A custom resource whose schemas are known."""

    schema: JSONSchemaProps
    """Of its own version."""
    list_kind: str

    nodes: Mapping[str, Node]
    """By apiVersion."""
    storage_version: str


def root_node(resource: Resource, api_version: str = "") -> Node:
    """Of a whole object of this resource, in the resource's own version or another."""
    if resource.module:
        return node_of(resource.type)
    if not isinstance(resource, SchemaResource):
        return unstructured_node()
    return resource.nodes.get(api_version or resource.api_version) or unstructured_node()


@cache
def unstructured_node() -> Node:
    """A custom resource whose schema is not known: typed metadata, the rest merged by what it is."""
    node = Node("struct", scalar="map", element=ANY)
    node.fields = {"metadata": node_of(ObjectMeta), "kind": _SCALARS[str], "apiVersion": _SCALARS[str]}
    return node
