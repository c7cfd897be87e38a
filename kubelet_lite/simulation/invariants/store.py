"""What the store and what is read from it promise. https://etcd.io/docs/latest/learning/api_guarantees/#kv-apis"""
from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

import msgspec

from kubelet_lite.simulation.answers import Answer, Compaction, Got, Listed, StoredObject, Wrote, as_kept
from kubelet_lite.simulation.archive import Revision
from kubelet_lite.simulation.invariant import Breach, Invariant
from kubelet_lite.simulation.invariants.history import History, same
from kubelet_lite.simulation.snapshot import Place, Snapshot
from kubelet_lite.store.keys import Key

RULES: Final[Mapping[str, str]] = {
    "Linearizable": "A read shows what is there at its revision, all of it and nothing else; a write that was acknowledged is there.",
    "NoFutureRevision": "No object and no answer bears a revision that has not happened.",
    "RevisionMonotone": "Every change has a higher revision than the one before it, and its object bears it.",
    "CompactionKeepsLive": "Compaction forgets history, never what is there.",
    "CompareAndSwapExclusive": "Of writers who know the same revision of an object one succeeds.",
    "UidNeverReused": "No two objects have the same UID, and an object keeps its own.",
}
"""The names of what StoreRules checks, and what each says."""


class StoreRules(Invariant):
    """All rules of RULES at once."""

    name = "Store"
    answers = (Got, Wrote, Listed, Compaction)

    def __init__(self) -> None:
        self._history = History()
        self._revision = 0
        self._uids: dict[str, str] = {}
        """UID → whose it is."""

    def on_revision(self, revision: Revision, before: Snapshot) -> Iterable[str]:
        event = revision.event
        key, number = event.key, event.revision
        self._history.add(revision)
        meta = revision.object.metadata
        if number <= self._revision:
            return (Breach("RevisionMonotone", f"{key} was changed at revision {number}, after revision {self._revision}"),)
        self._revision = number
        if meta.resourceVersion != str(number):
            rule = "NoFutureRevision" if meta.resourceVersion.isdigit() and int(meta.resourceVersion) > number else "RevisionMonotone"
            return (Breach(rule, f"{key} bears revision {meta.resourceVersion or 'none'}; it was changed at {number}"),)
        held = before.get(key.resource, key.name, key.namespace)
        at = int(held.metadata.resourceVersion) if held is not None else 0
        if revision.expected is not None and revision.expected != at:
            return (Breach("CompareAndSwapExclusive", f"{key} was changed at revision {number} by one who knew {revision.expected}; it was at {at}"),)
        if held is not None and held.metadata.uid != meta.uid:
            return (Breach("UidNeverReused", f"{key} had UID {held.metadata.uid} and has {meta.uid} at revision {number}"),)
        if held is None and meta.uid:
            if meta.uid in self._uids:
                return (Breach("UidNeverReused", f"{key} has at revision {number} the UID {meta.uid} that {self._uids[meta.uid]} had"),)
            self._uids[meta.uid] = str(key)
        return ()

    def on_answer(self, answer: Answer, snapshot: Snapshot) -> Iterable[str]:
        if isinstance(answer, Got):
            held = snapshot.all(answer.resource).get(answer.place)
            if not same(held, answer.object):
                return (Breach("Linearizable", f"{_named(answer.resource, answer.place)} was read as {_at(answer.object)}; there was {_at(held)}"),)
        elif isinstance(answer, Wrote):
            return self._written(answer, snapshot)
        elif isinstance(answer, Listed):
            return self._listed(answer, snapshot)
        elif isinstance(answer, Compaction):
            return _compacted(answer, snapshot)
        return ()

    def _written(self, answer: Wrote, snapshot: Snapshot) -> Iterator[str]:
        revision = int(answer.object.metadata.resourceVersion or 0)
        what = _named(answer.resource, answer.place)
        if revision > answer.at:
            yield Breach("NoFutureRevision", f"the answer of a write of {what} bears revision {revision}; the store is at {answer.at}")
        held: Any = snapshot.all(answer.resource).get(answer.place)
        if same(held, answer.object):
            return
        last = self._history.find(answer.resource, revision)
        if held is None and last is not None and last.event.object is None and last.event.key.name == answer.place[1]:
            return
        yield Breach("Linearizable", f"a write of {what} was acknowledged with {_at(answer.object)}; there was {_at(held)}")

    def _listed(self, answer: Listed, snapshot: Snapshot) -> Iterator[str]:
        revision = int(answer.revision)
        if revision > answer.at:
            yield Breach("NoFutureRevision", f"a list of {answer.resource} is of revision {revision}; the store is at {answer.at}")
        state = self._history.state_at(answer.resource, revision, snapshot)
        selects = answer.selects
        for obj in answer.items:
            place = (obj.metadata.namespace, obj.metadata.name)
            held = state.get(place)
            if not same(held, obj) or (selects is not None and not selects(held)):
                yield Breach("Linearizable", f"a list of {answer.resource} at revision {revision} shows {place} as {_at(obj)}; there was {_at(held)}")
        if answer.whole:
            wanted = state if selects is None else {place: obj for place, obj in state.items() if selects(obj)}
            shown = {(obj.metadata.namespace, obj.metadata.name) for obj in answer.items}
            if len(answer.items) != len(wanted) or len(shown) != len(wanted):
                missing = ", ".join(_named(answer.resource, place) for place in wanted if place not in shown) or "none"
                yield Breach("Linearizable", f"a list of {answer.resource} at revision {revision} shows {len(answer.items)} of {len(wanted)}; missing: {missing}")


