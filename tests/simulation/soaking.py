"""`python -m tests.simulation.soaking mix|replays FIRST LAST`: a part of what `make soak` runs, in a process of its own; a JSON line a finding.

mix      one run for each seed of the standard mix on the code as it is: any failure is a finding
replays  runs that fail, each played ten times: a second trace is a finding
"""
from __future__ import annotations

import hashlib
import itertools
import sys
from collections.abc import Iterator
from typing import Final

import msgspec
import pytest

from kubelet_lite.api.encoding import encode
from kubelet_lite.simulation.failure import Failure
from kubelet_lite.simulation.invariants import STANDARD
from kubelet_lite.simulation.simulation import Run, Setting, play
from tests.simulation.mix import standard_mix
from tests.simulation.mutants import MUTANTS
from tests.simulation.rollout import rollout

TIMES: Final = 10
"""How often a failing run is played."""
SETTING: Final = Setting(nodes=3, settle=True)


class Finding(msgspec.Struct):
    seed: int
    what: str


class Total(msgspec.Struct):
    """The last line."""

    runs: int


def mixed(seed: int) -> Run:
    return play(rollout, seed=seed, steps=standard_mix(seed), setting=SETTING, invariants=STANDARD)


def mix(first: int, last: int) -> Iterator[Finding | Total]:
    for seed in range(first, last):
        error = mixed(seed).error
        if error is not None:
            yield Finding(seed, str(Failure.of(error)))
    yield Total(last - first)


def replays(first: int, last: int) -> Iterator[Finding | Total]:
    """The failing runs from number `first` to `last`: all planted bugs with seed 0, then all with seed 1, and so on."""
    found = 0
    for number, planted in ((seed, planted) for seed in itertools.count() for planted in MUTANTS):
        if found == last:
            break
        with pytest.MonkeyPatch.context() as patch:
            planted.plant(patch)
            run = planted.run(number)
            if run.error is None:
                continue
            found += 1
            if found <= first:
                continue
            traces = {trace(run), *(trace(planted.run(number)) for _ in range(TIMES - 1))}
        if len(traces) > 1:
            yield Finding(number, f"{planted.name}: {len(traces)} traces of {TIMES} runs")
    yield Total(last - first)


def trace(run: Run) -> str:
    """A digest of all that was written, by whom and when, of what was logged, and of how it failed."""
    digest = hashlib.blake2s()
    for revision in run.archive.revisions:
        digest.update(f"{revision.event.revision} {revision.time:.9f} {revision.actor} {revision.verb} {revision.event.key}".encode())
        digest.update(encode(revision.object))
    for record in run.archive.records:
        digest.update(f"{record.time:.9f} {record.actor} {record.level} {record.fields.get('event')}".encode())
    digest.update(str(run.error).encode())
    return digest.hexdigest()


if __name__ == "__main__":
    kind, first, last = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    for line in {"mix": mix, "replays": replays}[kind](first, last):
        sys.stdout.buffer.write(msgspec.json.encode(line) + b"\n")
        sys.stdout.flush()
