"""The pretended runtime, in virtual time: containers live as their behaviour says."""
import math

import msgspec
import pytest

from kubelet_lite.api.core_v1 import Container, Pod, PodSpec
from kubelet_lite.api.meta_v1 import ObjectMeta
from kubelet_lite.runtimes.base import ContainerSpec, Foresight, RuntimeFailure, SandboxSpec
from kubelet_lite.runtimes.fake import ANNOTATION, Behaviour, FakeRuntime
from kubelet_lite.runtimes.network.loopback import PretendNetwork
from kubelet_lite.simulation.virtual.run import simulate


def played(behaviour, story):
    async def main(environment):
        runtime = FakeRuntime(environment, PretendNetwork(), lambda pod, container, attempt: behaviour)
        pod = Pod(metadata=ObjectMeta(name="p"), spec=PodSpec(containers=(Container(name="c", image="x"),)))
        sandbox = await runtime.run_sandbox(SandboxSpec(namespace="ns", name="p", uid="u", pod=pod))
        container = await runtime.create_container(sandbox.id, ContainerSpec(name="c", image="x"))
        return await story(environment, runtime, container)

    return simulate(1, main)


async def status(runtime):
    return (await runtime.state("u")).container("c")


def test_a_container_exits_when_its_time_is_over_and_not_before():
    async def story(environment, runtime, container):
        await runtime.start_container(container)
        end = runtime.next_change()
        assert end == environment.now() + 5
        runtime.advance(end - 0.1)
        assert (await status(runtime)).state == "running"
        runtime.advance(end)
        return await status(runtime)

    done = played(Behaviour(run_seconds=5, exit_code=3), story)
    assert (done.state, done.exit_code, done.finished_at - done.started_at) == ("exited", 3, 5)


def test_stopping_takes_its_time_or_the_grace():
    async def story(environment, runtime, container):
        await runtime.start_container(container)
        await runtime.stop_container(container, 3)
        assert (await status(runtime)).state == "running"
        runtime.advance(environment.now() + 3)
        return (await status(runtime)).exit_code

    assert played(Behaviour(stop_seconds=2), story) == 0
    assert played(Behaviour(stop_seconds=9), story) == 137


def test_probes_follow_the_behaviour_and_what_a_test_says():
    async def story(environment, runtime, container):
        await runtime.start_container(container)
        answers = [(await runtime.probe(container, "Readiness")).success]
        await environment.sleep(2)
        answers.append((await runtime.probe(container, "Readiness")).success)
        runtime.set_ready("u", "c", False)
        answers.append((await runtime.probe(container, "Readiness")).success)
        answers.append((await runtime.probe(container, "Liveness")).success)
        return answers

    assert played(Behaviour(ready_after_seconds=1, alive_seconds=1), story) == [False, True, False, False]


@pytest.mark.parametrize(("behaviour", "kind", "before", "after"), [
    (Behaviour(ready_after_seconds=3), "Readiness", (False, 3.0), (True, math.inf)),
    (Behaviour(alive_seconds=3), "Liveness", (True, 3.0), (False, math.inf)),
    (Behaviour(), "Liveness", (True, math.inf), (True, math.inf)),
])
def test_it_knows_until_when_a_probe_is_answered_alike(behaviour, kind, before, after):
    async def story(environment, runtime, container):
        assert runtime.foresee(container, kind) is None
        await runtime.start_container(container)
        begun = environment.now()
        seen = []
        for _ in range(2):
            foresight = runtime.foresee(container, kind)
            assert foresight.success == (await runtime.probe(container, kind)).success
            seen.append((foresight.success, foresight.until - begun))
            await environment.sleep(3)
        return tuple(seen)

    assert played(behaviour, story) == (before, after)


def test_a_test_that_changes_the_answer_is_told_to_who_listens():
    async def story(environment, runtime, container):
        heard = []
        await runtime.start_container(container)
        runtime.subscribe(heard.append)
        runtime.set_ready("u", "c", False)
        return heard, runtime.foresee(container, "Readiness")

    assert played(Behaviour(), story) == (["u"], Foresight(False, math.inf))


def test_a_crash_is_told_to_who_listens():
    async def story(environment, runtime, container):
        heard = []
        await runtime.start_container(container)
        runtime.subscribe(heard.append)
        runtime.crash("u", "c", 9)
        return heard, (await status(runtime)).exit_code

    assert played(Behaviour(), story) == (["u"], 9)


def test_a_container_that_cannot_start_says_why():
    async def story(environment, runtime, container):
        with pytest.raises(RuntimeFailure, match="no such"):
            await runtime.start_container(container)
        return await status(runtime)

    assert played(Behaviour(start_error="no such program"), story).reason == "StartError"


@pytest.mark.parametrize("annotation", ['{"exit_code": 4, "run_seconds": 0}', '{"c": {"exit_code": 4, "run_seconds": 0}}'])
def test_the_annotation_of_a_pod_says_how_it_behaves(annotation):
    async def main(environment):
        runtime = FakeRuntime(environment, PretendNetwork())
        meta = ObjectMeta(name="p", annotations={ANNOTATION: annotation})
        pod = Pod(metadata=meta, spec=PodSpec(containers=(Container(name="c", image="x"),)))
        sandbox = await runtime.run_sandbox(SandboxSpec(namespace="ns", name="p", uid="u", pod=pod))
        await runtime.start_container(await runtime.create_container(sandbox.id, ContainerSpec(name="c", image="x")))
        runtime.advance(environment.now())
        return (await runtime.state("u")).container("c").exit_code

    assert simulate(1, main) == 4


def test_an_annotation_with_an_unknown_field_is_refused():
    async def main(environment):
        runtime = FakeRuntime(environment, PretendNetwork())
        pod = Pod(metadata=ObjectMeta(annotations={ANNOTATION: '{"nosuch": 1}'}), spec=PodSpec(containers=(Container(name="c"),)))
        sandbox = await runtime.run_sandbox(SandboxSpec(namespace="ns", name="p", uid="u", pod=msgspec.structs.replace(pod)))
        with pytest.raises(RuntimeFailure, match=ANNOTATION):
            await runtime.create_container(sandbox.id, ContainerSpec(name="c", image="x"))

    simulate(1, main)
