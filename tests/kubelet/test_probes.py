import asyncio
import math

from hypothesis import given
from hypothesis import strategies as st

from kubelet_lite.api.core_v1 import Container, ContainerPort, ExecAction, HTTPGetAction, Probe, TCPSocketAction
from kubelet_lite.kubelet.memory import ProbeFacts
from kubelet_lite.kubelet.probes import Outcome, ProbeState, carry_out, learn, look_ahead, may_run
from kubelet_lite.runtimes.base import Foresight

CONTAINER = Container(name="c", ports=(ContainerPort(name="http", containerPort=8080),))


@given(st.lists(st.booleans(), max_size=30), st.integers(1, 4), st.integers(1, 4))
def test_a_verdict_changes_only_after_as_many_equal_results_as_its_threshold(results, success, failure):
    probe = Probe(exec=ExecAction(), successThreshold=success, failureThreshold=failure, periodSeconds=1)
    state, facts, now = ProbeState(container_id="x", kind="Readiness", due_at=0, tick_at=0), ProbeFacts(), 0.0
    for index, result in enumerate(results):
        before = facts.ready
        state, facts = learn(probe, state, Outcome(result), facts, now)
        needed = success if result else failure
        if facts.ready != before:
            assert results[index - needed + 1:index + 1] == [result] * needed
        elif facts.ready != result:
            assert len(set(results[max(0, index - needed + 1):index + 1])) == 2 or index + 1 < needed
        assert state.due_at == now + 1
        now += 1


def lessons(probe, changes, looks, until):
    """What the ticks of a readiness probe teach, and when, and how many ran. `changes`: times at which the answer turns; `looks`: times of
    passes beside those at which the probe is due; `until`: from a time and the answer's next change, what the runtime foresees."""
    state, facts, now = ProbeState(container_id="x", kind="Readiness", due_at=3, tick_at=3), ProbeFacts(), 0.0
    learned, ran = [], 0
    while True:
        success = sum(change <= now for change in changes) % 2 == 1
        if now >= state.due_at:
            ran += 1
            before = facts
            state, facts = learn(probe, state, Outcome(success, "" if success else f"at {float(now)}"), facts, now)
            if not success or facts != before:
                learned.append((now, facts))
        change = min((c for c in changes if c > now), default=math.inf)
        state = look_ahead(probe, state, until(now, success, change), now)
        if state.due_at > now:  # else the answer has turned at the very moment of a tick
            now = min(state.due_at, *(t for t in looks if t > now), math.inf)
        if now > LONG:
            return learned, ran


LONG = 300


@given(
    st.integers(1, 10), st.integers(1, 3), st.integers(1, 3), st.lists(st.floats(0, LONG), max_size=5), st.lists(st.floats(0, LONG), max_size=10),
    st.booleans(),
)
def test_ticks_left_out_change_nothing_of_what_is_learned(period, success, failure, changes, looks, told):
    """Whether the runtime knows its changes beforehand or tells of each as it comes."""
    probe = Probe(exec=ExecAction(), successThreshold=success, failureThreshold=failure, periodSeconds=period)
    expected, all_ticks = lessons(probe, changes, looks, lambda now, success, change: None)
    if told:
        learned, ran = lessons(probe, changes, [*looks, *changes], lambda now, success, change: Foresight(success, math.inf))
    else:
        learned, ran = lessons(probe, changes, looks, lambda now, success, change: Foresight(success, change))
    assert learned == expected
    assert ran <= all_ticks


def test_a_probe_that_can_teach_nothing_is_not_run():
    probe = Probe(exec=ExecAction(), periodSeconds=10)
    state, _ = learn(probe, ProbeState(container_id="x", kind="Readiness", due_at=0, tick_at=0), Outcome(True), ProbeFacts(), 0)
    assert look_ahead(probe, state, Foresight(True, math.inf), 0).due_at == math.inf
    assert look_ahead(probe, state, Foresight(True, 95), 0).due_at == 90
    away = look_ahead(probe, state, Foresight(True, math.inf), 0)
    assert look_ahead(probe, away, Foresight(False, math.inf), 42).due_at == 50


def test_a_probe_that_took_long_goes_on_with_its_next_tick():
    probe = Probe(exec=ExecAction(), periodSeconds=10)
    state = ProbeState(container_id="x", kind="Readiness", due_at=10, tick_at=10)
    assert learn(probe, state, Outcome(True), ProbeFacts(), 10.5)[0].due_at == 20
    assert learn(probe, state, Outcome(True), ProbeFacts(), 23)[0].due_at == 30


def test_other_probes_wait_for_the_startup_probe_which_ends_with_its_first_success():
    probe = Probe(exec=ExecAction())
    container = Container(name="c", startupProbe=probe, livenessProbe=probe)
    assert may_run(container, "Startup", ProbeFacts())
    assert not may_run(container, "Liveness", ProbeFacts())
    assert may_run(container, "Liveness", ProbeFacts(started=True))
    assert not may_run(container, "Startup", ProbeFacts(started=True))


async def answering(status, body=b"fine"):
    async def answer(reader, writer):
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 %d X\r\nContent-Length: %d\r\n\r\n%b" % (status, len(body), body))
        await writer.drain()
        writer.close()

    return await asyncio.start_server(answer, "127.0.0.1", 0)


async def test_http_probes_take_200_to_399_for_success():
    for status, good in ((200, True), (302, True), (404, False), (500, False)):
        async with await answering(status) as server:
            port = server.sockets[0].getsockname()[1]
            probe = Probe(httpGet=HTTPGetAction(path="/healthz", port=port))
            outcome = await carry_out(None, CONTAINER, "x", probe, "127.0.0.1")
            assert outcome.success is good
            assert outcome.output == ("fine" if good else f"HTTP probe failed with statuscode: {status}")


async def test_nobody_listening_is_said_in_kubernetes_words():
    async with await answering(200) as server:
        port = server.sockets[0].getsockname()[1]
    outcome = await carry_out(None, CONTAINER, "x", Probe(httpGet=HTTPGetAction(port=port)), "127.0.0.1")
    assert outcome.output == f'Get "http://127.0.0.1:{port}/": dial tcp 127.0.0.1:{port}: connect: connection refused'
    outcome = await carry_out(None, CONTAINER, "x", Probe(tcpSocket=TCPSocketAction(port=port)), "127.0.0.1")
    assert outcome.output == f"dial tcp 127.0.0.1:{port}: connect: connection refused"
