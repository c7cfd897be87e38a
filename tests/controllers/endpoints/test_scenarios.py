"""Services in a cluster without kubelets, in virtual time: what the controllers of endpoints make of what happens."""
from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import anyio
import pytest

from kubelet_lite.api import timestamps
from kubelet_lite.api.core_v1 import Endpoints, EndpointSubset, Event, Node, Pod, Service
from kubelet_lite.api.discovery_v1 import EndpointSlice
from kubelet_lite.api.encoding import from_json
from kubelet_lite.api.errors import NotFound
from kubelet_lite.api.requests import MERGE_PATCH, STRATEGIC_MERGE_PATCH
from kubelet_lite.cluster import Cluster
from kubelet_lite.simulation.crash import crash_at_every_step
from kubelet_lite.simulation.virtual.environment import SimulatedEnvironment
from kubelet_lite.simulation.virtual.run import simulate
from tests.controllers.endpoints.objects import replace

SEED = 7
NS = "default"
TRIGGER = "endpoints.kubernetes.io/last-change-trigger-time"


class Play:
    """A cluster with one node (silent, but not for so long that it counts as lost), and what a test does in it."""

    def __init__(self, cluster: Cluster, environment: SimulatedEnvironment) -> None:
        self.client, self.environment = cluster.client, environment

    async def node(self, name: str, zone: str) -> None:
        await self.client.create(from_json(Node, {"metadata": {"name": name, "labels": {"topology.kubernetes.io/zone": zone}}}))
        ready = {"type": "Ready", "status": "True", "lastHeartbeatTime": timestamps.format_time(self.environment.now())}
        await self.client.patch(Node, name, {"status": {"conditions": [ready]}}, subresource="status", content_type=STRATEGIC_MERGE_PATCH)

    async def service(self, **spec: Any) -> Service:
        wanted = {"selector": {"app": "web"}, "ports": [{"name": "http", "port": 80, "targetPort": "web"}], **spec}
        return await self.client.create(from_json(Service, {"metadata": {"name": "web", "namespace": NS}, "spec": wanted}))

    async def pod(self, number: int, node: str = "n1") -> None:
        container = {"name": "c", "image": "x", "ports": [{"name": "web", "containerPort": 8080}]}
        meta = {"name": f"p{number}", "namespace": NS, "labels": {"app": "web"}}
        await self.client.create(from_json(Pod, {"metadata": meta, "spec": {"nodeName": node, "containers": [container]}}))
        await self.ready(number)

    async def ready(self, number: int, status: str = "True") -> None:
        condition = {"type": "Ready", "status": status, "lastTransitionTime": timestamps.format_time(self.environment.now())}
        ip = f"10.1.0.{number}"
        change = {"status": {"phase": "Running", "podIP": ip, "podIPs": [{"ip": ip}], "conditions": [condition]}}
        await self.client.patch(Pod, f"p{number}", change, namespace=NS, subresource="status", content_type=STRATEGIC_MERGE_PATCH)

    async def slices(self) -> dict[str, tuple[bool, bool, str]]:
        """Address → ready, terminating, zone, of all slices of the Service."""
        found = (await self.client.list(EndpointSlice, namespace=NS)).items
        return {
            e.addresses[0]: (bool(e.conditions.ready), bool(e.conditions.terminating), e.zone or "")
            for s in found if s.metadata.labels.get("kubernetes.io/service-name") == "web" for e in s.endpoints
        }

    async def slice(self) -> EndpointSlice:
        (found,) = [s for s in (await self.client.list(EndpointSlice, namespace=NS)).items if s.metadata.labels["kubernetes.io/service-name"] == "web"]
        return found

    async def addresses(self) -> tuple[list[str], list[str]]:
        """Those of the Endpoints: ready, and not."""
        found = (await self.client.get(Endpoints, "web", namespace=NS)).subsets
        return [a.ip for s in found for a in s.addresses], [a.ip for s in found for a in s.notReadyAddresses]

    async def settle(self) -> None:
        await self.environment.sleep(2.0)


Scenario = Callable[[Play], Awaitable[None]]


def in_cluster(scenario: Scenario) -> Callable[[], None]:
    def run() -> None:
        simulate(SEED, lambda environment: _played(environment, scenario))

    run.__name__ = scenario.__name__  # type: ignore[attr-defined]
    return run


async def _played(environment: SimulatedEnvironment, scenario: Scenario) -> None:
    async with Cluster(nodes=0, environment=environment, components=("apiserver", "controllers"), service_cidr="10.96.0.0/16") as cluster:
        play = Play(cluster, environment)
        await play.node("n1", "a")
        with anyio.fail_after(600):
            await scenario(play)


@in_cluster
async def test_endpoints_follow_their_pods(play: Play) -> None:
    await play.service()
    await play.settle()
    made = await play.slice()
    assert (await play.slices(), await play.addresses()) == ({}, ([], []))
    assert TRIGGER in made.metadata.annotations
    await play.pod(1)
    await play.pod(2)
    await play.settle()
    assert await play.slices() == {"10.1.0.1": (True, False, "a"), "10.1.0.2": (True, False, "a")}
    assert (await play.slice()).metadata.name == made.metadata.name
    await play.ready(2, "False")
    await play.settle()
    assert await play.addresses() == (["10.1.0.1"], ["10.1.0.2"])
    assert (await play.slices())["10.1.0.2"] == (False, False, "a")
    await play.client.delete(Pod, "p1", namespace=NS, grace_period_seconds=30)
    await play.settle()
    assert (await play.slices())["10.1.0.1"] == (False, True, "a")
    assert await play.addresses() == ([], ["10.1.0.2"])
    await play.client.delete(Pod, "p1", namespace=NS, grace_period_seconds=0)
    await play.settle()
    assert set(await play.slices()) == {"10.1.0.2"}
    assert TRIGGER not in (await play.slice()).metadata.annotations


