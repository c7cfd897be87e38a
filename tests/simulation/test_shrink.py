"""Shrinking: on made-up failures, whose smallest case is known, and on a run."""
from __future__ import annotations

from fnmatch import fnmatchcase

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kubelet_lite.simulation.calls import Create, Delete
from kubelet_lite.simulation.failure import Failure
from kubelet_lite.simulation.faults import LostAnswers, NodeDeath, UnobservedStates
from kubelet_lite.simulation.faults.requests import RequestFault
from kubelet_lite.simulation.records.story import tell
from kubelet_lite.simulation.shrink import Case, shrink, shrink_run
from kubelet_lite.simulation.simulation import Met, Setting, Simulation, play
from kubelet_lite.simulation.step import Call, Fault, Step
from kubelet_lite.simulation.which import Which
from tests.simulation.stories import Idle, ScaleWeb, failed_run, run_web

PARTS = ("scheduler", "kubelet-node-1", "deployment-controller")
steps = st.lists(
    st.one_of(
        st.builds(Idle, at=st.floats(0, 100), seconds=st.floats(0, 30), part=st.sampled_from(PARTS)),
        st.builds(ScaleWeb, at=st.floats(0, 100), replicas=st.integers(0, 40)),
    ),
    max_size=12,
).map(tuple)
decisions = st.dictionaries(st.sampled_from(["order", "lose"]), st.dictionaries(st.integers(0, 30), st.integers(1, 9), min_size=1), max_size=2)
cases = st.builds(Case, steps=steps, decisions=decisions)
EVERYTHING = 10_000
"""Plays: more than any of these cases needs."""


def count(case: Case) -> int:
    return sum(len(decided) for decided in case.decisions.values())


@given(cases, st.sets(st.sampled_from(PARTS)), st.booleans())
def test_what_is_left_is_what_the_failure_needs(case: Case, parts: set[str], decides: bool) -> None:
    def fails(case: Case) -> bool:
        struck = {step.part for step in case.steps if isinstance(step, Idle)}
        return parts <= struck and (not decides or 5 in case.decisions.get("order", {}))

    if not fails(case):
        return
    shrunk = shrink(case, fails, streams=("network",), budget=EVERYTHING)
    assert fails(shrunk.case)
    assert shrunk.finished
    assert len(shrunk.case.steps) == len(parts)
    assert all(isinstance(step, Idle) and step.seconds == 0 and step.at <= 1 for step in shrunk.case.steps)
    assert count(shrunk.case) == decides
    assert shrunk.case.plain == {"network"}


@given(cases, st.integers(0, 300))
def test_it_never_ends_with_what_does_not_fail_and_never_spends_more_than_its_budget(case: Case, budget: int) -> None:
    plays = []

    def fails(case: Case) -> bool:
        plays.append(case)
        total = sum(step.replicas for step in case.steps if isinstance(step, ScaleWeb))
        return total >= 7 and len(plays) % 7 != 0

    shrunk = shrink(case, fails, budget=budget)
    assert len(plays) == shrunk.plays <= budget
    if shrunk.case != case:
        assert sum(step.replicas for step in shrunk.case.steps if isinstance(step, ScaleWeb)) >= 7


@given(cases)
@settings(max_examples=30)
def test_the_same_case_has_the_same_answer(case: Case) -> None:
    def fails(case: Case) -> bool:
        return sum(step.at for step in case.steps) > 20 or count(case) > 3

    if fails(case):
        assert shrink(case, fails) == shrink(case, fails)


@given(st.floats(0.001, 1000), st.integers(1, 40))
def test_values_become_round_and_small(at: float, replicas: int) -> None:
    def fails(case: Case) -> bool:
        return any(isinstance(step, ScaleWeb) and step.replicas >= min(replicas, 5) for step in case.steps)

    shrunk = shrink(Case((ScaleWeb(at=at, replicas=replicas),)), fails, budget=EVERYTHING)
    assert shrunk.case.steps[0].at == 0
    assert fails(shrunk.case)


def test_decisions_go_one_by_one_and_get_smaller() -> None:
    needed = {("order", 3), ("order", 9), ("lose", 1)}

    def fails(case: Case) -> bool:
        return needed <= {(name, place) for name, decided in case.decisions.items() for place in decided}

    many = {"order": dict.fromkeys(range(20), 4), "lose": dict.fromkeys(range(20), 2)}
    assert shrink(Case(decisions=many), fails).case.decisions == {"order": {3: 1, 9: 1}, "lose": {1: 1}}


def test_streams_become_plain_one_by_one_where_not_all_may() -> None:
    def fails(case: Case) -> bool:
        return "network" not in case.plain

    assert shrink(Case(), fails, streams=("a", "network", "b")).case.plain == {"a", "b"}


