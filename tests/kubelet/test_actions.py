"""Tables of (pod, runtime state, memory, now) → what is done next."""
import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubelet_lite.api.core_v1 import Container, ExecAction, Pod, PodResourceClaim, PodSpec, PodStatus, Probe
from kubelet_lite.api.meta_v1 import ObjectMeta
from kubelet_lite.kubelet.actions import (
    EndPod,
    FinishPod,
    HoldBack,
    KillContainer,
    MountVolumes,
    PrepareClaims,
    RemoveContainer,
    RunSandbox,
    StartContainer,
    StopSandbox,
    next_actions,
)
from kubelet_lite.kubelet.memory import Ending, PodMemory, ProbeFacts
from kubelet_lite.kubelet.restart import BackOff, next_back_off
from kubelet_lite.runtimes.base import ContainerStatus, PodState, Sandbox

NOW = 1_000_000.0
SANDBOX = Sandbox(id="s", uid="u", namespace="default", name="p", addresses=("127.10.1.1",))
READY = PodMemory(started_at=NOW - 100, volumes_ready=True)
PROBE = Probe(exec=ExecAction(command=("true",)), periodSeconds=1, failureThreshold=1)


def pod(*containers, init=(), restart="Always", **spec):
    return Pod(
        metadata=ObjectMeta(name="p", namespace="default", uid="u"),
        spec=PodSpec(containers=containers or (Container(name="c"),), initContainers=init, restartPolicy=restart, terminationGracePeriodSeconds=7, **spec),
    )


def running(name="c", attempt=0):
    return ContainerStatus(id=f"{name}-{attempt}", name=name, sandbox_id="s", attempt=attempt, state="running", started_at=NOW - 50)


def exited(name="c", code=1, attempt=0, finished=NOW - 1):
    return ContainerStatus(id=f"{name}-{attempt}", name=name, sandbox_id="s", attempt=attempt, state="exited", exit_code=code, finished_at=finished)


def state(*containers, sandbox=SANDBOX):
    return PodState(uid="u", sandboxes=(sandbox,) if sandbox else (), containers=containers)


def actions(pod, state, memory=READY, *, over=False):
    return next_actions(pod, state, memory, NOW, over=over).actions


def deleted(pod, grace=3):
    return msgspec.structs.replace(
        pod, metadata=msgspec.structs.replace(pod.metadata, deletionTimestamp="2026-01-01T00:00:00Z", deletionGracePeriodSeconds=grace)
    )


def names(plan):
    return [(type(a).__name__, a.container.name) if hasattr(a, "container") else (type(a).__name__,) for a in plan]


def test_claims_are_prepared_after_volumes_and_before_the_sandbox():
    claimed = pod(resourceClaims=(PodResourceClaim(name="g", resourceClaimName="c"),))
    assert actions(claimed, state(sandbox=None), PodMemory(started_at=NOW)) == (MountVolumes(),)
    assert actions(claimed, state(sandbox=None)) == (PrepareClaims(),)
    waiting = msgspec.structs.replace(READY, claims_retry_at=NOW + 5)
    assert next_actions(claimed, state(sandbox=None), waiting, NOW, over=False).wake_at == NOW + 5
    assert actions(claimed, state(sandbox=None), msgspec.structs.replace(READY, claims_ready=True)) == (RunSandbox(0),)


def test_first_the_volumes_then_the_sandbox_then_all_containers():
    two = pod(Container(name="a"), Container(name="b"))
    assert actions(two, state(sandbox=None), PodMemory()) == (MountVolumes(),)
    assert actions(two, state(sandbox=None)) == (RunSandbox(0),)
    assert names(actions(two, state())) == [("StartContainer", "a"), ("StartContainer", "b")]
    assert actions(two, state(running("a"), running("b"))) == ()


