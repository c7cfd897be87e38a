import pytest

from kubelet_lite.kubelet.log_query import query_log
from kubelet_lite.wire.node_connection import LogQuery

ENTRIES = (
    b"2026-01-01T00:00:01.000000000Z stdout F one\n2026-01-01T00:00:02.000000000Z stderr F two\n",
    b"2026-01-01T00:00:03.000000000Z stdout P thr\n2026-01-01T00:00:03.000000000Z stdout F ee\n",
    b"",
    b"2026-01-01T00:00:04.000000000Z stdout F four\n",
)


async def source():
    for chunk in ENTRIES:
        yield chunk


async def lines(**query):
    return b"".join([data async for data in query_log(source(), LogQuery(container="c", **query))])


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ({}, b"one\ntwo\nthree\nfour\n"),
        ({"stream": "Stderr"}, b"two\n"),
        ({"tail_lines": 2}, b"two\nthree\nfour\n"),
        ({"tail_lines": 0}, b"four\n"),
        ({"limit_bytes": 6}, b"one\ntw"),
        ({"since_time": 1767225602.5}, b"three\nfour\n"),
    ],
)
async def test_options_choose_what_is_shown(query, expected):
    assert await lines(**query) == expected


async def test_timestamps_stand_before_each_entry():
    assert (await lines(timestamps=True)).startswith(b"2026-01-01T00:00:01.000000000Z one\n")
