"""What a watch promises: every batch that a watcher is handed is compared with what was written. etcd's rules, and Kubernetes'.

https://etcd.io/docs/latest/learning/api_guarantees/#watch-apis
https://kubernetes.io/docs/reference/using-api/api-concepts/#efficient-detection-of-changes
"""
from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

from kubelet_lite.api.requests import WatchEvent
from kubelet_lite.simulation.answers import Answer, Batch, Compaction, Ended, Listed, Opened, Watching
from kubelet_lite.simulation.archive import Revision
from kubelet_lite.simulation.invariant import Breach, Invariant
from kubelet_lite.simulation.invariants.history import History, same
from kubelet_lite.simulation.snapshot import Place, Snapshot

INITIAL_EVENTS_END: Final = "k8s.io/initial-events-end"
RULES: Final[Mapping[str, str]] = {
    "Filter": "A watch is handed nothing that its selectors do not select.",
    "Ordered": "The revisions of a watch's events ascend.",
    "Unique": "No event is handed twice to one watch.",
    "Atomic": "Nothing of a transaction is handed before all of it, and nothing of one that was taken back.",
    "Bookmarkable": "Every selected event up to a bookmark's revision has been handed before it.",
    "Resumable": "A watch from a revision that is kept begins with the first selected event after it.",
    "IsCreate": "ADDED is what was not there before, MODIFIED what was.",
    "Reliable": "No selected event is left out between two that are handed, and each shows what was written.",
    "PrevKV": "Each change carries what was there before it.",
    "ListWatchContinuity": "A watch from the revision of a list, or with initial events, continues it without a gap or an overlap.",
    "DeleteCarriesDeleteRevision": "DELETED shows the object at the revision of its deletion.",
    "NoReplayAfterInit": "After the initial events nothing is handed that they contained.",
    "NoEventBelowRequestedRevision": "Nothing is handed that is not later than the revision asked for.",
    "NoPermanentLoss": "Whoever waits for events has been handed all that there are.",
    "GoneOnCompaction": "A watch that history no longer reaches back to ends with 410 Gone: it never goes on behind the gap.",
    "SelectorTransition": "What begins to be selected comes as ADDED, what no longer is goes as DELETED.",
    "BookmarkMonotone": "Bookmarks never go back, behind neither another bookmark nor an event.",
    "NoFutureRevision": "No answer shows a revision that has not happened.",
}
"""The names of what is checked, and what each says."""


class _Stream:
    """One watch, and how far in its resource's history it is."""

    def __init__(self, watch: Watching, history: list[Revision], position: int, continues_list: bool) -> None:
        self.watch = watch
        self.continues_list = continues_list
        self.initial: dict[Place, Any] = {}
        """What is still to be handed of what was there at first."""
        self.initialised_at = 0
        """The revision of the initial events, once all have been handed."""
        self.handed = 0
        """The revision of the last event."""
        self.bookmark = 0
        self._history = history
        self._position = position

    def next(self) -> Revision | None:
        """The first selected change that has not been handed."""
        history, selects = self._history, self.watch.selects
        while self._position < len(history):
            revision = history[self._position]
            if selects is None or type_of(revision, selects):
                return revision
            self._position += 1
        return None

    def take(self) -> None:
        self._position += 1


def type_of(revision: Revision, selects: Any) -> str:
    """As what a watch sees a change; "": not at all."""
    event = revision.event
    new, old = event.object, event.previous
    is_there = new is not None and (selects is None or selects(new))
    was_there = old is not None and (selects is None or selects(old))
    if is_there:
        return "MODIFIED" if was_there else "ADDED"
    return "DELETED" if was_there else ""


