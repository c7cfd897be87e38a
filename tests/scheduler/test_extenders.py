"""Extenders over HTTP: a small server in the same loop, in virtual time, and what it says has its effect."""
from __future__ import annotations

import base64
import json
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import anyio
import pytest
from aiohttp import web

from kubelet_lite.api.core_v1 import Binding, Node, ObjectReference, Pod
from kubelet_lite.api.meta_v1 import ObjectMeta
from kubelet_lite.scheduler.configuration import API_VERSION, load
from kubelet_lite.scheduler.extenders import Extender
from kubelet_lite.scheduler.pod_info import pod_info
from kubelet_lite.simulation.virtual.environment import SimulatedEnvironment
from kubelet_lite.simulation.virtual.run import simulate
from kubelet_lite.wire.certificates import CertificateAuthority, server_context
from tests.scheduler.objects import a_node, a_pod
from tests.scheduler.world import World, register, world

Answers = dict[str, Callable[[dict[str, Any]], Any]]
PORT = 8888


class Server:
    """Answers by verb; what it was asked is kept."""

    def __init__(self, answers: Answers) -> None:
        self.answers, self.asked = answers, list[tuple[str, dict[str, Any]]]()

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        verb = request.path.rpartition("/")[2]
        args = json.loads(await request.read())
        self.asked.append((verb, args))
        answer = self.answers[verb](args)
        if hasattr(answer, "__await__"):
            answer = await answer
        return answer if isinstance(answer, web.StreamResponse) else web.json_response(answer)


@asynccontextmanager
async def served(answers: Answers) -> AsyncIterator[Server]:
    server = Server(answers)
    runner = web.ServerRunner(web.Server(server.handle))
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", PORT).start()
    try:
        yield server
    finally:
        await runner.cleanup()


def extended(play: Any, answers: Answers, *nodes: Node, **said: Any) -> Server:
    """Plays with one extender that does all it has answers for."""
    verbs = {f"{verb}Verb": verb for verb in answers}
    extender = {"urlPrefix": f"http://127.0.0.1:{PORT}/x/", "weight": 1, **verbs, **said}
    configuration = load({"apiVersion": API_VERSION, "kind": "KubeSchedulerConfiguration", "extenders": [extender]})

    async def main(environment: SimulatedEnvironment) -> Server:
        async with served(answers) as server, world(environment, *nodes, configuration=configuration) as found:
            await play(found)
            return server

    return simulate(1, main)


def only(*wanted: str) -> Callable[[dict[str, Any]], Any]:
    def answer(args: dict[str, Any]) -> Any:
        names = args["NodeNames"]
        failed = {name: "not that one" for name in names if name not in wanted}
        return {"NodeNames": [name for name in names if name in wanted], "FailedNodes": failed}

    return answer


def test_an_extender_refuses_nodes_by_name() -> None:
    async def play(world: World) -> None:
        await world.client.create(a_pod("a"))
        await world.settle()
        assert await world.nodes_of() == {"a": "n2"}

    server = extended(play, {"filter": only("n2")}, a_node("n1"), a_node("n2"), a_node("full", cpu="0", pods="0"), nodeCacheCapable=True)
    (verb, args), = server.asked
    assert (verb, args["NodeNames"], args["Nodes"], args["Pod"]["metadata"]["name"]) == ("filter", ["n1", "n2"], None, "a")


def test_without_a_cache_it_is_sent_whole_nodes() -> None:
    def answer(args: dict[str, Any]) -> Any:
        return {"nodes": {"items": [node for node in args["Nodes"]["items"] if node["metadata"]["name"] == "n1"]}}

    async def play(world: World) -> None:
        await world.client.create(a_pod("a"))
        await world.settle()
        assert await world.nodes_of() == {"a": "n1"}

    server = extended(play, {"filter": answer}, a_node("n1"), a_node("n2"))
    assert server.asked[0][1]["Nodes"]["items"][0]["status"]["allocatable"]["cpu"] == "4"


def test_its_refusals_are_told_and_the_pod_tries_again_when_anything_changes() -> None:
    answers: Answers = {"filter": only()}

    async def play(world: World) -> None:
        await world.client.create(a_pod("a"))
        await world.settle()
        reason, message = await world.condition("a")
        assert (reason, message.split(". ")[0]) == ("Unschedulable", "0/1 nodes are available: 1 not that one")
        answers["filter"] = only("n1", "n2")
        await register(world.client, a_node("n2", cpu="0"))
        await world.settle()
        assert await world.nodes_of() == {"a": "n1"}

    extended(play, answers, a_node("n1"), nodeCacheCapable=True)


