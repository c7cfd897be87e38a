"""The real environment."""
from __future__ import annotations

import socket
import uuid

import pytest

from kubelet_lite.actors.environment import Environment


def test_uids_are_version_4_uuids_and_differ() -> None:
    environment = Environment.real()
    uids = {environment.uid() for _ in range(200)}
    assert len(uids) == 200
    assert all(uuid.UUID(uid).version == 4 and uuid.UUID(uid).variant == uuid.RFC_4122 and str(uuid.UUID(uid)) == uid for uid in uids)


def test_a_held_port_is_nobody_elses_until_it_is_closed() -> None:
    environment = Environment.real()
    with environment.hold_port() as held, pytest.raises(OSError, match="in use"):
        environment.hold_port(port=held.port)
    environment.hold_port(port=held.port).close()


@pytest.mark.parametrize("kind", [socket.SOCK_STREAM, socket.SOCK_DGRAM])
def test_a_free_port_can_be_bound(kind: socket.SocketKind) -> None:
    with socket.socket(socket.AF_INET, kind) as sock:
        sock.bind(("127.0.0.1", Environment.real().free_port(kind=kind)))


def test_tokens_differ() -> None:
    environment = Environment.real()
    assert environment.token() != environment.token()
