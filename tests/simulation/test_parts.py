"""The user's own code is a part like any other: struck by faults under its name, killed behind a write, named in stories, drawn against."""
from __future__ import annotations

import os
from collections import Counter
from collections.abc import Awaitable, Callable
from contextlib import suppress
from functools import partial
from typing import Any

import anyio
import httpx
import kr8s.asyncio
import pytest
from kr8s.asyncio.objects import ConfigMap as Kr8sConfigMap

from kubelet_lite.api.core_v1 import ConfigMap
from kubelet_lite.api.errors import ApiError
from kubelet_lite.api.identity import Identity
from kubelet_lite.api.meta_v1 import ObjectMeta
from kubelet_lite.simulation.calls import Apply
from kubelet_lite.simulation.draw import STANDARD_FAULTS, YOURS, Drawn, Mix, draw_steps
from kubelet_lite.simulation.errors import FaultNotFired
from kubelet_lite.simulation.faults import (
    ApiErrors,
    ClockJump,
    CrashActor,
    CrashAfterWrite,
    DelayedWatches,
    EndedWatches,
    Latency,
    LostAnswers,
    LostRequests,
    Partition,
    StaleCache,
    StopActor,
    UnobservedStates,
)
from kubelet_lite.simulation.invariant import always
from kubelet_lite.simulation.records.story import tell
from kubelet_lite.simulation.simulation import Setting, Simulation, play
from kubelet_lite.simulation.snapshot import Snapshot
from kubelet_lite.simulation.step import Fault, Step
from kubelet_lite.simulation.virtual.program import Program
from kubelet_lite.simulation.virtual.tape import Tape
from tests.simulation.operators import kubeconfig_of

NAME = "ctl"
SERVED = Setting(nodes=0, components=("apiserver",), serve=True)
OPERATOR = Identity(name="site-operator", groups=("system:masters",))
MAPS = "/api/v1/namespaces/default/configmaps"
pytestmark = pytest.mark.filterwarnings("ignore:Kubernetes version .* is not supported")


def config(name: str) -> ConfigMap:
    return ConfigMap(metadata=ObjectMeta(name=name, namespace="default"))


async def _program(url: str, token: str, told: list[str]) -> None:
    """Makes a ConfigMap a second and says what it was told; follows all of them."""
    async def follow(client: httpx.AsyncClient) -> None:
        while True:
            try:
                async with client.stream("GET", MAPS, params={"watch": "1", "resourceVersion": "0"}) as answer:
                    async for _ in answer.aiter_lines():
                        pass
            except httpx.TransportError:
                pass
            await anyio.sleep(0.5)

    headers = {"Authorization": f"Bearer {token}"}
    async with httpx.AsyncClient(base_url=url, headers=headers, timeout=None) as client, anyio.create_task_group() as tasks:
        tasks.start_soon(follow, client)
        while True:
            made = sum(told_one == "201" for told_one in told)
            try:
                answer = await client.post(MAPS, json={"metadata": {"name": f"made-{made}"}})
                told.append(str(answer.status_code))
            except httpx.TransportError as error:
                told.append(type(error).__name__)
            await anyio.sleep(1)


def scenario_of(told: list[str], seconds: float = 30) -> Callable[[Simulation], Awaitable[None]]:
    async def scenario(simulation: Simulation) -> None:
        cluster = simulation.cluster
        cluster.supervisor.start(Program(NAME, lambda: _program(cluster.url, cluster.token, told)))
        await simulation.sleep(seconds)

    return scenario


@pytest.mark.parametrize("fault", [
    Partition(at=5, seconds=5, part=NAME), Latency(at=5, seconds=5, part=NAME), LostRequests(at=5, seconds=5, part=NAME),
    LostAnswers(at=5, seconds=5, part=NAME), ApiErrors(at=5, seconds=5, part=NAME), EndedWatches(at=5, part=NAME),
    DelayedWatches(at=5, seconds=5, part=NAME), StaleCache(at=5, seconds=5, part=NAME), UnobservedStates(at=5, seconds=5, part=NAME),
    CrashActor(at=5, part=NAME), CrashActor(at=5, at_step=3, seconds=5, part=NAME), StopActor(at=5, seconds=5, part=NAME),
    CrashAfterWrite(at=5, seconds=5, part=NAME), Partition(at=5, seconds=5, part="c?l"),
], ids=lambda fault: type(fault).__name__)
def test_every_fault_finds_a_program_by_its_name_over_http(fault: Fault) -> None:
    run = play(scenario_of([]), setting=SERVED, steps=[fault])
    run.raise_error()
    assert run.fired[0] > 0