def test_its_scores_count_by_weight() -> None:
    async def play(world: World) -> None:
        await world.client.create(a_pod("old", "1", nodeName="n2"))
        await world.client.create(a_pod("a"))
        await world.settle()
        assert (await world.nodes_of())["a"] == "n2"

    extended(play, {"prioritize": lambda args: [{"Host": "n1", "Score": 0}, {"Host": "n2", "Score": 10}]}, a_node("n1"), a_node("n2"), weight=5, nodeCacheCapable=True)


def test_only_pods_that_want_its_resource_concern_it() -> None:
    resource = {"name": "e.com/gpu", "ignoredByScheduler": True}

    async def play(world: World) -> None:
        await world.client.create(a_pod("plain"))
        pod = a_pod("wanting")
        container = type(pod.spec.containers[0])(name="c", image="i:1", resources=type(pod.spec.containers[0].resources)(requests={"e.com/gpu": "1"}, limits={"e.com/gpu": "1"}))
        await world.client.create(a_pod("wanting", containers=(container,)))
        await world.settle()
        assert await world.nodes_of() == {"plain": "n1", "wanting": "n1"}

    server = extended(play, {"filter": only("n1")}, a_node("n1"), nodeCacheCapable=True, managedResources=[resource])
    assert [args["Pod"]["metadata"]["name"] for _, args in server.asked] == ["wanting"]


def test_one_that_fails_spoils_the_attempt_unless_it_may_be_ignored() -> None:
    def fails(args: dict[str, Any]) -> Any:
        return web.Response(status=500)

    async def spoilt(world: World) -> None:
        await world.client.create(a_pod("a"))
        await world.settle()
        assert await world.condition("a") == ("SchedulerError", f"failed filter with extender at URL http://127.0.0.1:{PORT}/x/filter, code 500")
        assert world.scheduler.statistics()["attempts"] > 2

    async def ignored(world: World) -> None:
        await world.client.create(a_pod("a"))
        await world.settle()
        assert await world.nodes_of() == {"a": "n1"}

    extended(spoilt, {"filter": fails}, a_node("n1"))
    extended(ignored, {"filter": fails}, a_node("n1"), ignorable=True)
    extended(spoilt_by_nonsense, {"filter": lambda args: {"NodeNames": 5}}, a_node("n1"))


async def spoilt_by_nonsense(world: World) -> None:
    await world.client.create(a_pod("a"))
    await world.settle(3)
    assert "Expected `array | null`, got `int`" in (await world.condition("a"))[1]


def test_one_that_does_not_answer_in_time_fails() -> None:
    async def sleeps() -> Any:
        await anyio.sleep(60)
        return {}

    async def play(world: World) -> None:
        await world.client.create(a_pod("a"))
        await world.settle(5)
        assert (await world.condition("a"))[1].startswith(f"failed filter with extender at URL http://127.0.0.1:{PORT}/x/filter: ")

    extended(play, {"filter": lambda args: sleeps()}, a_node("n1"), httpTimeout="2s")


AUTHORITY = CertificateAuthority.create(time.time())