def test_two_steps_that_need_each_other_both_stay() -> None:
    case = Case(tuple(ScaleWeb(at=n, replicas=n) for n in range(12)))

    def fails(case: Case) -> bool:
        return {3, 11} <= {step.replicas for step in case.steps if isinstance(step, ScaleWeb)}

    assert [step.replicas for step in shrink(case, fails).case.steps if isinstance(step, ScaleWeb)] == [3, 11]


def test_steps_of_other_members_than_numbers() -> None:
    class Named(Call, frozen=True, kw_only=True):
        name: str = ""
        part: str = "*"
        force: bool = False
        labels: tuple[str, ...] = ()

        async def play(self, simulation: Simulation) -> None: ...

    made: tuple[Step, ...] = (Named(name="other", part="scheduler", force=True, labels=("a", "b")),)
    assert shrink(Case(made), lambda case: len(case.steps) == 1).case.steps == (Named(part="scheduler"),)


def test_members_of_members_become_simpler_too() -> None:
    made = (Delete(at=3, which=Which(kind="pods", name="web-*", nth=7)),)
    assert shrink(Case(made), lambda case: len(case.steps) == 1).case.steps == (Delete(which=Which(kind="pods", name="web-*")),)


WEB = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web"}}


def test_counts_go_down_one_by_one_in_manifests_too() -> None:
    made = (Create(manifest={**WEB, "spec": {"replicas": 7, "paused": False}}),)

    def fails(case: Case) -> bool:
        return any(isinstance(step, Create) and step.manifest["spec"]["replicas"] >= 3 for step in case.steps)

    assert shrink(Case(made), fails).case.steps == (
        Create(manifest={**WEB, "spec": {"replicas": 3, "paused": False}}),
    )


MET = Met(
    parts=("kubelet-node-1", "kubelet-node-2", "store"), askers=("kubelet-node-1", "ctl", "kubelet-node-2"), verbs=("list", "watch", "create"),
    resources=("pods", "configmaps"),
)


@pytest.mark.parametrize(("fault", "narrowed"), [
    (UnobservedStates(seconds=0), UnobservedStates(seconds=0, part="ctl", verbs=("watch",), resources=("configmaps",))),
    (LostAnswers(part="c*"), LostAnswers(part="ctl", verbs=("watch",), resources=("configmaps",))),
    (LostAnswers(part="ctl", resources=("nodes", "configmaps")), LostAnswers(part="ctl", verbs=("watch",), resources=("configmaps",))),
])
def test_a_fault_is_narrowed_to_what_it_has_to_strike(fault: RequestFault, narrowed: RequestFault) -> None:
    def fails(case: Case) -> bool:
        def strikes(step: Step) -> bool:
            return isinstance(step, RequestFault) and step.chance == 1 and fnmatchcase("ctl", step.part) and (not step.verbs or "watch" in step.verbs) and (
                not step.resources or "configmaps" in step.resources
            )

        return any(map(strikes, case.steps))

    assert shrink(Case((fault,)), fails, met=MET).case.steps == (narrowed,)
    assert shrink(Case((narrowed,)), fails, met=MET).case.steps == (narrowed,), "and never made wider"


def test_a_fault_of_several_parts_stays_one_and_one_of_a_machine_is_narrowed_to_those_that_there_are() -> None:
    def both(case: Case) -> bool:
        return all(any(isinstance(step, Fault) and fnmatchcase(name, step.part) for step in case.steps) for name in MET.parts[:2])

    def second(case: Case) -> bool:
        return any(isinstance(step, NodeDeath) and fnmatchcase("kubelet-node-2", step.part) for step in case.steps)

    assert shrink(Case((NodeDeath(part="kubelet-*"),)), both, met=MET).case.steps == (NodeDeath(part="kubelet-*"),)
    assert shrink(Case((NodeDeath(part="kubelet-*"),)), second, met=MET).case.steps == (NodeDeath(part="kubelet-node-2"),)


def test_a_run_knows_whom_its_faults_met() -> None:
    run = play(run_web, seed=1, steps=[LostAnswers(seconds=5, part="kubelet-*", resources=("pods",))], setting=Setting(nodes=2))
    assert run.met.askers == ("kubelet-node-1", "kubelet-node-2")
    assert run.met.resources == ("pods",)
    assert {"replicaset-controller", "default-scheduler", "scheduler"} <= {*run.met.parts}


def test_a_run_shrinks_to_the_step_that_it_needs() -> None:
    run = failed_run()
    small, shrunk = shrink_run(run)
    assert small.steps == shrunk.case.steps == (ScaleWeb(at=0, replicas=5),)
    assert small.decisions == {}
    assert "network" in small.plain
    assert "environment" not in small.plain
    assert len({r.event.key for r in small.archive.revisions if r.event.key.resource == "pods"}) == 5
    assert shrunk.plays < 60
    assert run.error is not None
    assert small.error is not None
    assert Failure.of(small.error).is_same(Failure.of(run.error))
    assert "scales deployment default/web to 5" in str(tell(small))
