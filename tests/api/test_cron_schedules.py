"""Schedules as cron reads them."""
from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubelet_lite.api.cron_schedules import CronError, parse_schedule


def test_a_star_with_a_step() -> None:
    schedule = parse_schedule("*/15 9-17 * * mon-fri")
    assert schedule.minutes == {0, 15, 30, 45}
    assert schedule.hours == set(range(9, 18))
    assert schedule.weekdays == {1, 2, 3, 4, 5}
    assert schedule.any_day
    assert not schedule.any_weekday


def test_a_number_with_a_step_goes_on_to_the_end() -> None:
    assert parse_schedule("50/5 * * * *").minutes == {50, 55}


def test_words_stand_for_schedules() -> None:
    assert parse_schedule("@daily") == parse_schedule("0 0 * * *")
    assert parse_schedule("@every 1h30m").every_seconds == 5400
    assert parse_schedule("@every 0").every_seconds == parse_schedule("@every -5s").every_seconds == 1


@pytest.mark.parametrize(("text", "error"), [
    ("", "empty spec string"),
    ("* * *", "expected exactly 5 fields, found 3: [* * *]"),
    ("*x * * * *", 'failed to parse int from *x: strconv.Atoi: parsing "*x": invalid syntax'),
    ("60 * * * *", "end of range (60) above maximum (59): 60"),
    ("* * 0 * *", "beginning of range (0) below minimum (1): 0"),
    ("5-1 * * * *", "beginning of range (5) beyond end of range (1): 5-1"),
    ("*/0 * * * *", "step of range should be a positive number: */0"),
    ("1-2-3 * * * *", "too many hyphens: 1-2-3"),
    ("1/2/3 * * * *", "too many slashes: 1/2/3"),
    ("@never", "unrecognized descriptor: @never"),
    ("@every 5", 'failed to parse duration @every 5: time: missing unit in duration "5"'),
])
def test_what_is_wrong_is_said_in_the_parsers_words(text: str, error: str) -> None:
    with pytest.raises(CronError) as caught:
        parse_schedule(text)
    assert str(caught.value) == error


@given(st.lists(st.sampled_from(["*", "*/2", "1", "1-3", "1,2", "2-4/2", "x", "-", "/", ""]), min_size=5, max_size=5))
def test_any_text_is_a_schedule_or_an_error(fields: list[str]) -> None:
    try:
        schedule = parse_schedule(" ".join(fields))
    except CronError:
        return
    assert schedule.minutes <= set(range(60))
    assert schedule.months <= set(range(1, 13))