class WatchRules(Invariant):
    """All rules of RULES at once: they share what they know."""

    name = "Watch"
    answers = (Batch, Opened, Ended, Compaction, Listed)

    def __init__(self) -> None:
        self._history = History()
        self._streams: dict[Watching, _Stream] = {}
        self._watched: dict[str, dict[_Stream, None]] = {}
        """Of each resource, its streams."""
        self._changed: dict[str, None] = {}
        """Resources that changed at this instant."""
        self._compacted: dict[str, int] = {}
        self._listed: dict[str, int] = {}
        """The revision of each resource's last whole list."""

    def on_revision(self, revision: Revision, before: Snapshot) -> Iterable[str]:
        event = revision.event
        resource = event.key.resource
        self._history.add(revision)
        self._changed[resource] = None
        held = before.get(resource, event.key.name, event.key.namespace)
        if held is not event.previous:
            if held is None or event.previous is None:
                was = "there was none" if held is None else "there was one"
                return (Breach("IsCreate", f"{event.key} at {event.revision} says that it {'replaces' if held is None else 'makes'} an object: {was}"),)
            return (Breach("PrevKV", f"{event.key} at {event.revision} carries as the object before it another one than was there"),)
        return ()

    def on_instant(self, snapshot: Snapshot, now: float) -> Iterable[str]:
        changed, self._changed = self._changed, {}
        for resource in changed:
            for stream in self._watched.get(resource, ()):
                if stream.watch.waits and (missed := stream.next()) is not None:
                    yield Breach("NoPermanentLoss", f"{_who(stream)} waits, and was not handed {_shown(missed)}")

    def on_answer(self, answer: Answer, snapshot: Snapshot) -> Iterable[str]:
        if isinstance(answer, Batch):
            stream = self._streams.get(answer.watch)
            return self._judge(answer, stream) if stream is not None else ()
        if isinstance(answer, Opened):
            self._open(answer.watch, snapshot)
        elif isinstance(answer, Ended):
            ended = self._streams.pop(answer.watch, None)
            if ended is not None:
                del self._watched[answer.watch.resource][ended]
        elif isinstance(answer, Compaction):
            self._compacted[answer.resource] = answer.compacted
        elif isinstance(answer, Listed) and answer.whole:
            self._listed[answer.resource] = int(answer.revision)
        return ()

    def _open(self, watch: Watching, snapshot: Snapshot) -> None:
        resource = watch.resource
        position = self._history.position_after(resource, watch.after)
        stream = _Stream(watch, self._history.of(resource), position, self._listed.get(resource) == watch.after)
        if watch.initial:
            state = self._history.state_at(resource, watch.after, snapshot)
            stream.initial = {place: obj for place, obj in state.items() if watch.selects is None or watch.selects(obj)}
            if not stream.initial:
                stream.initialised_at = watch.after
        self._streams[watch] = stream
        self._watched.setdefault(resource, {})[stream] = None

    def _judge(self, batch: Batch, stream: _Stream) -> Iterator[str]:
        if not batch.committed:
            yield Breach("Atomic", f"{_who(stream)} was handed part of a transaction that is not over")
        for event in batch.events:
            revision = int(event.object.metadata.resourceVersion)
            if revision > batch.at:
                yield Breach("NoFutureRevision", f"{_who(stream)} was handed {_named(event)} at revision {revision}; the store is at {batch.at}")
            if event.type == "BOOKMARK":
                yield from self._bookmark(event, revision, stream)
            elif stream.initial:
                yield from _initial(event, stream)
            else:
                yield from self._live(event, revision, stream)

    def _bookmark(self, event: WatchEvent, revision: int, stream: _Stream) -> Iterator[str]:
        ends_initial = INITIAL_EVENTS_END in event.object.metadata.annotations
        if ends_initial:
            if stream.initial:
                yield Breach("ListWatchContinuity", f"{_who(stream)} was told that all was handed, without {_first(stream.initial)}")
            stream.initialised_at = revision
        before = max(stream.handed, stream.bookmark)
        if revision < before:
            yield Breach("BookmarkMonotone", f"{_who(stream)} got a bookmark of revision {revision} after {before}")
        missed = stream.next()
        if missed is not None and missed.event.revision <= revision:
            yield Breach("Bookmarkable", f"{_who(stream)} got a bookmark of revision {revision} before {_shown(missed)}")
        stream.bookmark = revision

    def _live(self, event: WatchEvent, revision: int, stream: _Stream) -> Iterator[str]:
        expected = stream.next()
        if expected is None or expected.event.revision != revision or event.type != type_of(expected, stream.watch.selects):
            yield self._named_breach(event, revision, stream, expected)
            return
        change = expected.event
        if event.type == "DELETED":
            shown = event.object.metadata
            last: Any = change.previous if change.final is None else change.final
            if shown.uid != last.metadata.uid or shown.name != change.key.name:
                yield Breach("Reliable", f"{_who(stream)} was handed {_named(event)} in place of {_shown(expected)}")
        elif not same(event.object, change.object):
            yield Breach("Reliable", f"{_who(stream)} was handed {_named(event)} in place of {_shown(expected)}")
        stream.take()
        stream.handed = revision

    def _named_breach(self, event: WatchEvent, revision: int, stream: _Stream, expected: Revision | None) -> str:
        """Which rule a wrong event breaks."""
        watch, what = stream.watch, f"{_who(stream)} was handed {event.type} {_named(event)} at revision {revision}"
        place = (event.object.metadata.namespace, event.object.metadata.name)
        if expected is not None and event.type == "DELETED" and _place(expected) == place and revision < expected.event.revision:
            return Breach("DeleteCarriesDeleteRevision", f"{what}; it was deleted at {expected.event.revision}")
        if revision == stream.handed:
            return Breach("Unique", f"{what}, again")
        if revision < stream.handed:
            return Breach("Ordered", f"{what}, after {stream.handed}")
        if revision <= stream.initialised_at:
            return Breach("NoReplayAfterInit", f"{what}, which the initial events of {stream.initialised_at} contained")
        if revision <= watch.after:
            rule = "NoEventBelowRequestedRevision" if watch.asked or not watch.initial else "NoReplayAfterInit"
            return Breach(rule, f"{what}; it asked for what is later than {watch.after}")
        if expected is None or revision < expected.event.revision:
            if self._history.find(watch.resource, revision) is not None:
                return Breach("Filter", f"{what}, which it does not select")
            return Breach("Atomic", f"{what}, which nobody wrote")
        if revision > expected.event.revision:
            return Breach(self._rule_of_gap(stream, expected), f"{what}, without {_shown(expected)} before it")
        wanted = type_of(expected, watch.selects)
        return Breach("IsCreate" if watch.selects is None else "SelectorTransition", f"{what}; that was {wanted}")

    def _rule_of_gap(self, stream: _Stream, missed: Revision) -> str:
        resource = stream.watch.resource
        if missed.event.revision <= self._compacted.get(resource, 0):
            return "GoneOnCompaction"
        if stream.handed:
            return "Reliable"
        return "ListWatchContinuity" if stream.continues_list or stream.watch.initial else "Resumable"