def test_init_containers_run_one_after_the_other_and_before_the_others():
    one = pod(init=(Container(name="i"), Container(name="j")))
    assert names(actions(one, state())) == [("StartContainer", "i")]
    assert actions(one, state(running("i"))) == ()
    assert names(actions(one, state(exited("i", 0)))) == [("StartContainer", "j")]
    assert names(actions(one, state(exited("j", 0), exited("i", 0)))) == [("StartContainer", "c")]


def test_a_sidecar_stays_up_and_what_follows_waits_for_its_startup_probe():
    one = pod(init=(Container(name="side", restartPolicy="Always", startupProbe=PROBE), Container(name="i")))
    assert names(actions(one, state())) == [("StartContainer", "side")]
    assert actions(one, state(running("side"))) == ()
    started = msgspec.structs.replace(READY, probes={"side-0": ProbeFacts(started=True)})
    assert names(actions(one, state(running("side")), started)) == [("StartContainer", "i")]
    assert names(actions(one, state(running("c"), exited("i", 0), exited("side", 1)), started)) == [("StartContainer", "side")]


@pytest.mark.parametrize(
    ("policy", "code", "again"),
    [("Always", 0, True), ("Always", 1, True), ("OnFailure", 0, False), ("OnFailure", 1, True), ("Never", 1, False), ("Never", 0, False)],
)
def test_a_container_starts_again_as_its_policy_says(policy, code, again):
    assert bool(actions(pod(restart=policy), state(exited(code=code)))) is again


def test_the_second_crash_in_a_row_waits_for_its_back_off():
    first = actions(pod(), state(exited()))
    assert first == (StartContainer(Container(name="c"), 1, "spec.containers{c}", BackOff(10.0, NOW)),)
    memory = msgspec.structs.replace(READY, back_offs={"c": BackOff(10.0, NOW - 5)})
    plan = next_actions(pod(), state(exited(attempt=1)), memory, NOW, over=False)
    assert names(plan.actions) == [("HoldBack", "c")]
    assert plan.actions[0].reason.message == "back-off 10s restarting failed container=c pod=p_default(u)"
    assert plan.wake_at == NOW + 9
    later = next_actions(pod(), state(exited(attempt=1)), memory, NOW + 9, over=False)
    assert later.actions[0].back_off == BackOff(20.0, NOW + 9)


def test_a_failed_liveness_probe_kills_and_says_so():
    failing = msgspec.structs.replace(READY, probes={"c-0": ProbeFacts(alive=False)})
    container = Container(name="c", livenessProbe=PROBE)
    assert actions(pod(container), state(running()), failing) == (
        KillContainer(container, "c-0", 7.0, "Container c failed liveness probe, will be restarted", "spec.containers{c}"),
    )
    never = actions(pod(container, restart="Never"), state(running()), failing)
    assert never[0].message == "Stopping container c"


def test_a_deleted_pod_is_taken_down_sidecars_last_then_its_sandbox_then_the_object():
    side = Container(name="side", restartPolicy="Always")
    one = deleted(pod(init=(side,)))
    assert names(actions(one, state(running(), running("side")))) == [("KillContainer", "c")]
    assert actions(one, state(running(), running("side")))[0].grace_seconds == 3
    assert names(actions(one, state(exited(), running("side")))) == [("KillContainer", "side")]
    assert actions(one, state(exited(), exited("side"))) == (StopSandbox(SANDBOX),)
    gone = msgspec.structs.replace(SANDBOX, ready=False)
    assert actions(one, state(exited(), exited("side"), sandbox=gone)) == (FinishPod(),)


def test_a_pod_past_its_deadline_ends():
    one = pod(activeDeadlineSeconds=60)
    assert isinstance(actions(one, state(running()))[0], EndPod)
    young = msgspec.structs.replace(READY, started_at=NOW - 10)
    assert next_actions(one, state(running()), young, NOW, over=False).wake_at == NOW + 50
    ended = msgspec.structs.replace(READY, ending=Ending("DeadlineExceeded", ""))
    assert names(actions(one, state(running()), ended)) == [("KillContainer", "c")]