def _compacted(answer: Compaction, snapshot: Snapshot) -> Iterator[str]:
    held = snapshot.all(answer.resource)
    for place, obj in held.items():
        if answer.live.get(place) is not obj:
            yield Breach("CompactionKeepsLive", f"{_named(answer.resource, place)} at {_at(obj)} was lost or changed by compaction up to {answer.compacted}")
    if len(answer.live) != len(held):
        yield Breach("CompactionKeepsLive", f"compaction of {answer.resource} up to {answer.compacted} left {len(answer.live)} objects of {len(held)}")


def _named(resource: str, place: Place) -> str:
    return f"{resource} {place[0]}/{place[1]}" if place[0] else f"{resource} {place[1]}"


def _at(obj: Any | None) -> str:
    return f"revision {obj.metadata.resourceVersion}" if obj is not None else "nothing"


class NoWriteToCachedObject(Invariant):
    """An object that was written stays as it is, whoever shares it: looked at when it is replaced, and at the end.

    The law of Kubernetes' informers ("do not mutate what the cache hands out"), here of every value in memory.
    """

    name = "NoWriteToCachedObject"
    answers = (StoredObject,)

    def __init__(self) -> None:
        self._stored: dict[Key, StoredObject] = {}
        """Every live object as it was stored."""

    def on_answer(self, answer: Answer, snapshot: Snapshot) -> Iterable[str]:
        assert isinstance(answer, StoredObject)
        self._stored[answer.key] = answer
        return ()

    def on_revision(self, revision: Revision, before: Snapshot) -> Iterable[str]:
        stored = self._stored.pop(revision.event.key, None)
        if stored is not None and stored.object is revision.event.previous and as_kept(stored.object) != stored.kept:
            return (_changed(stored),)
        return ()

    def at_end(self, snapshot: Snapshot, now: float) -> Iterable[str]:
        for key, stored in self._stored.items():
            if snapshot.get(key.resource, key.name, key.namespace) is stored.object and as_kept(stored.object) != stored.kept:
                yield _changed(stored)


def _changed(stored: StoredObject) -> str:
    was, now = msgspec.json.decode(stored.kept), msgspec.json.decode(as_kept(stored.object))
    return f"{stored.key} at revision {stored.at} was changed by one who shares it: {next(_differences(was, now, ''), 'in its order')}"


def _differences(was: Any, now: Any, path: str) -> Iterator[str]:
    """The paths at which two JSON values differ."""
    if isinstance(was, dict) and isinstance(now, dict):
        for name in dict.fromkeys((*was, *now)):
            if was.get(name) != now.get(name):
                yield from _differences(was.get(name), now.get(name), f"{path}.{name}" if path else name)
    elif isinstance(was, list) and isinstance(now, list) and len(was) == len(now):
        for number, (one, other) in enumerate(zip(was, now, strict=True)):
            if one != other:
                yield from _differences(one, other, f"{path}[{number}]")
    else:
        yield f"{path} was {was!r} and is {now!r}"
