"""The short story of a run: who did what to which object, newest last, of what matters to how it failed. For people, in a terminal.

    run = play(scenario, seed=7, steps=steps, invariants=STANDARD)
    print(tell(run))
"""
from __future__ import annotations

import itertools
import re
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

import msgspec

from kubelet_lite.simulation import errors
from kubelet_lite.simulation.archive import LogRecord, Revision
from kubelet_lite.simulation.calls import CALL_ANSWERED
from kubelet_lite.simulation.checked import Positive, checked
from kubelet_lite.simulation.records.difference import ABSENT, Change, differences, plain, shown, significant
from kubelet_lite.simulation.records.recording import Recording
from kubelet_lite.simulation.records.relevance import NAMED, NEARBY, RELATED, Relevance
from kubelet_lite.simulation.simulation import STEP_BEGAN, STEP_ENDED, Run

if TYPE_CHECKING:
    from rich.console import Console, ConsoleOptions, RenderResult

LINES: Final = 30
"""Of a story: what a screen holds."""
STEPS_SHOWN: Final = 15
"""Steps have a line each; of more than this the newest."""
SHORTEST_TOLD: Final = 0.05
"""Seconds of a step; what is over sooner is a moment, and how long it took means nothing."""
CHANGES_SHOWN: Final = 3
"""In one line."""
NAMES_SHOWN: Final = 4
"""Of objects to which the same happened."""
WIDTH: Final = 120
WORTH_TELLING: Final = ("spec.replicas", "spec.completions", "spec.nodeName", "spec.type", "spec.clusterIP", "reason", "message")
"""Of an object that was created."""
TOLD_FIRST: Final = ("phase", "Ready", "Available", "replicas", "succeeded", "failed")
TOLD_LAST: Final = (
    "hostIP", "podIP", "qosClass", "PodScheduled", "PodReadyToStartContainers", "Initialized", "ContainersReady", "Progressing",
    "terminatingReplicas", "fullyLabeledReplicas",
)
"""Of what changes in a status: named first, where there is more than fits, or last."""
TOLD_LEVELS: Final = ("warning", "error", "critical")
NOT_TOLD: Final = frozenset({"event", "actor", "exception", "exc_info", "stack_info"})
"""Of a log record: said otherwise, or too long."""


class Line(msgspec.Struct, frozen=True, kw_only=True):
    time: float
    """Seconds since the cluster was ready."""
    actor: str
    action: str
    """creates, updates, deletes …; what a step is, what a record says."""
    object: str = ""
    """`pod default/web`."""
    details: tuple[str, ...] = ()
    kind: str = "write"
    """write, call, fault or log."""
    revision: int = 0
    times: int = 1
    """How often in a row it was said."""


class Story(msgspec.Struct, frozen=True, kw_only=True):
    title: str
    lines: tuple[Line, ...]
    left_out: int
    """How many earlier changes of what matters are not here."""

    def text(self, width: int = WIDTH) -> str:
        """As plain text."""
        return "\n".join("".join(part for part, _ in line) for line in self._rows(width))

    __str__ = text

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        from rich.text import Text

        for line in self._rows(options.max_width):
            yield Text.assemble(*line, no_wrap=True, overflow="ellipsis")

    def _rows(self, width: int) -> Iterator[list[tuple[str, str]]]:
        """Lines of text with the style of each part."""
        for said in self.title.splitlines():
            for part in textwrap.wrap(said, width, subsequent_indent="  "):
                yield [(part, "bold red")]
        if self.left_out:
            yield [(f"… {self.left_out} earlier changes of what matters are left out", "dim")]
        times = [f"{line.time:+.3f} s" for line in self.lines]
        time_width = max((len(time) for time in times), default=0)
        actor_width = max((len(line.actor) for line in self.lines), default=0)
        for time, line in zip(times, self.lines, strict=True):
            start = f"{time:>{time_width}}  {line.actor:<{actor_width}}  "
            said = " ".join(part for part in (line.action, line.object) if part) + (f" (×{line.times})" if line.times > 1 else "")
            details = ", ".join(detail.replace(" ", _TIED) for detail in line.details)
            wrapped = textwrap.wrap(f"{said}  {details}", max(30, width - len(start)), subsequent_indent="  ", break_on_hyphens=False) or [""]
            for number, part in enumerate(wrapped):
                yield [("" if number else start, "dim"), (" " * len(start) if number else "", ""), (part.replace(_TIED, " "), _STYLES[line.kind])]


