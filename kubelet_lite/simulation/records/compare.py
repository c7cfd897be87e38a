"""Two recordings compared: where they part, and what became of each object in the one and in the other."""
from __future__ import annotations

from collections.abc import Sequence
from itertools import zip_longest
from typing import Any, Final

import msgspec

from kubelet_lite.simulation.archive import Revision
from kubelet_lite.simulation.records.difference import BOOKKEEPING, Change, differences
from kubelet_lite.simulation.records.recording import Recording
from kubelet_lite.simulation.records.story import line_of
from kubelet_lite.simulation.snapshot import Snapshot

OBJECTS_SHOWN: Final = 40
CHANGES_SHOWN: Final = 6
"""Of one object."""
IDENTITY: Final = ("metadata.uid", "metadata.creationTimestamp")
"""Beside bookkeeping: other in every run with another seed."""


class ObjectDifference(msgspec.Struct, frozen=True):
    name: str
    writes: tuple[int, int]
    """How often it was written in each."""
    there: tuple[bool, bool]
    """Whether it is there at the end of each."""
    changes: tuple[Change, ...]
    """From its end in the first to its end in the second, without what is other in every run."""


class Comparison(msgspec.Struct, frozen=True, kw_only=True):
    revisions: tuple[int, int]
    first: tuple[Revision | None, Revision | None] | None
    """The first revisions that differ, None where one recording is over; None: none does."""
    began: tuple[float, float]
    objects: tuple[ObjectDifference, ...]
    """Those that differ at the end, or were not written equally often."""

    @property
    def same(self) -> bool:
        """Revision for revision, byte for byte."""
        return self.first is None

    def __str__(self) -> str:
        if self.first is None:
            return f"the same {self.revisions[0]} revisions"
        lines = [f"{self.revisions[0]} and {self.revisions[1]} revisions; they part here:"]
        for mark, revision, began in zip("-+", self.first, self.began, strict=True):
            lines.append(f"{mark} {_line(revision, began)}")
        one, other = self.first
        if one is not None and other is not None and one.event.key == other.event.key:
            lines += [f"    {change}" for change in differences(one.object, other.object)[:CHANGES_SHOWN]]
        lines.append("")
        lines += [_summary(found) for found in self.objects[:OBJECTS_SHOWN]] or ["every object ends the same and was written equally often"]
        if len(self.objects) > OBJECTS_SHOWN:
            lines.append(f"and {len(self.objects) - OBJECTS_SHOWN} more objects")
        return "\n".join(lines)


def compare(first: Recording, second: Recording) -> Comparison:
    """Revisions count as equal when time, actor, verb and object are."""
    ones, others = first.archive.revisions, second.archive.revisions
    parting = next(((a, b) for a, b in zip_longest(ones, others) if a is None or b is None or not _equal(a, b)), None)
    return Comparison(
        revisions=(len(ones), len(others)), first=parting, began=(first.archive.began, second.archive.began),
        objects=tuple(_objects(ones, others)) if parting is not None else (),
    )


def _equal(a: Revision, b: Revision) -> bool:
    return (a.event.revision, a.event.key, a.time, a.actor, a.verb) == (b.event.revision, b.event.key, b.time, b.actor, b.verb) and (
        a.object is b.object or not differences(a.object, b.object)
    )


def _objects(ones: Sequence[Revision], others: Sequence[Revision]) -> list[ObjectDifference]:
    ends = (Snapshot.of(ones), Snapshot.of(others))
    counts = [_counts(revisions) for revisions in (ones, others)]
    made = []
    for key in dict.fromkeys((*counts[0], *counts[1])):
        states: list[Any] = [end.get(key.resource, key.name, key.namespace) for end in ends]
        writes = (counts[0].get(key, 0), counts[1].get(key, 0))
        changes = _apart(*states) if None not in states else ()
        there = (states[0] is not None, states[1] is not None)
        if changes or there[0] != there[1] or writes[0] != writes[1]:
            made.append(ObjectDifference(str(key), writes, there, changes))
    return made


def _counts(revisions: Sequence[Revision]) -> dict[Any, int]:
    counts: dict[Any, int] = {}
    for revision in revisions:
        counts[revision.event.key] = counts.get(revision.event.key, 0) + 1
    return counts


def _apart(one: Any, other: Any) -> tuple[Change, ...]:
    return tuple(c for c in differences(one, other) if not BOOKKEEPING.match(c.path) and c.path not in IDENTITY)


def _line(revision: Revision | None, began: float) -> str:
    if revision is None:
        return "(nothing more)"
    line = line_of(revision, began)
    return f"revision {revision.event.revision}, {line.time:+.3f} s: {line.actor} {line.action} {line.object}  {', '.join(line.details)}".rstrip()


def _summary(found: ObjectDifference) -> str:
    writes = f"{found.writes[0]} and {found.writes[1]} writes"
    if found.there[0] != found.there[1]:
        return f"{'-' if found.there[0] else '+'} {found.name}: only in the {'first' if found.there[0] else 'second'}; {writes}"
    shown = [f"\n      {change}" for change in found.changes[:CHANGES_SHOWN]]
    more = len(found.changes) - CHANGES_SHOWN
    return f"~ {found.name}: {writes}" + "".join(shown) + (f"\n      and {more} more fields" if more > 0 else "")
