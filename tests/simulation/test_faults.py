"""Every fault strikes whom it is meant for, ends when it says, and leaves everybody else alone."""
from __future__ import annotations

import anyio
import pytest
from msgspec.structs import replace

from kubelet_lite.api.core_v1 import ConfigMap, Container, HTTPGetAction, Pod, PodSpec, Probe
from kubelet_lite.api.errors import (
    ApiError,
    Conflict,
    Expired,
    InternalError,
    ServiceUnavailable,
    Timeout,
    TooManyRequests,
)
from kubelet_lite.api.identity import Identity
from kubelet_lite.api.meta_v1 import ObjectMeta
from kubelet_lite.api.requests import MERGE_PATCH, ListOptions
from kubelet_lite.simulation.errors import FaultNotFired
from kubelet_lite.simulation.faults import (
    ApiErrors,
    ClockJump,
    Compaction,
    CrashActor,
    CrashAfterWrite,
    CrashContainer,
    DelayedWatches,
    EndedWatches,
    FlappingReadiness,
    Hang,
    Latency,
    LostAnswers,
    LostRequests,
    NodeDeath,
    OutOfMemory,
    Partition,
    Reboot,
    SlowStart,
    StaleCache,
    StopActor,
    UnobservedStates,
)
from kubelet_lite.simulation.simulation import Setting, play

API_ONLY = Setting(nodes=0, components=("apiserver",))
CLUSTER = Setting(nodes=2)
OPERATOR = "operator"


def config(name, **data):
    return ConfigMap(metadata=ObjectMeta(name=name, namespace="default"), data=data)


def operator(simulation):
    return simulation.client.acting_as(Identity(name=OPERATOR, groups=simulation.client.identity.groups))


def from_now_on(simulation):
    return ListOptions(resource_version=str(simulation.cluster.store.revision))


async def attempts(simulation, call, seconds=30):
    """(second, error or None) of a call each second."""
    answers = []
    for _ in range(seconds):
        at = simulation.environment.monotonic() - simulation.began
        try:
            await call()
        except ApiError as error:
            answers.append((at, error))
        else:
            answers.append((at, None))
        await simulation.sleep(1)
    return answers


def run(scenario, *steps, setting=API_ONLY, **more):
    done = play(scenario, steps=steps, setting=setting, **more)
    done.raise_error()
    return done


@pytest.mark.parametrize(("code", "kind"), [(429, TooManyRequests), (500, InternalError), (503, ServiceUnavailable), (504, Timeout), (409, Conflict)])
def test_errors_of_the_api_server_meet_their_part_for_their_time(code, kind):
    async def scenario(simulation):
        await simulation.client.create(config("there"))

        def patched(client):
            return lambda: client.patch(ConfigMap, "there", {"data": {"a": "b"}}, content_type=MERGE_PATCH, namespace="default")

        answers = await attempts(simulation, patched(operator(simulation)))
        assert {at: type(error) for at, error in answers if error is not None} == dict.fromkeys(map(float, range(10, 20)), kind)
        assert all(error is None for _, error in await attempts(simulation, patched(simulation.client), 1))

    done = run(scenario, ApiErrors(at=9.5, seconds=10, part=OPERATOR, code=code))
    assert done.fired == (10,)


def test_an_overloaded_server_says_when_to_come_back():
    async def scenario(simulation):
        with pytest.raises(TooManyRequests) as raised:
            await operator(simulation).list(ConfigMap)
        assert raised.value.details == {"retryAfterSeconds": 1}

    async def later(simulation):
        await simulation.sleep(1)
        await scenario(simulation)

    run(later, ApiErrors(seconds=10, part=OPERATOR, code=429))


def test_a_conflict_meets_nobody_who_only_reads_or_creates():
    async def scenario(simulation):
        await simulation.sleep(1)
        await operator(simulation).create(config("new"))
        await operator(simulation).list(ConfigMap)

    with pytest.raises(FaultNotFired, match="at 0 s: every request of operator answered with 409 for 10 s"):
        run(scenario, ApiErrors(seconds=10, part=OPERATOR, code=409))
    run(scenario, ApiErrors(seconds=10, part=OPERATOR, code=409, may_miss=True))


