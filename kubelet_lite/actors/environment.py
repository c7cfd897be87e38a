"""The world as this package may see it: time, randomness, UIDs, secrets and ports, handed down to whoever needs them.

The only file that touches the wall clock, `random`, `uuid` or `secrets`; the linter bans them elsewhere, so that the whole
cluster runs in virtual time under a seed (`kubelet_lite/simulation/virtual/environment.py` is the other implementation).
Tasks are not made here: each belongs to an anyio task group, so that it has an owner and an end.
"""
from __future__ import annotations

import random
import secrets
import socket
import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Final

import anyio

_VERSION_BITS: Final = 0x4 << 76 | 0x8 << 60
_RANDOM_BITS: Final = ~(0xF << 76 | 0xC << 60)
TOKEN_BITS: Final = 256
"""Of a secret: beyond guessing."""


class HeldPort:
    """A port that is bound, and silent, until `close` or the end of the block."""

    def __init__(self, host: str, port: int, close: Callable[[], None]) -> None:
        self.host = host
        self.port = port
        self._close: Callable[[], None] | None = close

    def close(self) -> None:
        """Gives the port back; again does nothing."""
        close, self._close = self._close, None
        if close is not None:
            close()

    def __enter__(self) -> HeldPort:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class Environment(ABC):
    """One cluster's clock, randomness and ports."""

    random: random.Random
    """For decisions and jitter, not for secrets."""
    offers_tls: bool = True
    """Whether connections can be encrypted; where not, servers speak plainly."""

    @classmethod
    def real(cls) -> Environment:
        """This machine."""
        return _RealEnvironment()

    def of(self, part: str) -> Environment:
        """The world as one part of the cluster sees it: in a simulation each has a clock and randomness of its own."""
        return self

    @abstractmethod
    def now(self) -> float:
        """Unix seconds; may jump."""

    @abstractmethod
    def monotonic(self) -> float:
        """Seconds since some moment; never goes back. The clock of the running event loop."""

    @abstractmethod
    def hold_port(self, host: str = "127.0.0.1", port: int = 0, *, kind: socket.SocketKind = socket.SOCK_STREAM) -> HeldPort:
        """Binds a port (0: any that is free) so that nobody else can; raises OSError when it is taken."""

    @abstractmethod
    def secret_bits(self, count: int) -> int:
        """A fresh secret number of so many bits."""

    def token(self) -> str:
        """A fresh secret, safe in URLs and headers."""
        return f"{self.secret_bits(TOKEN_BITS):0{TOKEN_BITS // 4}x}"

    def free_port(self, host: str = "127.0.0.1", *, kind: socket.SocketKind = socket.SOCK_STREAM) -> int:
        """A port of `host` that nothing is bound to at this moment; where possible bind port 0 instead."""
        with self.hold_port(host, kind=kind) as held:
            return held.port

    async def sleep(self, seconds: float) -> None:
        """Waits; zero lets every other task that is ready run first."""
        await anyio.sleep(seconds)

    def uid(self) -> str:
        """A fresh version 4 UUID, as in metadata.uid."""
        digits = f"{self.random.getrandbits(128) & _RANDOM_BITS | _VERSION_BITS:032x}"
        return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"


class _RealEnvironment(Environment):
    def __init__(self) -> None:
        self.random = random.Random()

    def now(self) -> float:
        return time.time()

    def monotonic(self) -> float:
        return time.monotonic()

    def hold_port(self, host: str = "127.0.0.1", port: int = 0, *, kind: socket.SocketKind = socket.SOCK_STREAM) -> HeldPort:
        held = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, kind)
        try:
            held.bind((host, port))
        except OSError:
            held.close()
            raise
        return HeldPort(host, held.getsockname()[1], held.close)

    def secret_bits(self, count: int) -> int:
        return system_secret_bits(count)


def system_secret_bits(count: int) -> int:
    """A secret number from the operating system."""
    return secrets.randbits(count)
