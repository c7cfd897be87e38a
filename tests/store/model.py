"""What a store is, said as simply as possible: a list of everything that ever happened."""
from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from kubelet_lite.store import Event, Key
from kubelet_lite.store.head import FIRST_REVISION
from tests.store.things import Thing


class Change(msgspec.Struct, frozen=True):
    revision: int
    key: Key
    object: Any | None
    previous: Any | None
    final: Any | None

    def is_of(self, event: Event) -> bool:
        """The very same objects."""
        return (
            (event.revision, event.key) == (self.revision, self.key)
            and event.object is self.object and event.previous is self.previous and event.final is self.final
        )


class Model:
    def __init__(self) -> None:
        self.changes: list[Change] = []
        self.floors: dict[str, int] = {}
        """For each resource the newest change that has been compacted."""

    @property
    def revision(self) -> int:
        return self.changes[-1].revision if self.changes else FIRST_REVISION

    def at(self, revision: int | None = None) -> dict[Key, Thing]:
        """Everything that was there."""
        state: dict[Key, Thing] = {}
        for change in self.changes:
            if revision is not None and change.revision > revision:
                break
            if change.object is not None:
                state[change.key] = change.object
            else:
                del state[change.key]
        return state

    def write(self, key: Key, obj: Thing | None, final: Thing | None = None) -> None:
        self.changes.append(Change(self.revision + 1, key, obj, self.at().get(key), final))

    def listed(self, resource: str, namespace: str, revision: int, node: str | None) -> list[Thing]:
        """A list, in order."""
        state = self.at(revision)
        return [
            state[key] for key in sorted(state)
            if key.resource == resource and (not namespace or key.namespace == namespace) and (node is None or state[key].node == node)
        ]

    def changes_of(self, resource: str, after: int, selects: Callable[[Change], bool]) -> list[Change]:
        return [change for change in self.changes if change.key.resource == resource and change.revision > after and selects(change)]

    def floor(self, resource: str) -> int:
        return self.floors.get(resource, 0)

    def compact(self, resource: str, revision: int) -> None:
        gone = [change.revision for change in self.changes if change.key.resource == resource and change.revision <= revision]
        self.floors[resource] = max([self.floor(resource), *gone])