def test_a_rate_is_met_by_decisions_that_can_be_repeated_and_taken_away():
    async def scenario(simulation):
        found.append([error is None for _, error in await attempts(simulation, lambda: operator(simulation).list(ConfigMap), 300)])

    found: list[list[bool]] = []
    fault = ApiErrors(seconds=1000, part=OPERATOR, chance=0.2)
    first = run(scenario, fault, seed=5)
    assert 30 < found[0].count(False) == first.fired[0] < 90
    name = "ApiErrors of operator at 0"
    assert len(first.decisions[name]) == first.fired[0]
    one = dict(list(first.decisions[name].items())[:1])
    second = run(scenario, fault, seed=5, decisions={name: one})
    assert second.fired == (1,)
    assert found[1].count(False) == 1


def test_a_refusing_partition_breaks_watches_and_lets_nothing_through():
    async def scenario(simulation):
        answers = await attempts(simulation, lambda: operator(simulation).list(ConfigMap), 20)
        assert [at for at, error in answers if isinstance(error, ServiceUnavailable)] == [5, 6, 7, 8, 9]

    async def watching(simulation):
        async with operator(simulation).watch(ConfigMap, options=from_now_on(simulation)) as batches:
            with pytest.raises(ServiceUnavailable, match="connection reset by peer"):
                await anext(batches)
        assert simulation.environment.monotonic() - simulation.began == 4.5

    run(scenario, Partition(at=4.5, seconds=5, part=OPERATOR))
    run(watching, Partition(at=4.5, seconds=5, part=OPERATOR))


def test_a_silent_partition_holds_requests_back_until_it_ends_or_their_patience_does():
    async def scenario(simulation):
        await simulation.sleep(1)
        await operator(simulation).create(config("made"))
        assert simulation.environment.monotonic() - simulation.began == 20

    async def too_long(simulation):
        await simulation.sleep(1)
        with pytest.raises(ServiceUnavailable, match="no answer in time"):
            await operator(simulation).create(config("made"))
        assert simulation.environment.monotonic() - simulation.began == 61
        await simulation.sleep(100)
        assert simulation.snapshot.get(ConfigMap, "made", "default") is None

    run(scenario, Partition(seconds=20, part=OPERATOR, how="silent"))
    run(too_long, Partition(seconds=120, part=OPERATOR, how="silent"))


def test_a_partition_of_watches_alone_lets_requests_through():
    async def scenario(simulation):
        await simulation.sleep(1)
        await operator(simulation).list(ConfigMap)
        with pytest.raises(ServiceUnavailable, match="connection refused"):
            async with operator(simulation).watch(ConfigMap):
                pass

    run(scenario, Partition(seconds=10, part=OPERATOR, verbs=("watch",)))


def test_latency_comes_before_and_after_what_a_request_does():
    async def scenario(simulation):
        await simulation.sleep(1)
        before = simulation.environment.now()
        await operator(simulation).create(config("made"))
        after = simulation.environment.now()
        (revision,) = [r for r in simulation.archive.revisions if r.event.key.name == "made"]
        assert before < revision.time < after <= before + 8

    run(scenario, Latency(seconds=10, part=OPERATOR, most_seconds=4))


def test_a_lost_request_does_nothing_and_a_lost_answer_does_not_undo():
    async def scenario(simulation):
        await simulation.sleep(1)
        with pytest.raises(ServiceUnavailable):
            await operator(simulation).create(config("one"))
        assert simulation.environment.monotonic() - simulation.began == 61
        assert simulation.snapshot.get(ConfigMap, "one", "default") is None
        await simulation.sleep(60)
        with pytest.raises(ServiceUnavailable):
            await operator(simulation).create(config("two"))
        assert simulation.snapshot.get(ConfigMap, "two", "default") is not None
        await operator(simulation).list(ConfigMap)

    run(scenario, LostRequests(seconds=10, part=OPERATOR), LostAnswers(at=100, seconds=100, part=OPERATOR))


@pytest.mark.parametrize(("how", "kind"), [("closed", StopAsyncIteration), ("reset", ServiceUnavailable), ("expired", Expired)])
def test_watches_end_as_they_are_told(how, kind):
    async def scenario(simulation):
        async with operator(simulation).watch(ConfigMap, options=from_now_on(simulation)) as batches:
            with pytest.raises(kind):
                await anext(batches)
        assert simulation.environment.monotonic() - simulation.began == 7

    run(scenario, EndedWatches(at=7, part=OPERATOR, how=how))