def test_its_user_agent_finds_it_too_and_the_name_of_another_does_not() -> None:
    run = play(scenario_of([]), setting=SERVED, steps=[ApiErrors(at=5, seconds=5, part="python-httpx")])
    run.raise_error()
    with pytest.raises(FaultNotFired):
        play(scenario_of([]), setting=SERVED, steps=[ApiErrors(at=5, seconds=5, part="other")]).raise_error()


def test_a_program_is_killed_behind_its_nth_write_before_it_hears_of_it() -> None:
    told: list[str] = []
    run = play(scenario_of(told, 20), setting=SERVED, steps=[CrashAfterWrite(at=0, seconds=20, part=NAME, at_write=3)])
    run.raise_error()
    assert run.fired == (1,)
    assert told[:3] == ["201", "201", "409"], "made-2 was made, and nobody was told: the next run of the program tries it again"
    made = [revision.object.metadata.name for revision in run.archive.revisions if revision.actor == NAME]
    assert made == ["made-0", "made-1", "made-2"]
    assert [record.fields["actor"] for record in run.archive.records if record.fields.get("event") == "actor_crashed"] == [NAME]


@pytest.mark.parametrize("fault", [
    CrashActor(part=NAME), CrashActor(part=NAME, at_step=2, seconds=10), StopActor(part=NAME, seconds=3), ClockJump(part=NAME, jump_seconds=60),
], ids=lambda fault: type(fault).__name__)
def test_a_fault_at_the_very_beginning_waits_for_the_program_that_the_scenario_starts(fault: Fault) -> None:
    async def late(simulation: Simulation) -> None:
        await simulation.sleep(7)
        simulation.environment.of(NAME)
        await scenario_of([])(simulation)

    run = play(late, setting=SERVED, steps=[fault])
    run.raise_error()
    assert run.fired == (1,)
    began = next(record for record in run.archive.records if record.fields.get("event") == "step_began")
    assert 7 <= began.time - run.archive.began <= 8


def test_one_for_whom_nobody_ever_is_there_struck_nothing() -> None:
    async def scenario(simulation: Simulation) -> None:
        await simulation.sleep(10)

    with pytest.raises(FaultNotFired, match="at 0 s: absent crashes"):
        play(scenario, setting=SERVED, steps=[CrashActor(part="absent")]).raise_error()
    play(scenario, setting=SERVED, steps=[CrashActor(part="absent", may_miss=True)]).raise_error()


def test_equal_faults_are_counted_each_for_itself() -> None:
    fault = ApiErrors(at=5, seconds=3, part=NAME, may_miss=True)
    run = play(scenario_of([]), setting=SERVED, steps=[fault, fault, ApiErrors(at=5, seconds=3, part=NAME, may_miss=True)])
    run.raise_error()
    assert sorted(map(bool, run.fired)) == [False, False, True], "the first of them answers every request"


def test_equal_faults_of_which_one_strikes_nothing_are_reported() -> None:
    with pytest.raises(FaultNotFired):
        play(scenario_of([]), setting=SERVED, steps=[ApiErrors(at=5, seconds=3, part=NAME)] * 2).raise_error()


async def _as_operator(simulation: Simulation) -> None:
    client = simulation.client.acting_as(OPERATOR)
    for number in range(20):
        with suppress(ApiError):
            await client.create(config(f"site-{number}"))
        await simulation.client.create(config(f"plain-{number}"))
        await simulation.sleep(1)


def test_a_user_that_the_scenario_acts_as_counts_under_its_name() -> None:
    run = play(_as_operator, setting=SERVED, steps=[Partition(at=5, seconds=5, part=OPERATOR.name)])
    run.raise_error()
    assert run.fired == (5,)
    actors = {revision.object.metadata.name.partition("-")[0]: revision.actor for revision in run.archive.revisions if revision.event.revision > run.archive.ready}
    assert actors == {"site": OPERATOR.name, "plain": ""}


