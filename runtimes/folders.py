"""A cluster's folder on disk: locked for as long as its process lives, so that the next cluster can tell what a killed one left behind.

The lock goes with the process, however it ends, and is seen from other PID namespaces too.
"""
from __future__ import annotations

import contextlib
import fcntl
import os
import re
import shutil
import stat
import tempfile
from pathlib import Path
from typing import Final

PREFIX: Final = "kubelet-lite-run-"
_OURS: Final = re.compile(rf"{PREFIX}[a-z0-9_]{{8}}")
"""As `tempfile.mkdtemp` names them."""


class Folder:
    """A fresh folder that only its owner may enter, until `remove`."""

    def __init__(self) -> None:
        while True:
            self.path = Path(tempfile.mkdtemp(prefix=PREFIX))
            try:
                self._lock = os.open(self.path, os.O_RDONLY | os.O_DIRECTORY)
            except FileNotFoundError:  # somebody cleaned up before there was a lock
                continue
            with contextlib.suppress(OSError):  # this file system has no locks
                fcntl.flock(self._lock, fcntl.LOCK_SH)  # waits for one that cleans up: it removes an empty folder
            if self.path.exists():
                return
            os.close(self._lock)

    def remove(self) -> None:
        shutil.rmtree(self.path, ignore_errors=True)
        os.close(self._lock)


def remove_abandoned() -> int:
    """Removes the folders of this user's dead clusters; returns how many."""
    removed = 0
    for entry in os.scandir(tempfile.gettempdir()):
        if not _OURS.fullmatch(entry.name):
            continue
        try:
            descriptor = os.open(entry.path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
        except OSError:
            continue
        try:
            found = os.fstat(descriptor)
            if found.st_uid != os.geteuid() or stat.S_IMODE(found.st_mode) != stat.S_IRWXU:
                continue
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:  # its cluster lives
            continue
        else:
            shutil.rmtree(entry.path, ignore_errors=True)
            removed += 1
        finally:
            os.close(descriptor)
    return removed