async def names_seen(simulation, seconds, **options):
    """(second, names) of each batch that an operator's watch brings."""
    seen = []
    with anyio.move_on_after(seconds):
        async with operator(simulation).watch(ConfigMap, options=ListOptions(**options)) as batches:
            async for batch in batches:
                seen.append((simulation.environment.monotonic() - simulation.began, [event.object.metadata.name for event in batch]))
    return seen


class Writes:
    """Makes a ConfigMap every ten seconds."""

    @staticmethod
    async def go(simulation, count):
        for number in range(count):
            await simulation.sleep(10)
            await simulation.client.create(config(f"c{number}"))


async def watch_while_writing(simulation, count=4, seconds=60):
    revision = str(simulation.cluster.store.revision)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(Writes.go, simulation, count)
        return await names_seen(simulation, seconds, resource_version=revision)


def test_delayed_watches_are_late_for_their_time():
    async def scenario(simulation):
        seen = await watch_while_writing(simulation)
        assert seen == [(10, ["c0"]), (24, ["c1"]), (34, ["c2"]), (40, ["c3"])]

    run(scenario, DelayedWatches(at=15, seconds=20, part=OPERATOR, delay_seconds=4))


def test_a_stale_cache_stands_still_serves_the_past_and_then_goes_on():
    async def scenario(simulation):
        looks = {}

        async def look():
            await simulation.sleep(32)
            found = await operator(simulation).list(ConfigMap, namespace="default", options=ListOptions(resource_version="0"))
            looks["cached"] = [obj.metadata.name for obj in found.items]
            found = await operator(simulation).list(ConfigMap, namespace="default")
            looks["newest"] = [obj.metadata.name for obj in found.items]
            with pytest.raises(ApiError, match='"c1" not found'):
                await operator(simulation).get(ConfigMap, "c1", namespace="default", resource_version="0")
            looks["watched"] = await names_seen(simulation, 1, resource_version="0")

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(look)
            seen = await watch_while_writing(simulation)
        assert seen == [(10, ["c0"]), (35, ["c1"]), (35, ["c2"]), (40, ["c3"])]
        assert looks == {"cached": ["c0"], "newest": ["c0", "c1", "c2"], "watched": []}

    run(scenario, StaleCache(at=15, seconds=20, part=OPERATOR))


def test_unobserved_states_are_never_seen():
    async def scenario(simulation):
        await simulation.sleep(20)
        await simulation.client.create(config("came"))
        await simulation.client.delete(ConfigMap, "came", namespace="default")
        await simulation.sleep(20)

    run(scenario, UnobservedStates(at=15, seconds=20, part="controllers' informers"), setting=CLUSTER)


def test_after_a_compaction_who_is_behind_has_to_list():
    async def scenario(simulation):
        revision = str(simulation.cluster.store.revision)
        await simulation.client.create(config("made"))
        await simulation.sleep(2)
        with pytest.raises(Expired):
            async with simulation.client.watch(ConfigMap, options=ListOptions(resource_version=revision)) as batches:
                await anext(batches)

    run(scenario, Compaction(at=1))


def crashes(done):
    return [(record.fields["actor"], record.time) for record in done.archive.records if record.fields["event"] == "actor_crashed"]


def test_an_actor_crashes_where_it_waits_and_no_other():
    async def scenario(simulation):
        await simulation.sleep(60)

    done = run(scenario, CrashActor(at=7, part="deployment-controller"), CrashActor(at=9, part="kubelet-*"), setting=CLUSTER)
    began = done.archive.began
    assert crashes(done) == [("deployment-controller", began + 7), ("kubelet-node-1", began + 9), ("kubelet-node-2", began + 9)]
    assert done.fired == (1, 2)


def test_an_actor_crashes_at_one_of_its_steps():
    async def scenario(simulation):
        await simulation.sleep(60)

    done = run(scenario, CrashActor(at=7, part="kubelet-node-1", at_step=3, seconds=30), setting=CLUSTER)
    ((actor, time),) = crashes(done)
    assert actor == "kubelet-node-1"
    assert 7 < time - done.archive.began < 37
    with pytest.raises(FaultNotFired):
        run(scenario, CrashActor(at=7, part="kubelet-node-1", at_step=100_000, seconds=30), setting=CLUSTER)


