"""Steps through a recording, forwards and backwards, by commands: what they answer, without a terminal."""
from __future__ import annotations

import json
import re
from bisect import bisect_right
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final

from kubelet_lite.api import timestamps, yaml_text
from kubelet_lite.simulation.archive import LogRecord, Revision
from kubelet_lite.simulation.records.difference import ABSENT, differences, plain, significant
from kubelet_lite.simulation.records.recording import Recording
from kubelet_lite.simulation.records.relevance import KINDS, Family
from kubelet_lite.simulation.records.story import NOT_TOLD, line_of, object_name, tell
from kubelet_lite.simulation.simulation import STEP_BEGAN, STEP_ENDED
from kubelet_lite.simulation.snapshot import Snapshot
from kubelet_lite.store.keys import Key

HELP: Final = """\
n [COUNT]       forwards, by one change or so many          p [COUNT]       backwards
goto WHERE      to a revision (120), a time since the cluster was ready (+12.5s) or of the clock, start, ready or end
find TEXT       to the next change whose line has the text  rfind TEXT      to the last one before
show [OBJECT]   an object as it is now                      diff [OBJECT]   every field of its last change
history OBJECT  its changes                                 ls [KIND]       what is there now
story           of the whole run                            q               ends
OBJECT is pod/web-1, default/web-1 or web-1; without one it is that of the change. An empty line repeats the last command."""
NAMED: Final = ("start", "ready", "end")
EXACTNESS: Final = 1e-9
"""Two times that are no further apart, in seconds, are one that was rounded."""
_SECONDS: Final = re.compile(r"\+?(-?\d+(?:\.\d+)?)s?")


