"""Small objects to store, and one-line ways of storing them."""
from __future__ import annotations

from typing import Any

import msgspec

from kubelet_lite.store import Key, Limits, Store, stamped

NODE = "spec.nodeName"


class Metadata(msgspec.Struct, frozen=True, gc=False):
    name: str
    namespace: str = ""
    resourceVersion: str = ""


class Thing(msgspec.Struct, frozen=True, gc=False):
    metadata: Metadata
    value: int = 0
    node: str = ""


def node_of(thing: Thing) -> str:
    return thing.node


def pod(name: str, namespace: str = "default", *, resource: str = "pods") -> Key:
    return Key(resource, namespace, name)


def new_store(**limits: Any) -> Store:
    """A store for which time stands still, with pods indexed by node."""
    store = Store(Limits(**limits), now=lambda: 0.0)
    store.add_index("pods", NODE, node_of)
    return store


def put(store: Store, key: Key, value: int = 0, *, node: str = "") -> Thing:
    """Writes unconditionally."""
    thing = Thing(Metadata(key.name, key.namespace, str(store.next_revision)), value, node)
    store.put(key, thing, expected=store.mod_revision(key))
    return thing


def delete(store: Store, key: Key) -> Thing:
    final: Thing = stamped(store.get(key), store.next_revision)
    store.delete(key, expected=store.mod_revision(key), final=final)
    return final


def names(things: Any) -> list[str]:
    return [thing.metadata.name for thing in things]
