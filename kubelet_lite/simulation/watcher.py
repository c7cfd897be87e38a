"""Holds a run against its invariants: each revision in order, as soon as nothing more happens at its instant."""
from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from kubelet_lite.simulation.archive import Archive, Revision
from kubelet_lite.simulation.invariant import Breach, Invariant, InvariantViolated
from kubelet_lite.simulation.snapshot import Snapshot

if TYPE_CHECKING:
    from kubelet_lite.simulation.simulation import Simulation


class Watcher:
    """Raises InvariantViolated from `catch_up` and `end`, and closes the archive there. `now`: virtual Unix seconds."""

    def __init__(self, archive: Archive, invariants: Sequence[Invariant], now: Callable[[], float]) -> None:
        self._archive = archive
        self._invariants = invariants
        self._of_revisions: dict[str, list[Invariant]] = {}
        """Who is told of a resource's changes, once it has had one."""
        self._of_instants: dict[str, dict[Invariant, None]] = {}
        """Likewise, at the end of an instant in which it had one."""
        self._of_answers: dict[type, list[Invariant]] = {}
        """Who is told of a kind of answers, once there was one."""
        if self._that_has("on_answer"):
            archive.answers = []
        self._now = now
        self._seen = 0
        """How many of the archive's revisions have been looked at."""
        self._told: dict[Invariant, None] = {}
        """Who is to be told at the end of this instant."""
        self.snapshot = Snapshot()
        """What is there now, as far as it has been looked at."""

    def end_instant(self) -> None:
        """Nothing more happens at this instant. Called by the loop before time passes."""
        self.catch_up()
        if self._told:
            told, self._told = self._told, {}
            now = self._now()
            for invariant in told:
                for why in invariant.on_instant(self.snapshot, now):
                    raise self._broken(invariant, why, 0, now)

    def catch_up(self) -> None:
        """Looks at what is new: before anybody reads `snapshot`."""
        answers, revisions = self._archive.answers, self._archive.revisions
        if answers:
            new = answers.copy()
            answers.clear()
            for answer in new:
                while self._seen < len(revisions) and revisions[self._seen].event.revision <= answer.at:
                    self._look(revisions[self._seen])
                judges = self._of_answers.get(type(answer))
                if judges is None:
                    judges = self._of_answers[type(answer)] = self._that_has("on_answer", "answers", type(answer))
                for judge in judges:
                    for why in judge.on_answer(answer, self.snapshot):
                        raise self._broken(judge, why, 0, self._now())
        while self._seen < len(revisions):
            self._look(revisions[self._seen])

    def _look(self, revision: Revision) -> None:
        resource = revision.event.key.resource
        concerned = self._of_revisions.get(resource)
        if concerned is None:
            concerned = self._of_revisions[resource] = self._that_has("on_revision", "resources", resource)
            self._of_instants[resource] = dict.fromkeys(self._that_has("on_instant", "resources", resource))
        for invariant in concerned:
            for why in invariant.on_revision(revision, self.snapshot):
                raise self._broken(invariant, why, revision.event.revision, revision.time)
        self._told.update(self._of_instants[resource])
        self.snapshot.advance(revision)
        self._seen += 1

    def at_rest(self, simulation: Simulation) -> None:
        """The cluster is left alone and still."""
        self.catch_up()
        for invariant in self._invariants:
            for why in invariant.at_rest(simulation):
                raise self._broken(invariant, why, 0, self._now())

    def end(self) -> None:
        """The run is over, and so is its last instant."""
        self.catch_up()
        now = self._now()
        for invariant in self._invariants:
            for why in invariant.at_end(self.snapshot, now):
                raise self._broken(invariant, why, 0, now)

    def _that_has(self, method: str, of: str = "", which: object = None) -> list[Invariant]:
        """The invariants with a method of their own, and for which `of` names `which`, or nothing: a method that does nothing is not called."""
        own = [i for i in self._invariants if getattr(type(i), method) is not getattr(Invariant, method)]
        return [i for i in own if not of or not getattr(i, of) or which in getattr(i, of)]

    def _broken(self, invariant: Invariant, why: str, revision: int, time: float) -> InvariantViolated:
        self._archive.close()
        self._seen = len(self._archive.revisions)  # the run is lost: nothing more to look at
        return InvariantViolated(why.rule if isinstance(why, Breach) else invariant.name, why, revision=revision, time=time)
