"""`kubelet-lite replay` and `kubelet-lite compare`: what happened in a simulated run, told, stepped through, served to kubectl, compared.

A file is a replay file, which is played again, or a recording, which is read.
"""
from __future__ import annotations

import argparse
import asyncio
import errno
import os
import signal
import stat
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Final

from rich.console import Console

from kubelet_lite.cli.up import check_writable, say, write_private
from kubelet_lite.simulation.records import recording as recordings
from kubelet_lite.simulation.records import replay as replays
from kubelet_lite.simulation.records.compare import compare as compared
from kubelet_lite.simulation.records.past import Past
from kubelet_lite.simulation.records.recording import Recording, RecordingError
from kubelet_lite.simulation.records.reference import NotFoundAgain, parse, resolve
from kubelet_lite.simulation.records.replay import Replayed, ReplayError
from kubelet_lite.simulation.records.stepper import Stepper
from kubelet_lite.simulation.records.story import tell
from kubelet_lite.simulation.records.timeline import write as write_timeline

PROMPT: Final = "(replay) "


def replay(options: argparse.Namespace) -> int:
    """0: the run went as the file says; 1: it did not, or could not be played."""
    sys.path.insert(0, os.getcwd())  # where the scenario's module is, mostly
    try:
        recording, repeated = _opened(options.file, options.scenario)
        stepper = Stepper(recording)
        if options.at or not options.step:
            stepper.position = stepper.position_of(options.at or "end")
        if options.html is not None:
            say(f"wrote {write_timeline(recording, options.html)}")
        if options.export is not None:
            say(f"wrote {recordings.write(recording, options.export)}")
        Console(width=None if sys.stdout.isatty() else 120, highlight=False).print(tell(recording))
        if options.at:
            say("\n".join(said for said in (stepper.beyond(options.at), stepper.where()) if said))
        if options.serve:
            asyncio.run(_serve(recording, stepper, options))
        elif options.step:
            asyncio.run(_step(stepper))
    except (ReplayError, RecordingError, NotFoundAgain, ValueError, TimeoutError) as error:
        return _failed(str(error))
    except OSError as error:
        return _failed(f"{error}" + (f" (--port: {options.port} is taken; 0 takes a free one)" if error.errno == errno.EADDRINUSE else ""))
    return 0 if repeated else 1


def compare(options: argparse.Namespace) -> int:
    """0: the same happened; 1: not, as diff(1) has it; 2: there is nothing to compare."""
    sys.path.insert(0, os.getcwd())
    try:
        first, second = (_opened(path, "")[0] for path in (options.first, options.second))
    except (ReplayError, RecordingError, NotFoundAgain, OSError) as error:
        _failed(str(error))
        return 2
    difference = compared(first, second)
    say(str(difference))
    return 0 if difference.same else 1


def _failed(message: str) -> int:
    print(f"kubelet-lite: {message}", file=sys.stderr)  # noqa: T201
    return 1


def _opened(path: Path, scenario: str) -> tuple[Recording, bool]:
    """What a file holds, or what comes of it; and whether that is what it says."""
    if recordings.is_recording(path):
        return recordings.read(path), True
    replayed = replays.replay(path, scenario=resolve(parse(scenario)) if scenario else None)
    recording = Recording.of(replayed.run)
    if replayed.repeated:
        return recording, True
    failure = replayed.failure
    if failure is not None and failure.invariant in [reference.about for reference in replayed.unwatched]:
        say(f"{failure.invariant} is defined inside a function: it is not watched, and the run is shown until it was violated")
        return recording.until(failure), True
    say(_how_it_differs(replayed))
    return recording, False


def _how_it_differs(replayed: Replayed) -> str:
    before = str(replayed.failure) if replayed.failure is not None else "nothing went wrong"
    return f"the run did not go as before; then: {before}"


async def _step(stepper: Stepper) -> None:
    async for command in _commands(_greeting(stepper)):
        answer = stepper.do(command)
        if stepper.ended:
            return
        say(answer)


def _greeting(stepper: Stepper) -> str:
    place = "where the cluster became ready; n goes on from there\n" if stepper.position == stepper.position_of("ready") else ""
    return f"{place}{stepper.where()}"


async def _serve(recording: Recording, stepper: Stepper, options: argparse.Namespace) -> None:
    """The moment at which the stepper stands, until Ctrl-C or the last command."""
    path: Path = options.kubeconfig.expanduser()
    check_writable(path)
    async with Past(recording, serve=True, port=options.port) as past:
        past.go(stepper.position)
        write_private(path, past.kubeconfig)
        say(f"revision {past.store.revision} is served at {past.url}, to be read; Ctrl-C ends it")
        say(f"export KUBECONFIG={path}")
        if not options.step:
            stop = asyncio.Event()
            for number in (signal.SIGINT, signal.SIGTERM):
                asyncio.get_running_loop().add_signal_handler(number, stop.set)
            await stop.wait()
            return
        async for command in _commands(_greeting(stepper)):
            answer = stepper.do(command)
            if stepper.ended:
                return
            past.go(stepper.position)
            say(answer)


async def _commands(greeting: str) -> AsyncIterator[str]:
    """Lines of standard input, from a terminal or a script, until they end. The loop goes on between them."""
    interactive = sys.stdin.isatty()
    say(f"{greeting}\nhelp lists the commands" if interactive else greeting)
    descriptor = sys.stdin.fileno()
    if stat.S_ISREG(os.fstat(descriptor).st_mode):
        for line in sys.stdin:
            await asyncio.sleep(0)
            yield line
        return
    lines: asyncio.Queue[str | None] = asyncio.Queue()
    rest = b""

    def read() -> None:
        nonlocal rest
        data = os.read(descriptor, 65536)
        *whole, rest = (rest + data).split(b"\n")
        if not data:
            loop.remove_reader(descriptor)
            whole, rest = [rest] if rest else [], b""
        for line in whole:
            lines.put_nowait(line.decode(errors="replace"))
        if not data:
            lines.put_nowait(None)

    loop = asyncio.get_running_loop()
    loop.add_reader(descriptor, read)
    loop.add_signal_handler(signal.SIGINT, lines.put_nowait, None)
    try:
        while True:
            if interactive:
                print(PROMPT, end="", flush=True)  # noqa: T201
            line = await lines.get()
            if line is None:
                return
            yield line
    finally:
        loop.remove_reader(descriptor)