def test_a_rejected_pod_never_starts():
    rejected = PodMemory(ending=Ending("OutOfcpu", "no"), rejected=True)
    assert actions(pod(), state(sandbox=None), rejected) == ()
    assert actions(deleted(pod()), state(sandbox=None), rejected) == (FinishPod(),)


@given(crashes=st.lists(st.floats(0, 3000), max_size=20))
def test_back_offs_double_up_to_five_minutes_and_start_anew_after_a_long_run(crashes):
    known, now = None, 0.0
    for gap in crashes:
        before = known
        since = now + gap
        known = next_back_off(known, since, since)
        assert 10 <= known.seconds <= 300
        if before is not None:
            expected = 10.0 if since - before.updated_at > 600 else min(before.seconds * 2, 300.0)
            assert known.seconds == expected
        now = since


LIVES = st.sampled_from(["start", "exit0", "exit1"])


@given(st.lists(st.tuples(st.integers(0, 2), LIVES), max_size=30), st.sampled_from(["Always", "OnFailure", "Never"]))
def test_whatever_containers_do_every_plan_can_be_carried_out_and_ends(story, policy):
    """Carries plans out against a toy runtime: never two running instances of one container, attempts count up, deletion ends."""
    one = pod(Container(name="a"), Container(name="b"), init=(Container(name="i"),), restart=policy)
    containers, now = [], NOW
    names_ = ["i", "a", "b"]

    def apply(plan):
        for action in plan.actions:
            if isinstance(action, StartContainer):
                assert not any(c.name == action.container.name and c.state == "running" for c in containers)
                earlier = [c.attempt for c in containers if c.name == action.container.name]
                assert action.attempt == (max(earlier) + 1 if earlier else 0)
                containers.insert(0, running(action.container.name, action.attempt))
            elif isinstance(action, KillContainer):
                replace(action.id, 137)
            elif isinstance(action, RemoveContainer):
                containers.remove(next(c for c in containers if c.id == action.id and c.state == "exited"))
            else:
                assert isinstance(action, HoldBack | StopSandbox | FinishPod), action

    def replace(id, code):
        index = next(i for i, c in enumerate(containers) if c.id == id)
        containers[index] = msgspec.structs.replace(containers[index], state="exited", exit_code=code, finished_at=now)

    for which, what in story:
        apply(next_actions(one, state(*containers), READY, now, over=False))
        live = next((c for c in containers if c.name == names_[which] and c.state == "running"), None)
        if live is not None and what != "start":
            replace(live.id, 0 if what == "exit0" else 1)
        now += 1000
    gone = deleted(one)
    for _ in range(5):
        apply(next_actions(gone, state(*containers), READY, now, over=False))
    assert not any(c.state == "running" for c in containers)


def test_pod_status_is_what_users_expect_of_a_running_pod():
    from kubelet_lite.kubelet.status import pod_status

    status = pod_status(pod(), state(running()), READY, node_address="127.10.0.1", now=NOW)
    assert (status.phase, status.podIP, status.hostIP) == ("Running", "127.10.1.1", "127.10.0.1")
    assert [(c.type, c.status) for c in status.conditions] == [
        ("PodReadyToStartContainers", "True"), ("Initialized", "True"), ("Ready", "True"), ("ContainersReady", "True"), ("PodScheduled", "True"),
    ]


def test_a_failed_pod_shows_its_phase_only_when_nothing_is_left():
    from kubelet_lite.kubelet.status import pod_status

    one = msgspec.structs.replace(pod(restart="Never"), status=PodStatus(phase="Running"))
    assert pod_status(one, state(exited(code=3)), READY, node_address="n", now=NOW).phase == "Running"
    gone = msgspec.structs.replace(SANDBOX, ready=False)
    status = pod_status(one, state(exited(code=3), sandbox=gone), READY, node_address="n", now=NOW)
    assert status.phase == "Failed"
    assert status.containerStatuses[0].state.terminated.exitCode == 3
