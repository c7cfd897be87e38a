"""What happened in a run, without what made it happen: what a story, a timeline, a stepper and a comparison are made from.

As a file: JSON lines. The first says what it is, each other one is a revision or a log record, in the order of time.
"""
from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import msgspec

from kubelet_lite.api import encoding
from kubelet_lite.simulation.archive import Archive, LogRecord, Revision
from kubelet_lite.simulation.checked import checked
from kubelet_lite.simulation.failure import Failure
from kubelet_lite.simulation.simulation import Run
from kubelet_lite.simulation.stored_types import stored_type
from kubelet_lite.store.event import Event
from kubelet_lite.store.keys import Key

FORMAT: Final = "kubelet-lite recording"
VERSION: Final = 1


class RecordingError(ValueError):
    """The file cannot be read; the message names the line."""


class Recording(msgspec.Struct, kw_only=True):
    archive: Archive
    seed: int = 0
    failure: Failure | None = None

    @classmethod
    @checked
    def of(cls, run: Run) -> Recording:
        return cls(archive=run.archive, seed=run.seed, failure=Failure.of(run.error) if run.error is not None else None)

    def until(self, failure: Failure) -> Recording:
        """What happened until a failure that this run went beyond, because nobody watched for it."""
        archive = Archive()
        archive.began, archive.ready = self.archive.began, self.archive.ready
        archive.revisions = [
            r for r in self.archive.revisions if r.time <= failure.time and (not failure.revision or r.event.revision <= failure.revision)
        ]
        archive.records = [record for record in self.archive.records if record.time <= failure.time]
        archive.close()
        return Recording(archive=archive, seed=self.seed, failure=failure)


class _Head(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    format: str = ""
    version: int = 0
    seed: int = 0
    began: float = 0.0
    ready: int = 0
    failure: Failure | None = None


class _Line(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A line that is read: a revision, or (`revision` 0) what archive.LogRecord is written as."""

    revision: int = 0
    time: float
    actor: str = ""
    verb: str = ""
    resource: str = ""
    namespace: str = ""
    name: str = ""
    object: msgspec.Raw = msgspec.Raw(b"")
    """As written; for a delete as last seen."""
    after: int = 0
    level: str = ""
    fields: Mapping[str, Any] = {}


@checked
def write(recording: Recording, path: str | Path) -> Path:
    """Raises OSError."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as file:
        for line in lines(recording):
            file.write(line + b"\n")
    return path


def lines(recording: Recording) -> Iterator[bytes]:
    """The lines of its file."""
    encode = msgspec.json.Encoder(order="deterministic", enc_hook=repr).encode
    archive = recording.archive
    yield encode(_Head(format=FORMAT, version=VERSION, seed=recording.seed, began=archive.began, ready=archive.ready, failure=recording.failure))
    records = iter(archive.records)
    record = next(records, None)
    for revision in archive.revisions:
        event = revision.event
        while record is not None and record.after < event.revision:
            yield encode(record)
            record = next(records, None)
        key = event.key
        yield encode(_Line(
            revision=event.revision, time=revision.time, actor=revision.actor, verb=revision.verb, resource=key.resource, namespace=key.namespace,
            name=key.name, object=msgspec.Raw(encoding.encode(revision.object)),
        ))
    while record is not None:
        yield encode(record)
        record = next(records, None)


@checked
def read(path: str | Path) -> Recording:
    """Raises RecordingError, OSError."""
    archive = Archive()
    with Path(path).open("rb") as file:
        try:
            head = msgspec.json.decode(file.readline(), type=_Head)
        except msgspec.MsgspecError:
            head = _Head()
        if head.format != FORMAT:
            raise RecordingError(f"{path} is no recording")
        if head.version > VERSION:
            raise RecordingError(f"{path}: version {head.version} of the format is newer than this program, which knows up to {VERSION}")
        archive.began, archive.ready = head.began, head.ready
        decode = msgspec.json.Decoder(_Line).decode
        live: dict[Key, Any] = {}
        for number, text in enumerate(file, 2):
            try:
                line = decode(text)
                if line.revision:
                    expected = archive.revisions[-1].event.revision + 1 if archive.revisions else line.revision
                    if line.revision != expected:
                        raise ValueError(f"revision {line.revision} stands where {expected} is missing")
                    archive.revisions.append(_revision(line, live))
                else:
                    archive.records.append(LogRecord(line.after, line.time, line.actor, line.level, line.fields))
            except (msgspec.MsgspecError, ValueError) as error:
                raise RecordingError(f"{path}, line {number}: {error}") from error
    archive.close()
    return Recording(archive=archive, seed=head.seed, failure=head.failure)


def is_recording(path: str | Path) -> bool:
    """Raises OSError."""
    with Path(path).open("rb") as file:
        return FORMAT.encode() in file.readline(1024)


def _revision(line: _Line, live: dict[Key, Any]) -> Revision:
    if line.verb not in ("create", "update", "delete"):
        raise ValueError(f"verb: {line.verb!r} is none of create, update and delete")
    key = Key(line.resource, line.namespace, line.name)
    obj = encoding.decode_lenient(stored_type(line.resource), bytes(line.object))
    if obj.metadata.resourceVersion != str(line.revision):
        raise ValueError(f"the object of revision {line.revision} says resourceVersion {obj.metadata.resourceVersion!r}")
    previous = live.get(key)
    if line.verb == "delete":
        live.pop(key, None)
        return Revision(Event(line.revision, key, None, previous, obj), line.time, line.actor)
    live[key] = obj
    return Revision(Event(line.revision, key, obj, previous), line.time, line.actor)