_NAME: Final = re.compile(r"[^/ ]+$")
"""Of an object, behind its kind and namespace."""
_SPAN: Final = re.compile(r"\b(?:for|takes|within) \d\S* s\b")
"""Of a step that says itself how long it lasts."""
_TIED: Final = "\N{NO-BREAK SPACE}"
"""A line does not end here."""
_STYLES: Final = {"write": "", "call": "bold cyan", "fault": "bold magenta", "log": "yellow"}


@checked
def tell(run: Run | Recording, *, lines: Positive = LINES) -> Story:
    """The newest lines of what matters: every step first of all, then what the failure names, then what is near to that."""
    recording = run if isinstance(run, Recording) else Recording.of(run)
    archive, failure = recording.archive, recording.failure
    relevance = Relevance(archive, failure)
    began = archive.began or (archive.revisions[0].time if archive.revisions else 0.0)
    steps = step_lines(archive.records, began)
    chosen: dict[int, Line] = dict(steps[-STEPS_SHOWN:])
    ranked: tuple[list[tuple[int, _Told]], ...] = ([], [], [])
    for order, rank, told in _candidates(recording, relevance):
        ranked[rank].append((order, told))
    left_out = len(steps) - len(chosen)
    for candidates in ranked:
        while candidates and len(chosen) < lines:
            order, told = candidates.pop()
            line = _line(told, began)
            if line is not None:
                chosen[order] = line
        left_out += len(candidates)
    merged = _merged([chosen[order] for order in sorted(chosen)])
    title, _, more = str(failure).partition("\n") if failure is not None else ("nothing went wrong", "", "")
    title += f" (seed {recording.seed}" + (f", {failure.time - began:+.3f} s)" if failure is not None and failure.time else ")")
    if more and failure is not None and failure.kind.startswith(f"{errors.__name__}."):  # below others pytest puts values of an assert
        title += f"\n{more}"
    return Story(title=title, lines=tuple(merged), left_out=left_out)


def _merged(lines: Sequence[Line]) -> Iterator[Line]:
    """Neighbours at one moment that differ in the object's name alone become one."""
    for _, group in itertools.groupby(lines, key=lambda line: (line.time, line.actor, line.action, line.details, _NAME.sub("", line.object))):
        first, *others = group
        if others and first.kind == "write":
            names = [_NAME.findall(line.object)[0] for line in others]
            names[NAMES_SHOWN - 1:] = [f"{len(names) - NAMES_SHOWN + 1} more"] if len(names) >= NAMES_SHOWN else []
            *inner, last = names
            yield msgspec.structs.replace(first, object=f"{', '.join([first.object, *inner])} and {last}")
        else:
            yield from (first, *others)


def step_lines(records: Sequence[LogRecord], began: float) -> list[tuple[int, Line]]:
    """Each step where it began, with how long it took."""
    ended = {record.fields["step"]: record.time for record in records if record.fields.get("event") == STEP_ENDED}
    answers = {(record.time, record.fields["call"]): str(record.fields["error"]) for record in records if record.fields.get("event") == CALL_ANSWERED}
    made = []
    for position, record in enumerate(records):
        fields = record.fields
        if fields.get("event") == STEP_BEGAN:
            end = ended.get(fields["step"])
            kind, what = "fault" if fields["kind"] == "fault" else "call", str(fields["what"])
            lasts = () if _SPAN.search(what) else ("to the end",) if end is None else _lasting(end - record.time)
            line = Line(
                time=record.time - began, actor="fault" if kind == "fault" else "user", action=what,
                details=lasts if kind == "fault" else _answer(answers, record), kind=kind,
            )
            made.append((_order(record.after, position + 1), line))
    return made


