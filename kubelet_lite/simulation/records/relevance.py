"""What of a recording matters to how it failed: the objects that the failure names, their owners and dependants, and what is near those."""
from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from kubelet_lite.api.resources import RESOURCES
from kubelet_lite.simulation.archive import Archive, Revision
from kubelet_lite.simulation.failure import Failure
from kubelet_lite.store.keys import Key

NAMED: Final = 0
RELATED: Final = 1
NEARBY: Final = 2
"""How near an object is to the failure."""
LAST_WRITES: Final = 10
"""Of the instant at which it failed that matter as what the failure names does, whatever it says: one of them made it fail."""
NEVER_SHOWN: Final = frozenset({"leases.coordination.k8s.io"})
"""Unless the failure names them."""
NOT_TO_BLAME: Final = NEVER_SHOWN | {"events"}
"""They tell of what happens, and make nothing fail."""
_WORD: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*(?:/[A-Za-z0-9][A-Za-z0-9._-]*)*")


class Relevance:
    """`of` says how near an object is, None: it does not matter. Where the failure names nothing, all that has happened since the
    cluster was ready is nearby."""

    def __init__(self, archive: Archive, failure: Failure | None) -> None:
        self._family = Family(archive)
        self._ready = archive.ready
        named = dict.fromkeys(self._named(archive, failure)) if failure is not None else {}
        self._ranks: dict[Key, int] = dict.fromkeys(named, NAMED)
        self._all = not named
        self._last = _last_writes(archive, failure) if failure is not None else frozenset()
        related = [*self._up(named), *self._down(named)]
        for key in related:
            self._ranks.setdefault(key, RELATED)
        for key in [*self._down(dict.fromkeys(related)), *self._nodes(self._ranks)]:
            self._ranks.setdefault(key, NEARBY)
        for key, rank in list(self._ranks.items()):
            for event in self._family.events.get(key, ()):
                self._ranks.setdefault(event, rank)

    def of(self, revision: Revision) -> int | None:
        key = revision.event.key
        if revision.event.revision in self._last:
            return NAMED
        found = self._ranks.get(key)
        if found is not None:
            return found
        return NEARBY if self._all and revision.event.revision > self._ready and key.resource not in NEVER_SHOWN else None

    def is_close(self, revision: Revision) -> bool:
        """Whether whoever wrote it may have to do with the failure: what it names, or what is related to that; where it names nothing, all."""
        rank = self.of(revision)
        return rank is not None and revision.event.revision > self._ready and (self._all or rank < NEARBY)

    def of_words(self, text: str) -> int | None:
        """How near what a text names is; None: it names nothing that matters."""
        return min((self._ranks[key] for key in self._family.mentioned(text) if key in self._ranks), default=None)

    def _named(self, archive: Archive, failure: Failure) -> Iterator[Key]:
        if failure.revision:
            yield from (r.event.key for r in archive.revisions if r.event.revision == failure.revision)
        yield from self._family.mentioned(failure.text)

    def _up(self, keys: Mapping[Key, None]) -> list[Key]:
        return self._closure(keys, self._family.owners)

    def _down(self, keys: Mapping[Key, None]) -> list[Key]:
        return self._closure(keys, self._family.dependants)

    @staticmethod
    def _closure(keys: Mapping[Key, None], relation: Mapping[Key, dict[Key, None]]) -> list[Key]:
        found: dict[Key, None] = {}
        waiting = list(keys)
        while waiting:
            for key in relation.get(waiting.pop(0), ()):
                if key not in found and key not in keys:
                    found[key] = None
                    waiting.append(key)
        return list(found)

    def _nodes(self, keys: Mapping[Key, int]) -> list[Key]:
        return [node for key, rank in keys.items() if rank == NAMED for node in self._family.nodes.get(key, ())]


def _last_writes(archive: Archive, failure: Failure) -> frozenset[int]:
    """The newest revisions of the instant at which it failed."""
    last: set[int] = set()
    for revision in reversed(archive.revisions):
        if revision.time < failure.time or revision.event.revision <= archive.ready or len(last) == LAST_WRITES or not failure.time:
            break
        if revision.time == failure.time and revision.event.key.resource not in NOT_TO_BLAME:
            last.add(revision.event.revision)
    return frozenset(last)


class Family:
    """Who owns whom, and which names there have been, over the whole recording. An Event belongs to what it is about."""

    def __init__(self, archive: Archive) -> None:
        self.owners: dict[Key, dict[Key, None]] = {}
        self.dependants: dict[Key, dict[Key, None]] = {}
        self.nodes: dict[Key, dict[Key, None]] = {}
        self.events: dict[Key, dict[Key, None]] = {}
        self._by_name: dict[str, dict[Key, None]] = {}
        self._live: dict[Key, None] = {}
        """Those that changed since the cluster was ready, and nodes: what a bare name may mean."""
        by_uid: dict[str, Key] = {}
        for revision in archive.revisions:
            key, obj = revision.event.key, revision.object
            by_uid[obj.metadata.uid] = key
            self._by_name.setdefault(key.name, {})[key] = None
            if revision.event.revision > archive.ready or key.resource == "nodes":
                self._live[key] = None
            self._relate(key, obj, by_uid)

    def _relate(self, key: Key, obj: Any, by_uid: Mapping[str, Key]) -> None:
        for reference in obj.metadata.ownerReferences:
            owner = by_uid.get(reference.uid)
            if owner is not None:
                self.owners.setdefault(key, {})[owner] = None
                self.dependants.setdefault(owner, {})[key] = None
        if key.resource == "pods" and obj.spec.nodeName:
            self.nodes.setdefault(key, {})[Key("nodes", "", obj.spec.nodeName)] = None
        if key.resource == "events":
            about = by_uid.get(obj.involvedObject.uid)
            if about is not None:
                self.events.setdefault(about, {})[key] = None

    def mentioned(self, text: str) -> Iterator[Key]:
        """The objects that a text names: `default/web`, `web`, and of several kinds the one whose name stands before it."""
        last = ""
        for match in _WORD.finditer(text):
            word = match[0].rstrip(".")
            kind, namespace, name = _parts(word)
            found = [
                key for key in self._by_name.get(name, ())
                if key.resource != "events" and (key.namespace == namespace if namespace else key in self._live)
            ]
            wanted = KINDS.get((kind or last).lower())
            yield from [key for key in found if key.resource == wanted] or found
            last = word


def _parts(word: str) -> tuple[str, str, str]:
    """`pods/default/web`, `default/web`, `pod/web`, `web` → kind, namespace and name."""
    parts = word.split("/")
    if len(parts) == 3:
        return parts[0], parts[1], parts[2]
    if len(parts) == 2:
        return (parts[0], "", parts[1]) if parts[0].lower() in KINDS else ("", parts[0], parts[1])
    return "", "", parts[-1]


KINDS: Final[Mapping[str, str]] = {
    word.lower(): resource.qualified for resource in reversed(RESOURCES)
    for word in (resource.qualified, resource.plural, resource.singular, resource.kind, *resource.short_names)
}
"""What a kind may be called → its resource."""
