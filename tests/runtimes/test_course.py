"""Quantities over time."""
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubelet_lite.runtimes.course import Meter, check, course, integral, value_at

amounts = st.floats(0, 1e6)
courses = st.one_of(amounts, st.lists(st.tuples(st.floats(0, 1e4), amounts), min_size=1, max_size=6, unique_by=lambda p: p[0]).map(lambda p: tuple(sorted(p))))


def test_a_broken_line_is_level_before_and_after():
    line = ((10.0, 100.0), (20.0, 300.0))
    assert [value_at(line, t) for t in (0, 10, 15, 20, 99)] == [100, 100, 200, 300, 300]
    assert [integral(line, t) for t in (0, 10, 20, 30)] == [0, 1000, 3000, 6000]
    assert integral(7, 3) == 21


@given(courses, st.floats(0, 1e4), st.floats(0, 1e4))
def test_between_two_moments_lies_no_more_than_the_highest_value_and_no_less_than_the_lowest(line, first, second):
    first, second = sorted((first, second))
    values = [line] if isinstance(line, float) else [value for _, value in line]
    area = integral(line, second) - integral(line, first)
    tolerance = 1e-6 * (1 + max(values)) * (1 + second)
    assert min(values) * (second - first) - tolerance <= area <= max(values) * (second - first) + tolerance


def test_a_meter_goes_on_counting_when_its_course_is_exchanged():
    meter = Meter(100, since=1000)
    assert meter.total(1010) == 1000
    meter.follow(((0, 0), (10, 100)), 1010)
    assert (meter.value(1010), meter.value(1015), meter.total(1020), meter.total(1030)) == (0, 50, 1500, 2500)


def test_a_function_of_time_becomes_a_broken_line():
    line = course(lambda t: 500 + 400 * math.sin(t), seconds=20, step_seconds=0.25)
    assert value_at(line, 3.0) == pytest.approx(500 + 400 * math.sin(3))
    assert integral(line, 20) == pytest.approx(500 * 20 + 400 * (1 - math.cos(20)), rel=0.01)
    with pytest.raises(ValueError, match="step_seconds=0"):
        course(lambda t: t, 10, 0)


@pytest.mark.parametrize(("line", "words"), [
    (-1, "cpu: -1 is less than 0"), ((), "without any point"), (((0, 1), (0, 2)), "0 seconds do not come after 0"), (((0, -1),), "-1 at 0 seconds"),
])
def test_what_is_no_course_is_refused(line, words):
    with pytest.raises(ValueError, match=words):
        check(line, "cpu")