def _initial(event: WatchEvent, stream: _Stream) -> Iterator[str]:
    """One of the objects that were there when the watch began."""
    meta = event.object.metadata
    held = stream.initial.pop((meta.namespace, meta.name), None)
    if held is None or event.type != "ADDED":
        left = f", before {_first(stream.initial)}" if stream.initial else ""
        yield Breach("ListWatchContinuity", f"{_who(stream)} was handed {event.type} {_named(event)} among its initial events{left}")
    elif not same(held, event.object):
        why = f"{_named(event)} at revision {meta.resourceVersion}; it was at {held.metadata.resourceVersion}"
        yield Breach("ListWatchContinuity", f"{_who(stream)} was handed as initial event {why}")
    if not stream.initial:
        stream.initialised_at = stream.watch.after


def _place(revision: Revision) -> Place:
    return revision.event.key.namespace, revision.event.key.name


def _first(objects: Mapping[Place, Any]) -> str:
    namespace, name = next(iter(objects))
    return f"{namespace}/{name}" if namespace else name


def _named(event: WatchEvent) -> str:
    meta = event.object.metadata
    return f"{meta.namespace}/{meta.name}" if meta.namespace else str(meta.name)


def _shown(revision: Revision) -> str:
    return f"the {revision.verb} of {revision.event.key} at revision {revision.event.revision}"


def _who(stream: _Stream) -> str:
    watch = stream.watch
    return f"the watch of {watch.resource} by {watch.actor or 'the scenario'} from revision {watch.after}"