class Stepper:
    """Stands behind `position` revisions: where the cluster became ready at first."""

    def __init__(self, recording: Recording) -> None:
        self._recording = recording
        self._revisions: Sequence[Revision] = recording.archive.revisions
        self._began = recording.archive.began
        self._family = Family(recording.archive)
        self._records: dict[int, list[LogRecord]] = {}
        """By the revision after which they were logged."""
        for record in recording.archive.records:
            self._records.setdefault(record.after, []).append(record)
        self._last = ""
        self.position = self.position_of("ready")
        self.ended = False
        self._commands: Mapping[str, Callable[[str], str]] = {
            "n": self._next, "p": self._previous, "goto": self._goto, "find": self._find, "rfind": self._find_back, "show": self._show,
            "diff": self._diff, "history": self._history, "ls": self._list, "story": self._story, "help": lambda _: HELP, "q": self._quit,
        }

    def do(self, command: str) -> str:
        """Carries out a command; what to print. One that cannot be is answered by why."""
        command = command.strip() or self._last
        name, _, argument = command.partition(" ")
        name = {"next": "n", "previous": "p", "prev": "p", "g": "goto", "f": "find", "quit": "q", "exit": "q", "h": "help", "?": "help"}.get(name, name)
        if not name:
            return self.where()
        if name not in self._commands:
            return f"there is no command {name!r}: help lists them"
        self._last = command
        try:
            return self._commands[name](argument.strip())
        except ValueError as error:
            return str(error)

    def where(self) -> str:
        """The change that was made last, what was logged before it, and at the end of the run what was logged after it."""
        if not self.position:
            return "before the first revision"
        revision = self._revisions[self.position - 1]
        line = line_of(revision, self._began)
        head = f"revision {revision.event.revision} ({self.position} of {len(self._revisions)}), {line.time:+.3f} s: {line.actor} {line.action} {line.object}"
        changes = significant(differences(revision.event.previous, revision.event.object)) if revision.verb == "update" else ()
        details = [str(change) for change in changes] or list(line.details)
        before = self._logged(self.position)
        after = self._logged(self.position + 1) if self.position == len(self._revisions) else ()
        return "\n".join([*(f"  · {said}" for said in before), head, *(f"    {detail}" for detail in details), *(f"  · {said}" for said in after)])

    def position_of(self, where: str) -> int:
        """Behind how many revisions that is. Raises ValueError."""
        if where in ("start", "end"):
            return 0 if where == "start" else len(self._revisions)
        if where == "ready":
            return bisect_right(self._revisions, self._recording.archive.ready, key=lambda revision: revision.event.revision)
        if where.isdigit():
            return bisect_right(self._revisions, int(where), key=lambda revision: revision.event.revision)
        return bisect_right(self._revisions, self._time_of(where) + EXACTNESS, key=lambda revision: revision.time)

    def beyond(self, where: str) -> str:
        """That a revision or time is later than all that happened, in words; "" for one that is not."""
        end = max((entry.time for entries in (self._revisions, self._recording.archive.records) for entry in entries[-1:]), default=self._began)
        if where.isdigit():
            last = self._revisions[-1].event.revision if self._revisions else 0
            return f"the run has no revision {where}: it ends with revision {last}" if int(where) > last else ""
        if where in NAMED:
            return ""
        time = self._time_of(where)
        return f"nothing happened as late as {where}: the last was at {end - self._began:+.3f} s" if time > end + EXACTNESS else ""

    def _time_of(self, where: str) -> float:
        """Of a time since the cluster was ready, or of the clock. Raises ValueError."""
        seconds = _SECONDS.fullmatch(where)
        if seconds is not None:
            return self._began + float(seconds[1])
        try:
            return timestamps.parse_time(where)
        except ValueError:
            raise ValueError(f"{where!r} is no revision (120), time (+12.5s, 2026-01-01T00:00:12Z), start, ready or end") from None

    # ---- commands

    def _next(self, argument: str) -> str:
        return self._move(_count(argument))

    def _previous(self, argument: str) -> str:
        return self._move(-_count(argument))

    def _move(self, by: int) -> str:
        position = min(max(self.position + by, 0), len(self._revisions))
        if position == self.position:
            return "this is the end" if by > 0 else "this is the start"
        self.position = position
        return self.where()

    def _goto(self, argument: str) -> str:
        self.position = self.position_of(argument)
        return "\n".join(said for said in (self.beyond(argument), self.where()) if said)

    def _find(self, argument: str) -> str:
        return self._look(argument, range(self.position + 1, len(self._revisions) + 1))

    def _find_back(self, argument: str) -> str:
        return self._look(argument, range(self.position - 1, 0, -1))

    def _look(self, text: str, positions: range) -> str:
        if not text:
            raise ValueError("say what to find")
        for position in positions:
            line = line_of(self._revisions[position - 1], self._began)
            if text in f"{line.actor} {line.action} {line.object} {', '.join(line.details)}" or any(text in said for said in self._logged(position)):
                self.position = position
                return self.where()
        return f"no change {'behind' if positions.step > 0 else 'before'} this one has {text!r}"

    def _show(self, argument: str) -> str:
        key = self._key(argument)
        obj = self._snapshot().get(key.resource, key.name, key.namespace)
        if obj is None:
            return f"{key} is not there at this moment"
        value: Any = plain(obj)
        value["metadata"].pop("managedFields", None)
        return yaml_text.dump(value).rstrip()

    def _diff(self, argument: str) -> str:
        key = self._key(argument)
        made = next((r for r in reversed(self._revisions[:self.position]) if r.event.key == key), None)
        if made is None:
            return f"{key} has not been written yet"
        line = line_of(made, self._began)
        lines = []
        for change in differences(made.event.previous, made.event.object):
            lines += [] if change.old is ABSENT else [f"- {change.path}: {_json(change.old)}"]
            lines += [] if change.new is ABSENT else [f"+ {change.path}: {_json(change.new)}"]
        return "\n".join([f"revision {made.event.revision}, {line.time:+.3f} s: {line.actor} {line.action} {line.object}", *lines])

    def _history(self, argument: str) -> str:
        key = self._key(argument)
        lines = [line_of(r, self._began) for r in self._revisions if r.event.key == key]
        return "\n".join(
            f"{'>' if self._shown(line.revision) else ' '} {line.revision:>6} {line.time:+10.3f} s  {line.actor} {line.action}  {', '.join(line.details)}"
            for line in lines
        )

    def _list(self, argument: str) -> str:
        snapshot = self._snapshot()
        if not argument:
            return "\n".join(f"{len(snapshot.all(resource)):>5} {resource}" for resource in snapshot.resources())
        resource = KINDS.get(argument.lower(), argument)
        found = [f"{obj.metadata.resourceVersion:>6} {object_name(obj)}" for obj in snapshot.list(resource)]
        return "\n".join(found) or f"no {argument} at this moment"

    def _story(self, argument: str) -> str:
        return str(tell(self._recording))

    def _quit(self, argument: str) -> str:
        self.ended = True
        return ""

    # ---- helpers

    def _shown(self, revision: int) -> bool:
        return self.position > 0 and self._revisions[self.position - 1].event.revision == revision

    def _snapshot(self) -> Snapshot:
        return Snapshot.of(self._revisions[:self.position])

    def _key(self, text: str) -> Key:
        """The object that a text names; the one last changed where it names none. Raises ValueError."""
        if not text:
            if not self.position:
                raise ValueError("there is nothing yet")
            return self._revisions[self.position - 1].event.key
        found = list(dict.fromkeys(self._family.mentioned(text)))
        if not found:
            raise ValueError(f"no object of this run is called {text!r}")
        if len(found) > 1:
            raise ValueError(f"{text!r} may be {', '.join(map(str, found))}: say KIND/NAMESPACE/NAME")
        return found[0]

    def _logged(self, position: int) -> Iterable[str]:
        """What was logged between the revision at this position and the one before it."""
        after = self._revisions[position - 2].event.revision if position > 1 else 0
        return map(_said, self._records.get(after, ()))


def _said(record: LogRecord) -> str:
    fields = record.fields
    if fields.get("event") in (STEP_BEGAN, STEP_ENDED):
        return f"{fields.get('what', '')}" if fields["event"] == STEP_BEGAN else f"step {fields['step']} is over"
    rest = ", ".join(f"{name}: {value}" for name, value in fields.items() if name not in NOT_TOLD)
    return f"{record.level} {fields.get('actor') or record.actor}: {fields.get('event')} {rest}".rstrip()


def _count(text: str) -> int:
    if text and not text.isdigit():
        raise ValueError(f"{text!r} is no number of changes")
    return int(text or 1)


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)
