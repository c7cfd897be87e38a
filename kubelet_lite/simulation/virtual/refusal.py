"""What a simulated loop refuses, and where it was asked for: what would leave the process, or block the only thread.

`world.py` and `blocking.py` have the same for the standard library's functions.
"""
from __future__ import annotations

import asyncio
import socket
import sys
import sysconfig
import traceback
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from types import CoroutineType, FrameType
from typing import TYPE_CHECKING, Any, Final, Protocol, TypeVar

if TYPE_CHECKING:
    from kubelet_lite.simulation.virtual.loop import SimulatedLoop

Kind = TypeVar("Kind", bound=type)

OWN_FOLDER: Final = str(Path(__file__).parent)
LIBRARY_FOLDERS: Final = tuple(sysconfig.get_path(name) for name in ("stdlib", "platstdlib", "purelib", "platlib"))
"""A place in one of these is said only when no place of the user's own leads there."""
CALLING: Final = asyncio.Handle._run.__code__
"""What a loop runs each callback in."""
IMPORTING: Final = "<frozen importlib._bootstrap>"

NO_FILES: Final = "the simulated network has no file descriptors: use streams or protocols (loop.create_connection, asyncio.open_connection)"
NO_UNIX: Final = "the simulated network has TCP and UDP alone: use loop.create_connection"
NO_TLS: Final = "a simulated network has no TLS, and nobody listens: say http:// in place of https://"
NO_PROCESS: Final = "nothing leaves a simulation: do it before, or hand the program what would come of it"
LOOP_METHODS: Final = {
    **dict.fromkeys(("add_reader", "remove_reader", "add_writer", "remove_writer"), NO_FILES),
    **dict.fromkeys(("sock_accept", "sock_recv", "sock_recv_into", "sock_recvfrom", "sock_recvfrom_into", "sock_sendall", "sock_sendto"), NO_FILES),
    **dict.fromkeys(("sock_sendfile", "sendfile", "connect_accepted_socket", "connect_read_pipe", "connect_write_pipe"), NO_FILES),
    **dict.fromkeys(("create_unix_connection", "create_unix_server"), NO_UNIX),
    **dict.fromkeys(("subprocess_exec", "subprocess_shell"), NO_PROCESS),
    "start_tls": NO_TLS,
}
"""What to use instead of each."""


def refuses(loop: Kind) -> Kind:
    """Gives a class of loops the methods of the table."""

    def method(name: str, instead: str) -> Callable[..., Any]:
        def refuse(self: Any, *args: Any, **kwargs: Any) -> Any:
            raise self.refuse(f"loop.{name} is not there", instead)

        return refuse

    for name, instead in LOOP_METHODS.items():
        setattr(loop, name, method(name, instead))
    return loop


class Looped(Protocol):
    """The world, as far as a function that stands in the place of another asks for it."""

    @property
    def loop(self) -> SimulatedLoop: ...


def refusing(what: str, instead: str) -> Callable[..., Any]:
    """What a function is in a world where it cannot be."""

    def refuse(world: Looped, *args: Any, **kwargs: Any) -> Any:
        for each in args:
            if isinstance(each, socket.socket | CoroutineType):
                each.close()  # nobody else does: whoever expects an OSError would not, and a coroutine is not begun
        raise world.loop.refuse(what, instead)

    return refuse


def is_importing() -> bool:
    """Whether a module is being imported."""
    return any(frame.f_code.co_filename == IMPORTING for frame in _frames())


def place() -> str:
    """The user's innermost line that leads here, and the task that is in it."""
    line = _line((frame, frame.f_lineno) for frame in _frames())
    task = asyncio.current_task() if asyncio._get_running_loop() is not None else None
    return f"{line} (task {task.get_name()})" if task is not None else line


def place_of(error: BaseException) -> str:
    """The user's innermost line from which it was raised."""
    return _line(reversed(list(traceback.walk_tb(error.__traceback__))))


def _line(frames: Iterable[tuple[FrameType, int]]) -> str:
    """Innermost first."""
    theirs = [(frame, line) for frame, line in frames if not frame.f_code.co_filename.startswith((OWN_FOLDER, "<frozen "))]
    users = [(frame, line) for frame, line in theirs if not frame.f_code.co_filename.startswith(LIBRARY_FOLDERS)]
    frame, line = (users or theirs)[0]
    if frame.f_code is CALLING:
        return f"in a callback of the loop, {_name(frame.f_locals['self']._callback)}"
    return f"{frame.f_code.co_filename}:{line} in {frame.f_code.co_qualname}"


def _name(callback: object) -> str:
    return str(getattr(callback, "__qualname__", type(callback).__qualname__))


def _frames() -> Iterator[FrameType]:
    """Innermost first, up to the loop that calls."""
    frame: FrameType | None = sys._getframe(1)
    while frame is not None:
        yield frame
        frame = None if frame.f_code is CALLING else frame.f_back
