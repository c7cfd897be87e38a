"""Times as Kubernetes writes and reads them."""
from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubelet_lite.api.timestamps import (
    TimeError,
    canonical_micro_time,
    canonical_time,
    format_micro_time,
    format_time,
    parse_time,
)


def test_times_are_written_in_utc_without_fraction() -> None:
    assert format_time(1767323045.9) == "2026-01-02T03:04:05Z"
    assert format_micro_time(1767323045.000006) == "2026-01-02T03:04:05.000006Z"


@pytest.mark.parametrize(("text", "want"), [
    ("2026-01-02T03:04:05Z", "2026-01-02T03:04:05Z"), ("2026-01-02T03:04:05.987Z", "2026-01-02T03:04:05Z"),
    ("2026-01-02T03:04:05+02:00", "2026-01-02T01:04:05Z"), ("0001-01-01T00:00:00Z", None),
])
def test_a_time_is_answered_in_utc_and_whole_seconds(text: str, want: str | None) -> None:
    assert canonical_time(text) == want


def test_a_micro_time_needs_six_digits() -> None:
    assert canonical_micro_time("2026-01-02T03:04:05.000000-01:30") == "2026-01-02T04:34:05.000000Z"
    with pytest.raises(TimeError):
        canonical_micro_time("2026-01-02T03:04:05Z")


@pytest.mark.parametrize("text", ["", "now", "2026-13-02T03:04:05Z", "2026-01-02 03:04:05Z", "2026-01-02T03:04:05", "2026-01-02T25:04:05Z", "2026-02-30T00:00:00Z"])
def test_what_is_no_time_is_refused(text: str) -> None:
    with pytest.raises(TimeError):
        canonical_time(text)


@given(st.integers(-62135596799, 253402300799))
def test_a_written_second_reads_as_itself(unix: int) -> None:
    assert parse_time(format_time(unix)) == unix
    assert canonical_time(format_time(unix)) == format_time(unix)


@given(st.integers(0, 4 * 10 ** 15))
def test_a_written_microsecond_reads_as_itself(micros: int) -> None:
    text = format_micro_time(micros / 10 ** 6)
    assert canonical_micro_time(text) == text
    assert abs(parse_time(text) - micros / 10 ** 6) < 1e-5