def test_what_a_step_does_is_the_users_whoever_asked_before() -> None:
    async def scenario(simulation: Simulation) -> None:
        await simulation.client.acting_as(OPERATOR).create(config("first"))
        simulation.start(Apply(manifest={"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "second", "namespace": "default"}}))
        await simulation.sleep(1)

    run = play(scenario, setting=SERVED)
    run.raise_error()
    assert [revision.actor for revision in run.archive.revisions if revision.event.key.name in ("first", "second")] == [OPERATOR.name, ""]


def test_stories_name_the_program_whatever_client_it_uses() -> None:
    async def with_kr8s() -> None:
        api = await kr8s.asyncio.api(kubeconfig=os.environ["KUBECONFIG"])
        await (await Kr8sConfigMap({"metadata": {"name": "by-kr8s", "namespace": "default"}}, api=api)).create()

    async def scenario(simulation: Simulation) -> None:
        with kubeconfig_of(simulation.cluster):
            simulation.cluster.supervisor.start(Program(NAME, with_kr8s))
            async with httpx.AsyncClient(headers={"Authorization": f"Bearer {simulation.cluster.token}", "User-Agent": "curl/8"}) as client:
                await client.post(f"{simulation.cluster.url}{MAPS}", json={"metadata": {"name": "by-curl"}})
            await simulation.sleep(5)

    run = play(scenario, setting=SERVED)
    run.raise_error()
    assert {(line.actor, line.object) for line in tell(run).lines} == {
        (NAME, "configmap default/by-kr8s"), ("curl", "configmap default/by-curl"),
    }


def _no_surprise(snapshot: Snapshot) -> str:
    return "configmap default/named is not alone" if any(each.metadata.name == "surprise" for each in snapshot.list(ConfigMap)) else ""


def test_the_write_that_made_it_fail_is_told_though_the_failure_names_another_object() -> None:
    async def scenario(simulation: Simulation) -> None:
        for name in ("named", "earlier"):
            await simulation.client.create(config(name))
        await simulation.sleep(5)
        await simulation.client.acting_as(OPERATOR).create(config("surprise"))
        await simulation.sleep(5)

    story = tell(play(scenario, setting=SERVED, invariants=[always(_no_surprise, name="Alone")]))
    assert [(line.actor, line.object) for line in story.lines] == [
        ("user", "configmap default/named"), (OPERATOR.name, "configmap default/surprise"),
    ]


# ---- drawn against


def drawn(count: int, **more: Any) -> list[Step]:
    return [step for seed in range(count) for step in draw_steps(Tape(seed), **more)]


def test_half_of_what_may_strike_user_code_does_when_its_parts_are_named() -> None:
    kinds = {kind.kind for kind in STANDARD_FAULTS if YOURS in kind.values.get("part", ())}
    assert kinds >= {CrashActor, CrashAfterWrite, LostAnswers, Partition, StaleCache, ApiErrors, ClockJump, StopActor}
    seen = Counter(step.part for step in drawn(1000, parts=("one", "two")) if isinstance(step, Fault) and type(step) in kinds)
    assert 0.4 < (seen["one"] + seen["two"]) / seen.total() < 0.6
    assert 0.7 < seen["one"] / seen["two"] < 1.4
    assert YOURS not in seen


def test_without_parts_all_is_as_before() -> None:
    assert drawn(200, parts=()) == drawn(200)
    assert all(step.part != YOURS for step in drawn(500) if isinstance(step, Fault))


def test_a_mix_of_faults_against_nobody_is_an_error_that_says_so() -> None:
    mix = Mix(faults=(Drawn(LostAnswers, 1, {"part": (YOURS,), "seconds": (5.0,)}),), most_faults=1)
    assert {step.part for step in drawn(20, mix=mix, parts=(NAME,)) if isinstance(step, Fault)} == {NAME}
    with pytest.raises(ValueError, match=r"draw_steps: LostAnswers\.part: with nodes=3, parts=\(\) there is none of 'a part of yours'"):
        drawn(20, mix=mix)
    with pytest.raises(TypeError, match="parts='ctl': a list is wanted"):
        drawn(1, parts=NAME)


def test_drawn_faults_strike_a_program() -> None:
    struck = 0
    for seed in range(10):
        steps = partial(draw_steps, seconds=30, nodes=1, parts=(NAME,))(Tape(seed), Mix(faults=STANDARD_FAULTS))
        run = play(scenario_of([]), seed=seed, setting=SERVED, steps=steps)
        run.raise_error()
        struck += sum(bool(count) for step, count in zip(run.steps, run.fired, strict=True) if isinstance(step, Fault) and step.part == NAME)
    assert struck >= 5