@in_cluster
async def test_all_goes_with_the_service(play: Play) -> None:
    await play.service()
    await play.pod(1)
    await play.settle()
    await play.client.delete(Service, "web", namespace=NS)
    await play.settle()
    assert await play.slices() == {}
    with pytest.raises(NotFound):
        await play.addresses()


@in_cluster
async def test_what_somebody_changes_or_deletes_is_put_right(play: Play) -> None:
    await play.service()
    await play.pod(1)
    await play.settle()
    right = await play.slice()
    await play.client.patch(EndpointSlice, right.metadata.name, {"endpoints": []}, namespace=NS, content_type=MERGE_PATCH)
    await play.client.patch(Endpoints, "web", {"subsets": None}, namespace=NS, content_type=MERGE_PATCH)
    await play.settle()
    assert (await play.slice()).endpoints == right.endpoints
    assert await play.addresses() == (["10.1.0.1"], [])
    await play.client.delete(EndpointSlice, right.metadata.name, namespace=NS)
    await play.client.delete(Endpoints, "web", namespace=NS)
    await play.settle()
    remade = await play.slice()
    assert remade.metadata.name != right.metadata.name
    assert remade.endpoints == right.endpoints
    assert TRIGGER not in remade.metadata.annotations
    assert await play.addresses() == (["10.1.0.1"], [])
    taken = {"metadata": {"labels": {"endpointslice.kubernetes.io/managed-by": "me"}}}
    await play.client.patch(EndpointSlice, remade.metadata.name, taken, namespace=NS, content_type=MERGE_PATCH)
    await play.settle()
    assert len((await play.client.list(EndpointSlice, namespace=NS)).items) == 2


@in_cluster
async def test_a_pod_of_a_node_that_comes_later_waits_for_it(play: Play) -> None:
    await play.service()
    await play.pod(1, node="n2")
    await play.settle()
    assert await play.slices() == {}
    events = [e for e in (await play.client.list(Event, namespace=NS)).items if e.reason == "FailedToUpdateEndpointSlices"]
    assert {(e.message, e.source.component) for e in events} == {(
        "Error updating Endpoint Slices for Service default/web: skipping Pod p1 for Service default/web: Node n2 Not Found", "endpoint-slice-controller",
    )}
    await play.node("n2", "b")
    await play.settle()
    assert await play.slices() == {"10.1.0.1": (True, False, "b")}


@in_cluster
async def test_endpoints_made_by_hand_are_mirrored_and_go_with_their_service(play: Play) -> None:
    await play.service(selector=None)
    subsets = [{"addresses": [{"ip": "10.9.9.9"}], "ports": [{"name": "http", "port": 80}]}]
    await play.client.create(from_json(Endpoints, {"metadata": {"name": "web", "namespace": NS}, "subsets": subsets}))
    await play.settle()
    assert await play.slices() == {"10.9.9.9": (True, False, "")}
    found = await play.client.get(Endpoints, "web", namespace=NS)
    (subset,) = found.subsets
    moved = EndpointSubset(notReadyAddresses=subset.addresses, ports=(replace(subset.ports[0], port=81),))
    before = await play.slice()
    await play.client.update(replace(found, subsets=(moved,)))
    await play.settle()
    after = await play.slice()
    assert (after.metadata.name, after.ports[0].port, after.endpoints[0].conditions.ready) == (before.metadata.name, 81, False)
    await play.client.delete(Service, "web", namespace=NS)
    await play.settle()
    assert await play.slices() == {}
    with pytest.raises(NotFound):
        await play.addresses()


@in_cluster
async def test_a_service_gets_and_loses_its_selector(play: Play) -> None:
    await play.service(selector=None)
    await play.pod(1)
    await play.settle()
    assert await play.slices() == {}
    await play.client.patch(Service, "web", {"spec": {"selector": {"app": "web"}}}, namespace=NS, content_type=MERGE_PATCH)
    await play.settle()
    assert set(await play.slices()) == {"10.1.0.1"}
    assert await play.addresses() == (["10.1.0.1"], [])


async def changes(environment: SimulatedEnvironment) -> None:
    async def scenario(play: Play) -> None:
        await play.service()
        for number in range(1, 6):
            await play.pod(number)
        await play.environment.sleep(0.01)
        await play.ready(1, "False")
        await play.client.delete(Pod, "p2", namespace=NS, grace_period_seconds=0)
        await play.environment.sleep(0.01)
        await play.client.patch(Service, "web", {"metadata": {"labels": {"a": "b"}}}, namespace=NS, content_type=MERGE_PATCH)
        await play.environment.sleep(20.0)
        assert await play.slices() == {f"10.1.0.{n}": (n != 1, False, "a") for n in (1, 3, 4, 5)}
        assert await play.addresses() == (["10.1.0.3", "10.1.0.4", "10.1.0.5"], ["10.1.0.1"])
        assert (await play.slice()).metadata.labels["a"] == "b"

    await _played(environment, scenario)


@pytest.mark.parametrize("actor", ["endpointslice-controller", "endpoint-controller", "endpointslicemirroring-controller"])
def test_endpoints_are_right_in_the_end_wherever_their_controller_crashes(actor: str) -> None:
    assert crash_at_every_step(SEED, actor, changes, stride=5) > 3
