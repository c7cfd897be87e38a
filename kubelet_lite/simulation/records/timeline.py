"""A recording as one page of HTML that needs nothing else: lanes of objects or actors over virtual time, faults as bars, a click shows the diff.

The page itself is timeline.html; here is what it shows.
"""
from __future__ import annotations

from collections.abc import Iterator
from importlib import resources as package_files
from pathlib import Path
from typing import Any, Final

import msgspec

from kubelet_lite.simulation.archive import Revision
from kubelet_lite.simulation.checked import checked
from kubelet_lite.simulation.records.difference import ABSENT, plain
from kubelet_lite.simulation.records.recording import Recording
from kubelet_lite.simulation.records.relevance import Relevance
from kubelet_lite.simulation.records.story import NOT_TOLD, changes_of, is_noise, line_of, tell
from kubelet_lite.simulation.simulation import STEP_BEGAN, STEP_ENDED, Run

MOST_REVISIONS: Final = 20_000
"""Of a page: the newest. A browser shows so many at once."""
ELSEWHERE: Final = 3
"""How near what does not matter is to the failure."""
NOISE: Final = 4
_MARK: Final = "/*DATA*/null"


@checked
def write(run: Run | Recording, path: str | Path) -> Path:
    """Raises OSError."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(html(run))
    return path


@checked
def html(run: Run | Recording) -> str:
    """The page."""
    recording = run if isinstance(run, Recording) else Recording.of(run)
    page = package_files.files("kubelet_lite.simulation.records").joinpath("timeline.html").read_text()
    data = msgspec.json.encode(_data(recording), enc_hook=repr).decode().replace("<", "\\u003c")
    return page.replace(_MARK, data)


def _data(recording: Recording) -> dict[str, Any]:
    archive, failure = recording.archive, recording.failure
    relevance = Relevance(archive, failure)
    shown = [revision for revision in archive.revisions if revision.event.revision > archive.ready][-MOST_REVISIONS:]
    story = tell(recording)
    return {
        "title": story.title, "failed": failure is not None,
        "failure": {"time": failure.time - archive.began, "text": str(failure)} if failure is not None and failure.time else None,
        "left_out": sum(revision.event.revision > archive.ready for revision in archive.revisions) - len(shown),
        "story": [
            {"t": line.time, "actor": line.actor, "text": " ".join(p for p in (line.action, line.object) if p), "details": list(line.details),
             "kind": line.kind, "rev": line.revision, "times": line.times} for line in story.lines
        ],
        "changes": [_change(revision, relevance, archive.began) for revision in shown],
        "steps": list(_steps(recording)),
        "logs": [
            {"t": record.time - archive.began, "actor": str(record.fields.get("actor") or record.actor), "level": record.level,
             "text": str(record.fields.get("event", "")), "after": record.after,
             "fields": {name: value for name, value in record.fields.items() if name not in NOT_TOLD}}
            for record in archive.records if record.fields.get("event") not in (STEP_BEGAN, STEP_ENDED) and record.time >= archive.began
        ],
    }


def _change(revision: Revision, relevance: Relevance, began: float) -> dict[str, Any]:
    changes = changes_of(revision)
    line = line_of(revision, began, changes)
    near = relevance.of(revision)
    made: dict[str, Any] = {
        "t": line.time, "actor": line.actor, "action": line.action, "verb": revision.verb, "object": line.object, "details": list(line.details),
        "rev": revision.event.revision, "near": NOISE if is_noise(revision, changes) else ELSEWHERE if near is None else near,
    }
    if revision.verb == "update":
        made["diff"] = [
            [change.path, None if change.old is ABSENT else change.old, None if change.new is ABSENT else change.new]
            for change in changes if not change.path.startswith("metadata.managedFields")
        ]
    else:
        value = plain(revision.object)
        value["metadata"].pop("managedFields", None)
        made["whole"] = value
    return made


def _steps(recording: Recording) -> Iterator[dict[str, Any]]:
    records, began = recording.archive.records, recording.archive.began
    ended = {record.fields["step"]: record.time - began for record in records if record.fields.get("event") == STEP_ENDED}
    for record in records:
        if record.fields.get("event") == STEP_BEGAN:
            yield {
                "t": record.time - began, "end": ended.get(record.fields["step"]), "kind": record.fields["kind"], "what": record.fields["what"],
                "after": record.after,
            }
