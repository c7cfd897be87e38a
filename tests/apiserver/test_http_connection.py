import asyncio
import itertools

import anyio
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kubelet_lite.apiserver import http_connection
from kubelet_lite.apiserver.http_connection import HttpConnection


class Transport(asyncio.Transport):
    """Keeps what is written."""

    def __init__(self):
        super().__init__()
        self.written = b""
        self.closed = self.paused = False

    def write(self, data):
        self.written += data

    def close(self):
        self.closed = True

    abort = close

    def set_write_buffer_limits(self, high=None, low=None):
        pass

    def pause_reading(self):
        self.paused = True

    def resume_reading(self):
        self.paused = False


class Owner:
    """Answers each request with what it was."""

    def __init__(self, group):
        self.group = group
        self.requests = []

    def opened(self, connection):
        pass

    closed = opened

    def spawn(self, run):
        self.group.start_soon(run)

    def http_date(self):
        return b""

    def monotonic(self):
        return 0.0

    async def handle(self, connection, request):
        self.requests.append((request.method, request.path, request.query, request.body))
        connection.respond(request, 200, b"", request.path.encode())


async def send(*pieces):
    """What the owner heard, and the transport."""
    async with anyio.create_task_group() as group:
        owner, transport = Owner(group), Transport()
        connection = HttpConnection(owner)
        connection.connection_made(transport)
        for piece in pieces:
            connection.data_received(piece)
        await anyio.wait_all_tasks_blocked()
        connection.connection_lost(None)
    return owner.requests, transport


TWO = (
    b"POST /a%20b?x=1 HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nhello"
    b"PUT /c HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n"
)


@given(st.lists(st.integers(0, len(TWO)), max_size=6))
@settings(deadline=None)
def test_requests_are_the_same_however_their_bytes_arrive(cuts):
    places = [0, *sorted(cuts), len(TWO)]
    pieces = [TWO[start:end] for start, end in itertools.pairwise(places)]
    requests, transport = asyncio.run(send(*pieces))
    assert requests == [("POST", "/a b", "x=1", b"hello"), ("PUT", "/c", "", b"hello")]
    assert transport.written.count(b"HTTP/1.1 200 OK") == 2


@pytest.mark.parametrize("head", [
    b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost : h\r\n\r\n", b"\x16\x03\x01\x02", b"POST / HTTP/1.1\r\nContent-Length: -1\r\n\r\n",
])
async def test_what_could_be_read_in_two_ways_is_refused(head):
    requests, transport = await send(head)
    assert requests == []
    assert transport.written.startswith(b"HTTP/1.1 400 Bad Request")
    assert transport.closed


async def test_a_method_that_the_parser_does_not_know_is_a_request_all_the_same():
    requests, _ = await send(b"FOO /x HTTP/1.1\r\nHost: h\r\n\r\n")
    assert requests == [("FOO", "/x", "", b"")]


async def test_a_head_without_end_is_cut(monkeypatch):
    monkeypatch.setattr(http_connection, "MAX_HEADER_BYTES", 1000)
    _, transport = await send(b"GET / HTTP/1.1\r\n", b"X: " + b"x" * 2000 + b"\r\n")
    assert transport.written.startswith(b"HTTP/1.1 431 ")


async def test_a_body_beyond_the_limit_is_not_kept(monkeypatch):
    monkeypatch.setattr(http_connection, "MAX_BODY_BYTES", 10)
    requests, _ = await send(b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 20\r\n\r\n" + b"x" * 20)
    assert len(requests[0][3]) <= 20


async def test_who_expects_to_be_asked_for_the_body_is_asked():
    _, transport = await send(b"POST / HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 1\r\n\r\n")
    assert transport.written == b"HTTP/1.1 100 Continue\r\n\r\n"


async def test_the_connection_closes_when_the_client_wants_it():
    _, transport = await send(b"GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n")
    assert b"Connection: close" in transport.written
    assert transport.closed
