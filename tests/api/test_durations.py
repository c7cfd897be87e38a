"""Durations as Go reads and writes them."""
from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubelet_lite.api.durations import LARGEST_NANOSECONDS, DurationError, format_duration, parse_duration

UNITS = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "μs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}


@pytest.mark.parametrize(("text", "seconds"), [
    ("0", 0.0), ("-0", 0.0), ("5s", 5.0), ("+5s", 5.0), ("-1m30s", -90.0), ("100ms", 0.1), ("1.5h", 5400.0), (".5s", 0.5), ("5.s", 5.0), ("1h1ns", 3600.000000001),
    ("1s1s", 2.0), ("00005s", 5.0), ("0." + "3" * 5000 + "s", 0.333333333), ("0." + "0" * 9 + "1s", 0.0), (f"-{LARGEST_NANOSECONDS + 1}ns", -(2.0 ** 63) / 1e9),
])
def test_a_duration_is_the_sum_of_its_parts(text: str, seconds: float) -> None:
    assert parse_duration(text) == seconds


@pytest.mark.parametrize(("text", "error"), [
    ("", 'time: invalid duration ""'), ("-", 'time: invalid duration "-"'), ("s", 'time: invalid duration "s"'), (".s", 'time: invalid duration ".s"'),
    ("5", 'time: missing unit in duration "5"'), ("1h5", 'time: missing unit in duration "1h5"'), ("1..5s", 'time: missing unit in duration "1..5s"'),
    ("5d", 'time: unknown unit "d" in duration "5d"'), ("1h-5m", 'time: unknown unit "h-" in duration "1h-5m"'), ("5 s", 'time: unknown unit " s" in duration "5 s"'),
    ('5"\\', r'time: unknown unit "\"\\" in duration "5\"\\"'), ("5µ\n", r'time: unknown unit "\xc2\xb5\x0a" in duration "5\xc2\xb5\x0a"'),
    ("٥s", r'time: invalid duration "\xd9\xa5s"'), ("--5s", 'time: invalid duration "--5s"'), (" 5s", 'time: invalid duration " 5s"'),
    (f"{LARGEST_NANOSECONDS + 1}ns", f'time: invalid duration "{LARGEST_NANOSECONDS + 1}ns"'), ("9" * 5000 + "s", f'time: invalid duration "{"9" * 5000}s"'),
])
def test_what_is_no_duration_is_refused_in_gos_words(text: str, error: str) -> None:
    with pytest.raises(DurationError, match=f"^{re.escape(error)}$"):
        parse_duration(text)


@given(st.lists(st.tuples(st.integers(0, 1000), st.integers(0, 999), st.sampled_from(list(UNITS))), min_size=1, max_size=5), st.sampled_from(["", "+", "-"]))
def test_parts_add_up(parts: list[tuple[int, int, str]], sign: str) -> None:
    text = "".join(f"{whole}.{thousandths:03}{unit}" for whole, thousandths, unit in parts)
    seconds = sum((whole + thousandths / 1000) * UNITS[unit] for whole, thousandths, unit in parts)
    assert parse_duration(sign + text) == pytest.approx(-seconds if sign == "-" else seconds, abs=len(parts) * 1e-9)


@given(st.text(alphabet="0159.+-hmsnuµd \n", max_size=8))
def test_any_text_is_a_duration_or_refused(text: str) -> None:
    try:
        seconds = parse_duration(text)
    except DurationError as error:
        assert str(error).startswith("time: ")
    else:
        assert parse_duration(text.removeprefix("+").removeprefix("-")) == abs(seconds)


@pytest.mark.parametrize(("seconds", "text"), [(0, "0s"), (10.9, "10s"), (80, "1m20s"), (300, "5m0s"), (3600, "1h0m0s"), (90061, "25h1m1s")])
def test_a_duration_is_written_in_hours_minutes_and_seconds(seconds: float, text: str) -> None:
    assert format_duration(seconds) == text


@given(st.integers(0, 10 ** 9))
def test_what_is_written_is_read_back(seconds: int) -> None:
    assert parse_duration(format_duration(seconds)) == seconds