def test_an_actor_crashes_behind_its_write_and_the_write_stands():
    async def scenario(simulation):
        await simulation.sleep(60)

    done = run(scenario, CrashAfterWrite(part="kubelet-node-1", at_write=2, seconds=50), setting=CLUSTER)
    ((actor, time),) = crashes(done)
    writes = [r for r in done.archive.revisions if r.actor == "kubelet-node-1" and r.time > done.archive.began]
    assert actor == "kubelet-node-1"
    assert writes[1].time == time


def test_a_clock_jumps_and_jumps_back():
    async def scenario(simulation):
        kubelet, root = simulation.environment.of("kubelet-node-1"), simulation.environment
        clocks = []
        for _ in range(3):
            clocks.append(kubelet.now() - root.now())
            await simulation.sleep(10)
        assert clocks == [0, 3600, 0]
        assert simulation.environment.of("kubelet-node-2").clock_error_seconds == 0

    run(scenario, ClockJump(at=5, seconds=10, part="kubelet-node-1", jump_seconds=3600), setting=CLUSTER)


def test_the_same_seed_makes_the_same_run():
    async def scenario(simulation):
        spec = PodSpec(containers=(Container(name="c", image="i"),))
        await simulation.client.create(Pod(metadata=ObjectMeta(name="pod", namespace="default"), spec=spec))
        await simulation.sleep(60)

    steps = (
        Latency(seconds=50, part="*", most_seconds=2), ApiErrors(seconds=30, chance=0.3), Partition(at=20, seconds=10, part="kubelet-*"),
        CrashAfterWrite(part="kubelet-*", seconds=50),
    )
    one, two = (run(scenario, *steps, setting=CLUSTER, seed=4) for _ in range(2))
    assert [(r.event.key, r.time, r.actor) for r in one.archive.revisions] == [(r.event.key, r.time, r.actor) for r in two.archive.revisions]
    assert one.decisions == two.decisions
    assert one.fired == two.fired


def probed_pod(name, *, restart="Always", grace=30):
    probe = Probe(httpGet=HTTPGetAction(port=80), periodSeconds=1)
    container = Container(name="c", image="i", readinessProbe=probe, livenessProbe=Probe(httpGet=HTTPGetAction(port=80), periodSeconds=10, failureThreshold=3))
    spec = PodSpec(containers=(container,), restartPolicy=restart, terminationGracePeriodSeconds=grace)
    return Pod(metadata=ObjectMeta(name=name, namespace="default"), spec=spec)


def changes_of(done, name, show):
    """(second, what is shown of a pod) at each of its changes of that."""
    shown = []
    for revision in done.archive.revisions:
        if revision.event.key.name == name and revision.event.key.resource == "pods" and revision.event.object is not None:
            now = show(revision.event.object)
            if not shown or shown[-1][1] != now:
                shown.append((round(revision.time - done.archive.began), now))
    return shown


def is_ready(pod):
    return any(c.type == "Ready" and c.status == "True" for c in pod.status.conditions)


def restarts(pod):
    return sum(status.restartCount for status in pod.status.containerStatuses)


def last_exit(pod):
    (status,) = pod.status.containerStatuses
    ended = status.lastState.terminated or status.state.terminated
    return (ended.exitCode, ended.reason)


async def two_pods(simulation):
    await simulation.client.create(probed_pod("one"))
    await simulation.client.create(probed_pod("two"))
    await simulation.sleep(100)


def final(done, name):
    return [r.event.object for r in done.archive.revisions if r.event.key.resource == "pods" and r.event.key.name == name][-1]


def test_a_container_crashes_and_no_other():
    done = run(two_pods, CrashContainer(at=30, pod="default/two", exit_code=3), setting=CLUSTER)
    assert (restarts(final(done, "one")), restarts(final(done, "two"))) == (0, 1)
    assert last_exit(final(done, "two")) == (3, "Error")


def test_a_container_that_runs_out_of_memory_shows_as_kubernetes_shows_it():
    done = run(two_pods, OutOfMemory(at=30, nth=3), setting=CLUSTER)
    assert (restarts(final(done, "one")), restarts(final(done, "two"))) == (0, 1)
    assert last_exit(final(done, "two")) == (137, "OOMKilled")


def test_a_container_that_hangs_is_not_ready_is_restarted_and_its_end_takes_all_its_grace():
    done = run(two_pods, Hang(at=30, seconds=60, pod="default/one"), setting=CLUSTER)
    unready = changes_of(done, "one", is_ready)[2]
    assert unready[1] is False
    assert 30 <= unready[0] <= 35
    (_, (restarted, _)) = changes_of(done, "one", restarts)
    assert 30 + 20 + 30 <= restarted <= 30 + 30 + 31
    assert last_exit(final(done, "one")) == (137, "Error")
    assert len(changes_of(done, "two", is_ready)) == 2


