"""The arithmetic of rollouts."""
from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubelet_lite.controllers.deployment import amounts
from kubelet_lite.controllers.deployment.history import MAX_REPLICAS
from tests.controllers.objects import deployment, replica_set


@pytest.mark.parametrize(("value", "total", "up", "down"), [
    (2, 10, 2, 2), ("25%", 10, 3, 2), ("25%", 3, 1, 0), ("0%", 10, 0, 0), ("100%", 7, 7, 7), ("150%", 3, 5, 4), (None, 10, 0, 0),
])
def test_a_percentage_is_rounded_up_or_down(value: int | str | None, total: int, up: int, down: int) -> None:
    assert amounts.scaled(value, total, up=True) == up
    assert amounts.scaled(value, total, up=False) == down


@pytest.mark.parametrize(("replicas", "surge", "unavailable", "limits"), [
    (3, "25%", "25%", (1, 0)), (10, "25%", "25%", (3, 2)), (4, 0, 0, (0, 1)), (1, "0%", "25%", (0, 1)), (2, 0, 5, (0, 2)), (0, 1, 1, (1, 0)),
    (5, "100%", "100%", (5, 5)),
])
def test_limits(replicas: int, surge: int | str, unavailable: int | str, limits: tuple[int, int]) -> None:
    assert amounts.limits(deployment(replicas, surge=surge, unavailable=unavailable)) == limits


def test_recreate_knows_no_surge() -> None:
    assert amounts.limits(deployment(10, recreate=True)) == (0, 0)
    assert amounts.new_size(deployment(10, recreate=True), [], 0) == 10


@pytest.mark.parametrize(("old", "new", "size"), [((), 0, 10), ((10,), 0, 3), ((10,), 3, 3), ((8,), 3, 5), ((2,), 9, 10), ((13,), 0, 0)])
def test_the_new_revision_grows_into_the_room_there_is(old: tuple[int, ...], new: int, size: int) -> None:
    sets = [replica_set(f"old{i}", replicas) for i, replicas in enumerate(old)]
    if new:
        sets.append(replica_set("new", new))
    assert amounts.new_size(deployment(10), sets, new) == size


@pytest.mark.parametrize(("before", "replicas", "sizes", "wanted"), [
    (12, 20, (8, 4), (17, 8)),  # 25 with the surge, from 8 and 4 of 12: 16.67 and 8.33
    (12, 5, (8, 4), (5, 2)),
    (13, 30, (5, 8), (15, 23)),
    (13, 0, (5, 8), (0, 0)),
    (0, 20, (8, 4), (21, 4)),
])
def test_a_changed_size_is_shared_out_in_proportion(before: int, replicas: int, sizes: tuple[int, ...], wanted: tuple[int, ...]) -> None:
    annotations = {MAX_REPLICAS: str(before)} if before else {}
    sets = [replica_set(f"rs{i}", size, annotations=annotations) for i, size in enumerate(sizes)]
    shared = {rs.metadata.name: size for rs, size in amounts.proportional_sizes(deployment(replicas), sets)}
    assert tuple(shared[f"rs{i}"] for i in range(len(sizes))) == wanted


@given(st.integers(0, 100), st.integers(0, 50), st.integers(0, 50))
def test_something_can_always_move(replicas: int, surge: int, unavailable: int) -> None:
    most, fewest = (f(deployment(replicas, surge=surge, unavailable=unavailable)) for f in (amounts.most_pods, amounts.fewest_available))
    assert fewest <= replicas <= most
    assert most > fewest or replicas == 0


@given(st.integers(0, 60), st.lists(st.integers(1, 30), min_size=1, max_size=5), st.integers(1, 80))
def test_what_is_shared_out_is_all_there_is_to_share(replicas: int, sizes: list[int], before: int) -> None:
    obj = deployment(replicas)
    sets = [replica_set(f"rs{i}", size, annotations={MAX_REPLICAS: str(before)}) for i, size in enumerate(sizes)]
    shared = amounts.proportional_sizes(obj, sets)
    assert {rs.metadata.name for rs, _ in shared} == {rs.metadata.name for rs in sets}
    assert all(size >= 0 for _, size in shared)
    wanted = amounts.most_pods(obj) if replicas else 0
    assert sum(size for _, size in shared) in (wanted, max(wanted, sum(size for _, size in shared[1:])))


@given(st.integers(0, 40), st.integers(0, 40), st.lists(st.integers(0, 30), max_size=4), st.integers(0, 30))
def test_the_new_revision_never_makes_more_than_max_surge_extra_pods(replicas: int, surge: int, old: list[int], new: int) -> None:
    obj = deployment(replicas, surge=surge)
    sets = [replica_set(f"old{i}", size) for i, size in enumerate(old)] + [replica_set("new", new)]
    size = amounts.new_size(obj, sets, new)
    assert size == new or size + sum(old) <= amounts.most_pods(obj)
    assert size <= max(new, replicas)