@pytest.mark.parametrize(("said", "fails"), [
    ({}, "CERTIFICATE_VERIFY_FAILED"),
    ({"enableHTTPS": True}, ""),
    ({"tlsConfig": {"insecure": True}}, ""),
    ({"tlsConfig": {"caData": "AUTHORITY"}}, "CERTIFICATE_VERIFY_FAILED"),
    ({"tlsConfig": {"caData": "AUTHORITY", "serverName": "another.example"}}, "CERTIFICATE_VERIFY_FAILED"),
    ({"tlsConfig": {"caData": "AUTHORITY", "serverName": "extender.example"}}, ""),
    ({"tlsConfig": {"caFile": "AUTHORITY", "serverName": "extender.example"}, "enableHTTPS": True}, ""),
    ({"tlsConfig": {"caData": "AUTHORITY", "caFile": "/nowhere", "serverName": "extender.example"}}, ""),
    ({"tlsConfig": {"certData": "PAIR", "insecure": True}}, "pod a for user scheduler"),
])
async def test_tls_is_as_its_configuration_says(said: dict[str, Any], fails: str, tmp_path: Path) -> None:
    """On real sockets: the server's certificate is for extender.example alone."""
    (tmp_path / "ca.pem").write_bytes(AUTHORITY.certificate)
    client = AUTHORITY.issue_client(time.time(), "scheduler")
    data = {"AUTHORITY": {"caData": encoded(AUTHORITY.certificate), "caFile": str(tmp_path / "ca.pem")}, "PAIR": {"certData": encoded(client.certificate)}}
    tls = {name: data.get(value, {}).get(name, value) for name, value in said.get("tlsConfig", {}).items()}
    if "certData" in tls:
        tls["keyData"] = encoded(client.key)

    async def handle(request: web.BaseRequest) -> web.StreamResponse:
        args = json.loads(await request.read())
        shown = request.transport.get_extra_info("peercert") if request.transport is not None else None
        user = dict(part[0] for part in shown["subject"])["commonName"] if shown else ""
        return web.json_response({"Error": f"pod {args['PodName']} for user {user}" if user else ""})

    context = server_context(AUTHORITY.issue_server(time.time(), names=["extender.example"], addresses=[]), AUTHORITY.certificate)
    runner = web.ServerRunner(web.Server(handle))
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=context)
    await site.start()
    try:
        port = runner.addresses[0][1]
        whole = {**said, "tlsConfig": tls} if tls else said
        extender = {"urlPrefix": f"https://127.0.0.1:{port}", "bindVerb": "bind", **whole}
        configuration = load({"apiVersion": API_VERSION, "kind": "KubeSchedulerConfiguration", "extenders": [extender]})
        async with aiohttp.ClientSession() as session:
            answer = await Extender(configuration.extenders[0], session).bind(pod_info(a_pod("a")), "n1")
        assert fails in (answer or "") if fails else answer is None
    finally:
        await runner.cleanup()


def encoded(pem: bytes) -> str:
    return base64.b64encode(pem).decode()


def test_it_binds_in_place_of_plugins() -> None:
    bound: list[dict[str, Any]] = []
    found: list[World] = []

    async def bind(args: dict[str, Any]) -> Any:
        bound.append(args)
        if len(bound) == 1:
            return {"Error": "not yet"}
        binding = Binding(metadata=ObjectMeta(name=args["PodName"], namespace=args["PodNamespace"]), target=ObjectReference(kind="Node", name=args["Node"]))
        await found[0].client.create(binding, namespace=args["PodNamespace"], name=args["PodName"], subresource="binding")
        return {}

    async def play(world: World) -> None:
        found.append(world)
        await world.client.create(a_pod("a"))
        await world.settle()
        assert await world.nodes_of() == {"a": "n1"}

    extended(play, {"bind": bind}, a_node("n1"))
    assert [set(args) for args in bound] == [{"PodName", "PodNamespace", "PodUID", "Node"}] * 2


def test_it_chooses_among_victims() -> None:
    def preempt(args: dict[str, Any]) -> Any:
        return {"NodeNameToMetaVictims": {name: victims for name, victims in args["NodeNameToMetaVictims"].items() if name == "n2"}}

    async def play(world: World) -> None:
        for name in ("n1", "n2"):
            await world.client.create(a_pod(f"on-{name}", "4", nodeName=name, priority=1 if name == "n2" else 0))
        await world.settle(1)
        await world.client.create(a_pod("urgent", "2", priority=100))
        await world.settle(1)
        assert (await world.client.get(Pod, "urgent", namespace="default")).status.nominatedNodeName == "n2"

    extended(play, {"preempt": preempt}, a_node("n1"), a_node("n2"), nodeCacheCapable=True)


def test_a_pod_that_vanishes_while_it_is_asked_about_is_forgotten() -> None:
    asked: list[str] = []

    async def slowly(args: dict[str, Any]) -> Any:
        asked.append(args["Pod"]["metadata"]["uid"])
        await anyio.sleep(1.0)
        return {"NodeNames": args["NodeNames"]}

    async def play(world: World) -> None:
        await world.client.create(a_pod("a", "4"))
        await world.settle(0.5)
        await world.client.delete(Pod, "a", namespace="default", grace_period_seconds=0)
        await world.client.create(a_pod("a", "3"))
        await world.settle(10)
        assert await world.nodes_of() == {"a": "n1"}
        assert world.scheduler.statistics()["assumed"] == 0
        assert world.scheduler.statistics()["placed"] == 1

    extended(play, {"filter": slowly}, a_node("n1"), nodeCacheCapable=True)
    assert len(set(asked)) == 2
