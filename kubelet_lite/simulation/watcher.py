"""Holds a run against its invariants: each revision in order, as soon as nothing more happens at its instant."""
from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING

from kubelet_lite.simulation.archive import Archive
from kubelet_lite.simulation.invariant import Breach, Invariant, InvariantViolated
from kubelet_lite.simulation.snapshot import Snapshot

if TYPE_CHECKING:
    from kubelet_lite.simulation.simulation import Simulation


class Watcher:
    """Raises InvariantViolated from `catch_up` and `end`, and closes the archive there. `now`: virtual Unix seconds."""

    def __init__(self, archive: Archive, invariants: Sequence[Invariant], now: Callable[[], float]) -> None:
        self._archive = archive
        self._invariants = invariants
        self._for: dict[str, list[Invariant]] = {}
        """Who is told of a resource's changes, once it has had one."""
        self._judges = [i for i in invariants if type(i).on_answer is not Invariant.on_answer]
        """Who is told what the API answered."""
        if self._judges:
            archive.answers = []
        self._now = now
        self._seen = 0
        """How many of the archive's revisions have been looked at."""
        self._told: dict[Invariant, None] = {}
        """Who was told of a revision at this instant."""
        self.snapshot = Snapshot()
        """What is there now, as far as it has been looked at."""

    def end_instant(self) -> None:
        """Nothing more happens at this instant. Called by the loop before time passes."""
        self.catch_up()
        if self._told:
            told, self._told = self._told, {}
            now = self._now()
            for invariant in told:
                self._check(invariant, invariant.on_instant(self.snapshot, now), 0, now)

    def catch_up(self) -> None:
        """Looks at what is new: before anybody reads `snapshot`."""
        answers = self._archive.answers
        if answers:
            new = answers.copy()
            answers.clear()
            for answer in new:
                self._look(answer.at)
                for judge in self._judges:
                    self._check(judge, judge.on_answer(answer, self.snapshot), 0, self._now())
        self._look()

    def _look(self, until: int | None = None) -> None:
        """At revisions, up to and with `until`."""
        revisions = self._archive.revisions
        while self._seen < len(revisions):
            revision = revisions[self._seen]
            if until is not None and revision.event.revision > until:
                break
            concerned = self._concerned(revision.event.key.resource)
            for invariant in concerned:
                self._check(invariant, invariant.on_revision(revision, self.snapshot), revision.event.revision, revision.time)
                self._told[invariant] = None
            self.snapshot.advance(revision)
            self._seen += 1

    def at_rest(self, simulation: Simulation) -> None:
        """The cluster is left alone and still."""
        self.catch_up()
        for invariant in self._invariants:
            self._check(invariant, invariant.at_rest(simulation), 0, self._now())

    def end(self) -> None:
        """The run is over, and so is its last instant."""
        self.catch_up()
        now = self._now()
        for invariant in self._invariants:
            self._check(invariant, invariant.at_end(self.snapshot, now), 0, now)

    def _concerned(self, resource: str) -> Sequence[Invariant]:
        found = self._for.get(resource)
        if found is None:
            found = self._for[resource] = [i for i in self._invariants if not i.resources or resource in i.resources]
        return found

    def _check(self, invariant: Invariant, wrong: Iterable[str], revision: int, time: float) -> None:
        for why in wrong:
            self._archive.close()
            self._seen = len(self._archive.revisions)  # the run is lost: nothing more to look at
            name = why.rule if isinstance(why, Breach) else invariant.name
            raise InvariantViolated(name, why, revision=revision, time=time)
