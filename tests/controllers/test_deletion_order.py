"""Which pods go first."""
from __future__ import annotations

import pytest

from kubelet_lite.api.core_v1 import Pod
from kubelet_lite.controllers.deletion_order import DELETION_COST, pods_to_delete
from tests.controllers.objects import NOW, pod

STEADY = pod("steady", ready=-500)


@pytest.mark.parametrize("sooner", [
    pod("unassigned", node="", ready=-500),
    pod("pending", phase="Pending", ready=-500),
    pod("unknown", phase="Unknown", ready=-500),
    pod("unready"),
    pod("cheap", ready=-500, annotations={DELETION_COST: "-1"}),
    pod("young", ready=-10),
    pod("restarted", ready=-500, restarts=1),
    pod("made-later", ready=-500, created=-10),
], ids=lambda obj: str(obj.metadata.name))
def test_what_is_missed_least_goes_first(sooner: Pod) -> None:
    for order in ([STEADY, sooner], [sooner, STEADY]):
        assert list(pods_to_delete(order, 1, (), NOW)) == [sooner]


@pytest.mark.parametrize(("first", "then"), [
    (pod("a", phase="Pending", ready=-500), pod("b", phase="Unknown")),
    (pod("a"), pod("b", ready=-500, annotations={DELETION_COST: "-1000"})),
    (pod("a", ready=-500, annotations={DELETION_COST: "9"}), pod("b", ready=-1, annotations={DELETION_COST: "10"})),
    (pod("a", ready=-1), pod("b", ready=-500, restarts=9)),
])
def test_the_criteria_have_an_order(first: Pod, then: Pod) -> None:
    assert list(pods_to_delete([then, first], 1, (), NOW)) == [first]


def test_a_crowded_node_gives_first() -> None:
    pods = [pod("alone", node="a", ready=-5), pod("together", node="b", ready=-500)]
    related = [*pods, pod("neighbour", node="b", ready=-5), pod("gone", node="a", phase="Failed")]
    assert list(pods_to_delete(pods, 1, related, NOW)) == [pods[1]]


def test_ages_of_the_same_order_of_magnitude_weigh_the_same() -> None:
    older, younger = pod("a", ready=-1000), pod("b", ready=-900)
    assert list(pods_to_delete([younger, older], 1, (), NOW)) == [older], "by name, which says nothing"


@pytest.mark.parametrize("cost", ["", "much", "1.5", "99999999999"])
def test_a_cost_that_is_no_number_counts_for_nothing(cost: str) -> None:
    odd = pod("a", ready=-500, annotations={DELETION_COST: cost})
    assert list(pods_to_delete([STEADY, odd], 1, (), NOW)) == [odd]


def test_all_go_when_all_are_asked_for() -> None:
    assert list(pods_to_delete([STEADY], 5, (), NOW)) == [STEADY]
