"""Read your writes: tells when informers have seen what a plan wrote.

For objects written, of each resource the highest revision that the server returned; for deleted ones, that the UID is gone or marked.
"""
from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from kubelet_lite.client.cache import Change, Informer
from kubelet_lite.controllers.carry_out import Outcome

Then = Callable[[], None]


class OwnWrites:
    """Looks in these informers. What is written of kinds that none of them is for counts as seen."""

    def __init__(self, informers: Sequence[Informer[Any]]) -> None:
        self._informers: dict[type, Informer[Any]] = {informer.resource.type: informer for informer in informers}
        self._awaited: dict[str, list[Then]] = {}
        """Who waits for a UID to be gone or marked."""
        for informer in informers:
            informer.add_handler(self._changed)

    def when_seen(self, outcome: Outcome, then: Then) -> None:
        """Calls `then` once all of it has been seen: now, if it has."""
        missing = 1

        def seen() -> None:
            nonlocal missing
            missing -= 1
            if not missing:
                then()

        highest: dict[type, int] = {}
        for obj in outcome.written:
            highest[type(obj)] = max(highest.get(type(obj), 0), int(obj.metadata.resourceVersion))
        for kind, revision in highest.items():
            if (informer := self._informers.get(kind)) is not None:
                missing += 1
                informer.when_seen(revision, seen)
        for obj in outcome.deleted:
            if self._is_there(obj):
                missing += 1
                self._awaited.setdefault(obj.metadata.uid, []).append(seen)
        seen()

    def _is_there(self, obj: Any) -> bool:
        informer = self._informers.get(type(obj))
        if informer is None:
            return False
        known = informer.get(obj.metadata.name, obj.metadata.namespace)
        return known is not None and known.metadata.uid == obj.metadata.uid and known.metadata.deletionTimestamp is None

    def _changed(self, changes: Sequence[Change[Any]]) -> None:
        if not self._awaited:
            return
        for change in changes:
            old, new = change.old, change.new
            if old is not None and (new is None or new.metadata.uid != old.metadata.uid or new.metadata.deletionTimestamp is not None):
                for seen in self._awaited.pop(old.metadata.uid, ()):
                    seen()
