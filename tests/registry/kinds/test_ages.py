"""Durations as tables show them."""
from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubelet_lite.registry.kinds.ages import human_duration, labels_text, since, until

MINUTE, HOUR, DAY = 60, 3600, 86400


@pytest.mark.parametrize(("seconds", "shown"), [
    (-5, "<invalid>"), (-0.5, "0s"), (0, "0s"), (119.9, "119s"), (120, "2m"), (130, "2m10s"), (10 * MINUTE - 1, "9m59s"), (10 * MINUTE + 5, "10m"),
    (3 * HOUR - 1, "179m"), (3 * HOUR, "3h"), (3 * HOUR + 5 * MINUTE, "3h5m"), (8 * HOUR + 5 * MINUTE, "8h"), (2 * DAY, "2d"), (2 * DAY + HOUR, "2d1h"),
    (8 * DAY + HOUR, "8d"), (729 * DAY, "729d"), (730 * DAY, "2y"), (731 * DAY, "2y1d"), (2920 * DAY, "8y"), (9 * 365 * DAY + DAY, "9y"),
])
def test_a_duration_is_as_coarse_as_it_is_long(seconds: float, shown: str) -> None:
    assert human_duration(seconds) == shown


def seconds_of(text: str) -> int:
    units = {"s": 1, "m": MINUTE, "h": HOUR, "d": DAY, "y": 365 * DAY}
    return sum(int(number) * units[unit] for number, unit in re.findall(r"(\d+)([smhdy])", text))


@given(st.floats(0, 20 * 365 * DAY))
def test_a_shown_duration_is_never_longer_than_the_real_one_and_at_most_an_eighth_shorter(seconds: float) -> None:
    shown = seconds_of(human_duration(seconds))
    assert shown <= seconds < shown + max(1, seconds / 8)


def test_a_time_that_was_never_written_is_unknown() -> None:
    assert since(None, 0) == until("", 0) == "<unknown>"


def test_ages_run_from_a_time_and_to_one() -> None:
    assert since("1970-01-01T00:00:10Z", 70) == "60s"
    assert until("1970-01-01T00:02:10Z", 10) == "2m"


def test_labels_stand_in_order_of_their_keys() -> None:
    assert labels_text({"b": "2", "a": "1"}) == "a=1,b=2"
    assert labels_text({}) == "<none>"
