"""New objects that differ in their names alone become alike: the next is made of the one before it, and is not looked at again.

Thousands of pods are made of one template. What defaults, admission, checks and managedFields made of one of them holds for the next of
the same creator, within the same second, and as long as nothing changes of the kinds that were read on its way.
"""
from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import msgspec
from msgspec.structs import replace

from kubelet_lite.api.requests import RequestContext
from kubelet_lite.registry.store_view import StoreView

MAX_EXAMPLES: Final = 1024
"""Specs of which the newest object is remembered."""


class Example(msgspec.Struct, frozen=True, gc=False):
    """One object: as it came, and what it became."""

    sent: Any
    creator: tuple[Any, ...]
    made: Any
    read: tuple[str, ...]
    """The resources that its making looked at."""
    revision: int
    """Of the store before it was made."""


class Examples:
    """The newest objects of a registry. All that is asked about them is said of the spec that was sent: equal specs are one object."""

    def __init__(self, view: StoreView) -> None:
        self._view = view
        self._known: dict[int, Example] = {}

    def like(self, ctx: RequestContext, sent: Any, namespace: str, now: str, admission: Any) -> Any | None:
        """The object that `sent` would become, but for its name and what no two objects share; None: not known."""
        example = self._known.get(id(sent.spec))
        if example is None or ctx.dry_run:
            return None
        known, made = example.sent, example.made
        if made.metadata.creationTimestamp != now or made.metadata.namespace != namespace or example.creator != _creator(ctx, admission):
            return None
        if known.status != sent.status or known.kind != sent.kind or known.apiVersion != sent.apiVersion:
            return None
        if known.metadata != replace(sent.metadata, name=""):
            return None
        return made if self._view.changed(*example.read) <= example.revision else None

    def remember(self, ctx: RequestContext, sent: Any, admission: Any, make: Callable[[], Any]) -> Any:
        """What `make` makes of `sent`, from now on an example; not of what warns of something."""
        revision, warned = self._view.revision, len(ctx.warnings)
        with self._view.noting() as read:
            made = make()
        if len(ctx.warnings) == warned and not ctx.dry_run:
            if len(self._known) >= MAX_EXAMPLES:
                self._known.clear()
            sent = replace(sent, metadata=replace(sent.metadata, name=""))
            self._known[id(sent.spec)] = Example(sent, _creator(ctx, admission), made, tuple(read), revision)
        return made


def _creator(ctx: RequestContext, admission: Any) -> tuple[Any, ...]:
    return ctx.identity, ctx.field_manager, admission