def test_a_container_that_hangs_for_a_moment_goes_on():
    done = run(two_pods, Hang(at=30, seconds=8, pod="default/one"), setting=CLUSTER)
    assert [ready for _, ready in changes_of(done, "one", is_ready)] == [False, True, False, True]
    assert restarts(final(done, "one")) == 0


def test_readiness_flaps_for_its_time():
    done = run(two_pods, FlappingReadiness(at=30, seconds=30, every_seconds=5, pod="default/one"), setting=CLUSTER)
    assert [ready for _, ready in changes_of(done, "one", is_ready)] == [False, True] * 4
    assert len(changes_of(done, "two", is_ready)) == 2


def test_what_starts_slowly_is_ready_late():
    done = run(two_pods, SlowStart(seconds=10, delay_seconds=40), setting=CLUSTER)
    assert done.fired == (2,)
    assert [40 <= at <= 45 for at, ready in changes_of(done, "one", is_ready) if ready] == [True]


def node_ready(done, name):
    shown = []
    for revision in done.archive.revisions:
        if revision.event.key.name == name and revision.event.key.resource == "nodes":
            status = next((c.status for c in revision.event.object.status.conditions if c.type == "Ready"), "")
            if not shown or shown[-1][1] != status:
                shown.append((round(revision.time - done.archive.began), status))
    return shown


async def a_pod_on_each_node(simulation):
    for node in ("node-1", "node-2"):
        pod = probed_pod(node)
        await simulation.client.create(replace(pod, spec=replace(pod.spec, nodeName=node)))
    await simulation.sleep(200)


def test_a_dead_node_is_found_dead_and_comes_back_with_its_pods():
    done = run(a_pod_on_each_node, NodeDeath(at=30, seconds=120, part="kubelet-node-1"), setting=CLUSTER)
    (_, (unknown_at, unknown), (again_at, again)) = node_ready(done, "node-1")
    assert (unknown, again) == ("Unknown", "True")
    assert 30 + 40 <= unknown_at <= 30 + 60
    assert 150 <= again_at <= 165
    assert len(node_ready(done, "node-2")) == 1
    assert last_exit(final(done, "node-1")) == (255, "Unknown")
    assert (restarts(final(done, "node-1")), restarts(final(done, "node-2"))) == (1, 0)
    assert is_ready(final(done, "node-1"))


def test_a_node_that_boots_anew_says_so():
    done = run(a_pod_on_each_node, Reboot(at=30, part="kubelet-node-1"), Reboot(at=100, part="kubelet-node-1"), setting=CLUSTER)
    boots = [r.event.object.status.nodeInfo.bootID for r in done.archive.revisions if r.event.key.resource == "nodes" and r.event.key.name == "node-1"]
    assert len(dict.fromkeys(boots)) == 3
    assert [status for _, status in node_ready(done, "node-1")] == ["True"]
    events = [r.event.object for r in done.archive.revisions if r.event.key.resource == "events" and r.event.object is not None]
    assert [e.message for e in events if e.reason == "Rebooted"] == [f"Node node-1 has been rebooted, boot id: {boots[-1]}"]
    assert restarts(final(done, "node-1")) == 2


def test_a_kubelet_that_is_stopped_leaves_its_containers_alone():
    done = run(a_pod_on_each_node, StopActor(at=30, seconds=120, part="kubelet-node-1"), setting=CLUSTER)
    assert [status for _, status in node_ready(done, "node-1")] == ["True", "Unknown", "True"]
    assert restarts(final(done, "node-1")) == 0
    assert not crashes(done)


@pytest.mark.parametrize("others", [NodeDeath(at=30, seconds=60, part="kubelet-node-1"), StopActor(at=30, seconds=60, part="kubelet-node-1")], ids=repr)
def test_a_kubelet_that_two_faults_hold_at_once_starts_once(others):
    for seconds in (40, 80):
        done = run(a_pod_on_each_node, StopActor(at=30, seconds=seconds, part="kubelet-node-1", may_miss=True), others, setting=CLUSTER)
        assert is_ready(final(done, "node-1"))
        assert not crashes(done)
