"""One pod of a node: what its kubelet writes, and how often."""
from __future__ import annotations

from kubelet_lite.api.core_v1 import Container, Event, NodeAddress, NodeStatus, Pod, PodIP, PodSpec, PodStatus
from kubelet_lite.api.meta_v1 import ObjectMeta
from kubelet_lite.api.requests import STRATEGIC_MERGE_PATCH
from kubelet_lite.cluster import Cluster
from kubelet_lite.kubelet.node_status import FAKE_MACHINE, node_status
from kubelet_lite.kubelet.status_patch import difference
from kubelet_lite.registry.patch import apply_strategic
from kubelet_lite.runtimes.fake import Behaviour
from kubelet_lite.simulation.virtual.environment import SimulatedEnvironment
from kubelet_lite.simulation.virtual.run import simulate
from kubelet_lite.simulation.virtual.tape import Tape

POD = Pod(metadata=ObjectMeta(name="pod", namespace="default"), spec=PodSpec(containers=(Container(name="c", image="i"),)))


def test_the_patch_of_a_status_takes_addresses_away_that_the_pod_has_no_more() -> None:
    old = PodStatus(podIP="10.0.0.1", podIPs=(PodIP(ip="10.0.0.1"),))
    new = PodStatus(podIP="10.0.0.2", podIPs=(PodIP(ip="10.0.0.2"),))
    patched = apply_strategic({"podIP": "10.0.0.1", "podIPs": [{"ip": "10.0.0.1"}]}, difference(old, new), PodStatus)
    assert patched == {"podIP": "10.0.0.2", "podIPs": [{"ip": "10.0.0.2"}]}


def test_a_contradiction_that_has_to_wait_lets_time_pass() -> None:
    """However the moment at which it may be made is rounded."""
    async def main(environment: SimulatedEnvironment) -> None:
        async with Cluster(nodes=1, environment=environment) as cluster:
            await cluster.client.create(POD)
            await cluster.wait("pod/pod", "condition=Ready")
            for _ in range(100):
                await environment.sleep(environment.random.uniform(4, 9))
                contrary = {"status": {"conditions": [{"type": "Ready", "status": "False"}]}}
                await cluster.client.patch(Pod, "pod", contrary, namespace="default", content_type=STRATEGIC_MERGE_PATCH, subresource="status")

    simulate(Tape(1), main, spin_limit=10_000)


def test_two_who_contradict_each_other_about_a_pod_do_not_chase_each_other() -> None:
    async def main(environment: SimulatedEnvironment) -> None:
        async with Cluster(nodes=1, environment=environment) as cluster:
            await cluster.client.create(POD)
            await cluster.wait("pod/pod", "condition=Ready")
            before = cluster.store.revision
            for _ in range(100):
                contrary = {"status": {"conditions": [{"type": "Ready", "status": "False"}]}}
                await cluster.client.patch(Pod, "pod", contrary, namespace="default", content_type=STRATEGIC_MERGE_PATCH, subresource="status")
                await environment.sleep(0.5)
            own = [e for e in cluster.store.events(after=before) if e.key.resource == "pods" and _is_ready(e.object)]
            assert 4 <= len(own) <= 6
            await environment.sleep(15)
            assert _is_ready(await cluster.client.get(Pod, "pod", namespace="default"))

    simulate(1, main)


def test_a_crash_loop_is_shown_and_told_as_in_kubernetes() -> None:
    """Terminated at first, CrashLoopBackOff from the next look on; each look that holds the container back counts its event up
    (tests/recorded/pods/end--always-success-loop.json)."""
    async def main(environment: SimulatedEnvironment) -> None:
        async with Cluster(nodes=1, environment=environment, behaviour=lambda *_: Behaviour(run_seconds=1, exit_code=1)) as cluster:
            await cluster.client.create(POD)
            await environment.sleep(60)
            states = []
            for event in cluster.store.events(after=0):
                if event.key.resource == "pods" and event.object is not None and event.object.status.containerStatuses:
                    told = event.object.status.containerStatuses[0]
                    state = told.state
                    word = "running" if state.running else state.terminated.reason if state.terminated else state.waiting.reason
                    states += [(word, told.restartCount)] if states[-1:] != [(word, told.restartCount)] else []
            assert states == [
                ("running", 0), ("running", 1), ("Error", 1), ("running", 2), ("Error", 2), ("CrashLoopBackOff", 2), ("running", 3), ("Error", 3),
                ("CrashLoopBackOff", 3),
            ]
            [event] = [e for e in (await cluster.client.list(Event, namespace="default")).items if e.reason == "BackOff"]
            assert event.count == 6

    simulate(1, main)


def _is_ready(pod: Pod | None) -> bool:
    return pod is not None and any(c.type == "Ready" and c.status == "True" for c in pod.status.conditions)


def test_a_patch_of_a_nodes_status_leaves_what_others_say_in_it() -> None:
    told = NodeStatus(volumesInUse=("kubernetes.io/csi/a",), addresses=(NodeAddress(type="InternalIP", address="10.0.0.1"),))
    status = node_status("node-1", "10.0.0.2", FAKE_MACHINE, "fake://1", (), told, 0.0)
    change = difference(told, status)
    assert not {"volumesInUse", "images"} & change.keys()
    patched = apply_strategic({"addresses": [{"type": "InternalIP", "address": "10.0.0.1"}, {"type": "ExternalIP", "address": "8.8.8.8"}]}, change, NodeStatus)
    assert {a["type"]: a["address"] for a in patched["addresses"]} == {"InternalIP": "10.0.0.2", "Hostname": "node-1", "ExternalIP": "8.8.8.8"}
    later = node_status("node-1", "10.0.0.2", FAKE_MACHINE, "fake://1", (), status, 300.0)
    assert set(difference(status, later)) == {"conditions"}
    assert difference(status, status) == {}
