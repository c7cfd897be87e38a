"""The pretended runtime, in virtual time: containers live as their behaviour says."""
import math

import msgspec
import pytest

from kubelet_lite.api.core_v1 import Container, Pod, PodSpec, ResourceRequirements
from kubelet_lite.api.meta_v1 import ObjectMeta
from kubelet_lite.runtimes.base import ContainerSpec, Foresight, RuntimeFailure, SandboxSpec
from kubelet_lite.runtimes.fake import ANNOTATION, Behaviour, FakeRuntime
from kubelet_lite.runtimes.network.loopback import PretendNetwork
from kubelet_lite.simulation.virtual.run import simulate


def played(behaviour, story, **requests):
    async def main(environment):
        runtime = FakeRuntime(environment, PretendNetwork(), lambda pod, container, attempt: behaviour)
        container = Container(name="c", image="x", resources=ResourceRequirements(requests=requests))
        pod = Pod(metadata=ObjectMeta(name="p"), spec=PodSpec(containers=(container,)))
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


def used(before, after):
    """Millicores of the only container, and of the node."""
    seconds = after.time - before.time
    pairs = [(before.containers[0], after.containers[0]), (before, after)]
    return tuple((b.cpu_nanoseconds - a.cpu_nanoseconds) / seconds / 1_000_000 for a, b in pairs)


def test_a_container_uses_half_of_what_it_requests_unless_its_behaviour_says_otherwise():
    async def story(environment, runtime, container):
        await runtime.start_container(container)
        before = await runtime.usage()
        await environment.sleep(10)
        after = await runtime.usage()
        return used(before, after), after.containers[0].memory_bytes, after.memory_bytes

    mebibyte = 1 << 20
    assert played(Behaviour(), story) == ((10, 110), 32 * mebibyte, (512 + 32) * mebibyte)
    assert played(Behaviour(), story, cpu="1", memory="64Mi") == ((500, 600), 32 * mebibyte, (512 + 32) * mebibyte)
    assert played(Behaviour(cpu_millicores=250, memory_bytes=1000), story, cpu="1") == ((250, 350), 1000, 512 * mebibyte + 1000)
    assert played(Behaviour(cpu_millicores=((0, 0), (10, 400))), story)[0] == (200, 300)


def test_usage_follows_what_a_test_says_and_what_ended_stays_used():
    async def story(environment, runtime, container):
        await runtime.start_container(container)
        runtime.set_usage("u", "c", cpu_millicores=2000, memory_bytes=5)
        runtime.set_own_usage(cpu_millicores=0, memory_bytes=1)
        before = await runtime.usage()
        await environment.sleep(10)
        between = await runtime.usage()
        await runtime.stop_container(container, 0)
        await environment.sleep(10)
        after = await runtime.usage()
        assert used(before, between) == (2000, 2000)
        assert (between.memory_bytes, after.memory_bytes, after.containers) == (6, 1, ())
        assert after.cpu_nanoseconds == between.cpu_nanoseconds
        with pytest.raises(ValueError, match="cpu_millicores: -1 is less than 0"):
            runtime.set_own_usage(cpu_millicores=-1)

    played(Behaviour(), story)


def test_an_annotation_with_a_course_that_is_none_says_so():
    async def main(environment):
        runtime = FakeRuntime(environment, PretendNetwork())
        metadata = ObjectMeta(name="p", annotations={ANNOTATION: '{"cpu_millicores": [[5, 1], [3, 2]]}'})
        pod = Pod(metadata=metadata, spec=PodSpec(containers=(Container(name="c", image="x"),)))
        sandbox = await runtime.run_sandbox(SandboxSpec(namespace="ns", name="p", uid="u", pod=pod))
        with pytest.raises(RuntimeFailure, match=r"cpu_millicores: 3.0 seconds do not come after 5.0"):
            await runtime.create_container(sandbox.id, ContainerSpec(name="c", image="x"))

    simulate(1, main)