def _lasting(seconds: float) -> tuple[str, ...]:
    """Nothing of what is over at once."""
    return (f"for {round(seconds, 2):g} s",) if seconds >= SHORTEST_TOLD else ()


def _answer(answers: Mapping[tuple[float, str], str], began: LogRecord) -> tuple[str, ...]:
    """What came back of a call that did not succeed, at once as it mostly does."""
    error = answers.get((began.time, str(began.fields["what"])))
    return () if error is None else (f"is answered: {shown(error, 90)}",)


def changes_of(revision: Revision) -> Sequence[Change]:
    """What an update changed; nothing for others."""
    return differences(revision.event.previous, revision.event.object) if revision.verb == "update" else ()


def line_of(revision: Revision, began: float, made: Sequence[Change] | None = None) -> Line:
    """One change, whether it matters or not. `made`: `changes_of` it, where they are known already."""
    event = revision.event
    obj = revision.object
    if made is None:
        made = changes_of(revision)
    action = {"create": "creates", "update": "updates", "delete": "deletes"}[revision.verb]
    details = _summary(made)
    if revision.verb == "create":
        details = list(_introduction(obj))
    elif revision.verb == "update" and any(change.path == "metadata.deletionTimestamp" and change.old is ABSENT for change in made):
        action = "marks for deletion"
    if len(details) > CHANGES_SHOWN + 1:
        details[CHANGES_SHOWN:] = [f"and {len(details) - CHANGES_SHOWN} more"]
    return Line(
        time=revision.time - began, actor=revision.actor or "user", action=action, object=object_name(obj), details=tuple(details),
        revision=event.revision,
    )


def _summary(changes: Sequence[Change]) -> list[str]:
    """What they come to: plain values and the statuses of conditions, what the user wants first; else where something changed."""
    told = significant(changes)
    values = [
        Change(change.path.removeprefix("status."), change.old, change.new) for change in told
        if "conditions" not in change.path and not isinstance(change.old, list | dict) and not isinstance(change.new, list | dict)
    ]
    values += [Change(name, old, new) for name, old, new in _conditions(changes) if old != new]
    return [str(change) for change in sorted(values, key=_place)] or [change.path.removeprefix("status.") for change in told]


def _place(change: Change) -> int:
    """Where among the changes of a line."""
    path = change.path
    if path.startswith(("spec.", "metadata.")):
        return 0
    if path in TOLD_FIRST:
        return 1
    return 3 if path in TOLD_LAST else 2


def _conditions(changes: Sequence[Change]) -> Iterator[tuple[str, Any, Any]]:
    """Type and status of the conditions among the changes."""
    for change in changes:
        path, _, member = change.path.partition("].")
        if path == "status.conditions":
            states = [{str(c["type"]): _status(c) for c in side if isinstance(c, Mapping) and "type" in c} if isinstance(side, list) else {}
                      for side in (change.old, change.new)]
            for name in dict.fromkeys((*states[0], *states[1])):
                yield name, states[0].get(name, ABSENT), states[1].get(name, ABSENT)
        elif path.startswith("status.conditions["):
            name = path.removeprefix("status.conditions[").removesuffix("]")
            if not member:
                yield name, _status(change.old), _status(change.new)
            elif member == "status":
                yield name, change.old, change.new


def _status(condition: Any) -> Any:
    """Custom resources may have conditions of any shape."""
    return condition.get("status", ABSENT) if isinstance(condition, Mapping) else ABSENT


def object_name(obj: Any) -> str:
    """`pod default/web`."""
    meta = obj.metadata
    return f"{obj.kind.lower()} {meta.namespace}/{meta.name}" if meta.namespace else f"{obj.kind.lower()} {meta.name}"


