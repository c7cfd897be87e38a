"""Which objects belong to an owner: those that say so and that its selector still selects; orphans that it selects are adopted.

https://kubernetes.io/docs/concepts/overview/working-with-objects/owners-dependents/
"""
from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Final, Generic, TypeVar

import msgspec

from kubelet_lite.api.requests import STRATEGIC_MERGE_PATCH
from kubelet_lite.api.resources import Resource
from kubelet_lite.api.selectors import Selector
from kubelet_lite.client.cache import Informer, by_controller
from kubelet_lite.controllers.base import Patch, controller_of, controller_reference

T = TypeVar("T")
OWNERS: Final = "controller"
ORPHANS: Final = "orphans of namespace"
"""The indexes that find candidates."""


class Claims(msgspec.Struct, Generic[T], frozen=True):
    """`owned`: what belongs to the owner now. `actions`: what makes the rest of what it selects its own, and lets the others go."""

    owned: tuple[T, ...]
    actions: tuple[Patch, ...]


def claim(owner: Any, resource: Resource, selector: Selector, candidates: Iterable[T], finalizers: Sequence[str] = ()) -> Claims[T]:
    """Sorts candidates: those that `owner`, of `resource`, manages, and orphans. Who is being deleted neither takes nor gives.

    `finalizers`: what an adopted object gets besides its owner, and loses with it.
    """
    owned: list[T] = []
    actions: list[Patch] = []
    dying = owner.metadata.deletionTimestamp is not None
    for obj in candidates:
        metadata = obj.metadata  # type: ignore[attr-defined]
        reference = controller_of(obj)
        selected = selector.matches(metadata.labels)
        if reference is None:
            if selected and not dying and metadata.deletionTimestamp is None and metadata.namespace == owner.metadata.namespace:
                actions.append(_adopt(owner, resource, obj, finalizers))
        elif reference.uid != owner.metadata.uid:
            continue
        elif selected:
            owned.append(obj)
        elif not dying:
            actions.append(_release(owner, obj, finalizers))
    return Claims(tuple(owned), tuple(actions))


def candidates_for(informer: Informer[T], owner: Any) -> list[T]:
    """What `claim` looks at. Needs `index_candidates`."""
    metadata = owner.metadata
    return [*informer.by_index(OWNERS, metadata.uid), *informer.by_index(ORPHANS, metadata.namespace)]


def index_candidates(informer: Informer[T]) -> None:
    """Has an informer find objects by their controller's UID, and orphans by their namespace."""
    informer.add_index(OWNERS, by_controller)
    informer.add_index(ORPHANS, _orphan_namespace)


def _orphan_namespace(obj: Any) -> Iterable[str]:
    return (obj.metadata.namespace,) if controller_of(obj) is None else ()


def _adopt(owner: Any, resource: Resource, obj: Any, finalizers: Sequence[str]) -> Patch:
    metadata: dict[str, Any] = {"ownerReferences": [msgspec.to_builtins(controller_reference(owner, resource))]}
    if finalizers:
        metadata["finalizers"] = list(finalizers)
    return Patch(object=obj, change={"metadata": metadata}, content_type=STRATEGIC_MERGE_PATCH, if_alive=owner)


def _release(owner: Any, obj: Any, finalizers: Sequence[str]) -> Patch:
    metadata: dict[str, Any] = {"ownerReferences": [{"$patch": "delete", "uid": owner.metadata.uid}]}
    if finalizers:
        metadata["$deleteFromPrimitiveList/finalizers"] = list(finalizers)
    return Patch(object=obj, change={"metadata": metadata}, content_type=STRATEGIC_MERGE_PATCH)
