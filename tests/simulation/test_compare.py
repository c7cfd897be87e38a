"""Two recordings compared."""
from __future__ import annotations

import pytest

from kubelet_lite.simulation.records.compare import compare
from kubelet_lite.simulation.records.recording import Recording
from kubelet_lite.simulation.simulation import play
from tests.simulation.stories import ScaleWeb, run_web


def recorded(*steps: ScaleWeb, seed: int = 1) -> Recording:
    return Recording.of(play(run_web, seed=seed, steps=steps))


@pytest.fixture(scope="module")
def plain() -> Recording:
    return recorded()


def test_the_same_run_is_the_same(plain: Recording) -> None:
    comparison = compare(plain, recorded())
    assert comparison.same
    assert comparison.objects == ()


def test_they_part_at_the_first_difference(plain: Recording) -> None:
    other = recorded(ScaleWeb(at=3, replicas=5))
    comparison = compare(plain, other)
    assert comparison.first is not None
    one, two = comparison.first
    assert two is not None
    assert (two.actor, two.object.spec.replicas) == ("", 5)
    assert one is None or one.event.revision == two.event.revision
    before = two.event.revision - 2
    assert [r.object for r in plain.archive.revisions[:before]] == [r.object for r in other.archive.revisions[:before]]


def test_objects_are_summed_up(plain: Recording) -> None:
    comparison = compare(plain, recorded(ScaleWeb(at=3, replicas=5)))
    found = {difference.name: difference for difference in comparison.objects}
    web = found["deployments.apps default/web"]
    assert web.there == (True, True)
    assert web.writes[1] > web.writes[0]
    assert "spec.replicas: 3 → 5" in map(str, web.changes)
    new = [difference for name, difference in found.items() if name.startswith("pods ")]
    assert [difference.there for difference in new] == [(False, True)] * 2
    text = str(comparison)
    assert "~ deployments.apps default/web: " in text
    assert text.count("only in the second") >= 2


def test_one_that_ends_early_is_a_part_of_the_other(plain: Recording) -> None:
    short = Recording.of(play(run_web, seed=1))
    del short.archive.revisions[-5:]
    comparison = compare(plain, short)
    assert comparison.first is not None
    assert comparison.first[1] is None
    assert "+ (nothing more)" in str(comparison)


def test_what_differs_in_every_run_does_not_count_as_a_difference_of_an_object(plain: Recording) -> None:
    found = {difference.name for difference in compare(plain, recorded(seed=2)).objects}
    assert "namespaces default" not in found