def _order(after: int, place: int) -> int:
    """Where in a story: behind a revision, and among the records there."""
    return (after << 32) + place


_Told = Revision | Sequence[LogRecord]
"""What a line may be made of; records that are told in one."""


def _candidates(recording: Recording, relevance: Relevance) -> Iterator[tuple[int, int, _Told]]:
    """(order, rank, what) of all that may be told, beside steps."""
    ready = recording.archive.ready
    for revision in recording.archive.revisions:
        rank = relevance.of(revision)
        if rank is not None and (revision.event.revision > ready or rank == NAMED):
            yield _order(revision.event.revision, 0), rank, revision
    parts = {revision.actor for revision in recording.archive.revisions if relevance.is_close(revision)}
    groups: dict[tuple[Any, ...], tuple[int, int, list[LogRecord]]] = {}
    steps, row, before = 0, 0, None
    for position, record in enumerate(recording.archive.records, 1):
        steps += record.fields.get("event") == STEP_BEGAN
        if record.level not in TOLD_LEVELS:
            continue
        rank = _record_rank(record, relevance)
        if rank is None:
            key: tuple[Any, ...] = (steps, record.actor if record.actor in parts else "", record.level, record.fields.get("event"))
        else:
            same = (record.actor, record.level, repr(record.fields))
            row += same != before
            key, before = (row, *same, rank), same
        groups.setdefault(key, (_order(record.after, position), NEARBY if rank is None else rank, []))[2].append(record)
    yield from groups.values()


def _line(told: _Told, began: float) -> Line | None:
    """None for noise."""
    if not isinstance(told, Revision):
        return _record_line(told, began)
    made = changes_of(told)
    return None if is_noise(told, made) else line_of(told, began, made)


def is_noise(revision: Revision, made: Sequence[Change]) -> bool:
    """Heartbeats, statuses in which only times moved, and Events that warn of nothing, or not for the first time."""
    if revision.event.key.resource == "events":
        return bool(revision.object.type != "Warning" or revision.verb != "create")
    return revision.verb == "update" and not any(_matters(change) for change in made)


def _matters(change: Change) -> bool:
    return bool(significant([change])) or change.path == "metadata.deletionTimestamp"


def _introduction(obj: Any) -> Iterator[str]:
    for reference in obj.metadata.ownerReferences:
        yield f"of {reference.kind.lower()} {reference.name}"
    value = plain(obj)
    for path in WORTH_TELLING:
        found: Any = value
        for part in path.split("."):
            found = found.get(part) if isinstance(found, Mapping) else None
        if found is not None:
            yield f"{path}: {shown(found)}"
    about = value.get("involvedObject")
    if isinstance(about, Mapping):
        yield f"about {str(about.get('kind', '')).lower()} {about.get('name', '')}"


def _record_rank(record: LogRecord, relevance: Relevance) -> int | None:
    """None: it names nothing that matters, and is told with others of its kind since the last step began."""
    if record.fields.get("event") == "actor_crashed":
        return RELATED
    return relevance.of_words(" ".join(str(value) for name, value in record.fields.items() if name not in NOT_TOLD))


def _record_line(records: Sequence[LogRecord], began: float) -> Line:
    """With what they have in common."""
    first = records[0]
    fields = {name: value for name, value in first.fields.items() if all(record.fields.get(name) == value for record in records)}
    crashed = fields.get("event") == "actor_crashed"
    actors = dict.fromkeys(str(record.fields.get("actor") or record.actor or "–") for record in records)
    details = () if crashed else tuple(f"{name}: {shown(value)}" for name, value in fields.items() if name not in NOT_TOLD)
    action = f"crashes: {shown(str(fields.get('error', '')), 90)}" if crashed else str(fields.get("event", "")).replace("_", " ")
    actor = next(iter(actors)) if len(actors) == 1 else f"{len(actors)} parts"
    return Line(time=first.time - began, actor=actor, action=action, details=details, kind="log", times=len(records))
