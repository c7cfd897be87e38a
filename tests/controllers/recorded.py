"""The recorded controller scripts played in this process and in virtual time: `python -m tests.controllers.recorded --only deployment/`.

It stands where controllers.py stands with a server: three stand-in nodes, and after each step a wait until nothing changes.
"""
from __future__ import annotations

import argparse
import importlib
import json
import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec

from kubelet_lite.api import encoding, resources, timestamps
from kubelet_lite.api.errors import ApiError, NotFound
from kubelet_lite.api.identity import ADMIN
from kubelet_lite.api.meta_v1 import DeleteOptions
from kubelet_lite.api.requests import MERGE_PATCH, STRATEGIC_MERGE_PATCH, Body, ListOptions, RequestContext
from kubelet_lite.apiserver.routes import resource_path
from kubelet_lite.cluster import Cluster
from kubelet_lite.simulation.virtual.environment import SimulatedEnvironment
from kubelet_lite.simulation.virtual.run import simulate

RECORDED = Path(__file__).parents[1] / "recorded"
sys.path.insert(0, str(RECORDED))
theirs = importlib.import_module("controllers")
replay = importlib.import_module("replay")
SEED = 1


class Server:
    """Requests to a registry."""

    def __init__(self, cluster: Cluster) -> None:
        self._registry = cluster.registry

    async def request(self, method: str, path: str, body: Any = None, content_type: str = "application/json") -> tuple[int, Any]:
        location, _, query = path.partition("?")
        asked = dict(pair.split("=", 1) for pair in query.split("&")) if query else {}
        where = resource_path(location)
        assert where is not None, location
        resource = self._registry.find(where.group, where.version, where.plural)
        assert resource is not None, location
        at = (RequestContext(identity=ADMIN, field_manager="recorder"), resource, where.namespace)
        data = Body(json.dumps(body).encode(), content_type)
        try:
            match method:
                case "GET" if where.name:
                    answer = await self._registry.get(*at, where.name, subresource=where.subresource)
                case "GET":
                    found = await self._registry.list(*at, ListOptions(label_selector=asked.get("labelSelector", "")))
                    return 200, [msgspec.json.decode(encoding.encode_item(obj)) for obj in found.items]
                case "POST":
                    answer = await self._registry.create(*at, data)
                case "PATCH":
                    answer, _ = await self._registry.patch(*at, where.name, data, content_type, subresource=where.subresource)
                case _:
                    grace = int(asked["gracePeriodSeconds"]) if "gracePeriodSeconds" in asked else None
                    options = DeleteOptions(gracePeriodSeconds=grace, propagationPolicy=asked.get("propagationPolicy"))
                    answer = await self._registry.delete(*at, where.name, options)
        except ApiError as error:
            return error.code, error.to_status()
        return 200, encoding.to_json(answer)


class Player:
    """Plays one script in a cluster of its own."""

    def __init__(self, cluster: Cluster, environment: SimulatedEnvironment, script: dict[str, Any]) -> None:
        self.server = Server(cluster)
        self.environment = environment
        self.script = script
        self.namespace = f"ctl-{script['name'].replace('/', '-')}-0000"[:60]
        self.owner = ""
        self.addresses: dict[str, str] = {}
        self.beaten_at = -1000.0

    def now(self) -> str:
        return timestamps.format_time(self.environment.now())

    # The stand-in kubelets

    async def nodes(self) -> None:
        for number, name in enumerate(theirs.NODES):
            labels = {"kubernetes.io/hostname": name, "topology.kubernetes.io/zone": f"zone-{number % 2}", "kubernetes.io/os": "linux"}
            await self.server.request("POST", "/api/v1/nodes", {"kind": "Node", "apiVersion": "v1", "metadata": {"name": name, "labels": labels}})
        await self.beat()
        await self.environment.sleep(1.0)

    async def beat(self) -> None:
        self.beaten_at = self.environment.monotonic()
        for name in theirs.NODES:
            size = {"cpu": "32", "memory": "64Gi", "pods": "110"}
            ready = {"type": "Ready", "status": "True", "reason": "KubeletReady", "message": "ready", "lastHeartbeatTime": self.now(), "lastTransitionTime": "2026-01-01T00:00:00Z"}
            status = {"capacity": size, "allocatable": size, "conditions": [ready], "addresses": [{"type": "InternalIP", "address": "127.0.0.1"}]}
            await self.server.request("PATCH", f"/api/v1/nodes/{name}/status", {"status": status}, STRATEGIC_MERGE_PATCH)
            spec = {"holderIdentity": name, "leaseDurationSeconds": 40, "renewTime": self.now().replace("Z", ".000000Z")}
            path = "/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases"
            if (await self.server.request("PATCH", f"{path}/{name}", {"spec": spec}, MERGE_PATCH))[0] == 404:
                await self.server.request("POST", path, {"metadata": {"name": name}, "spec": spec})

    async def turn(self) -> None:
        if self.environment.monotonic() - self.beaten_at > 8:
            await self.beat()
        _, pods = await self.server.request("GET", f"/api/v1/namespaces/{self.namespace}/pods")
        for pod in pods:
            meta, path = pod["metadata"], f"/api/v1/namespaces/{self.namespace}/pods/{pod['metadata']['name']}"
            asked = meta.get("annotations") or {}
            if meta.get("deletionTimestamp"):
                if meta.get("deletionGracePeriodSeconds", 0) > 0 and asked.get("recorded/linger") is None:
                    await self.server.request("DELETE", path + "?gracePeriodSeconds=0")
            elif pod["spec"].get("nodeName") and pod["status"].get("phase") in ("Pending", "Running"):
                what = asked.get("recorded/do", "run")
                ready = any(c["type"] == "Ready" and c["status"] == "True" for c in pod["status"].get("conditions", []))
                done = "pending" if pod["status"]["phase"] == "Pending" else "run" if ready else "unready"
                if what not in ("pending", done):
                    await self.server.request("PATCH", path + "/status", self.status(pod, what), STRATEGIC_MERGE_PATCH)

    def status(self, pod: dict[str, Any], what: str) -> dict[str, Any]:
        stand_in = theirs.Kubelets(None)
        stand_in.addresses = self.addresses
        said: dict[str, Any] = json.loads(theirs.TIME.sub(self.now(), json.dumps(stand_in.status(pod, what))))
        return said

    # The script

    async def play(self) -> Sequence[dict[str, Any]]:
        await self.nodes()
        await self.server.request("POST", "/api/v1/namespaces", {"metadata": {"name": self.namespace}})
        await self.environment.sleep(1.0)
        snapshots = []
        for step in self.script["steps"]:
            await self.act(step)
            snapshots.append(theirs.snapshot(await self.settle(step.get("for", 0.0)), self.namespace))
        return snapshots

    async def lists(self) -> dict[str, Any]:
        found = {}
        for kind, base in [*theirs.KINDS.items(), ("events", "/api/v1")]:
            _, found[kind] = await self.server.request("GET", f"{base}/namespaces/{self.namespace}/{kind}")
        return found

    async def settle(self, at_least: float) -> dict[str, Any]:
        start = last = self.environment.monotonic()
        seen = None
        while True:
            await self.turn()
            lists = await self.lists()
            now = self.environment.monotonic()
            versions = {(kind, o["metadata"]["name"]): o["metadata"]["resourceVersion"] for kind, items in lists.items() for o in items}
            if versions != seen:
                seen, last = versions, now
            if (now - last > theirs.QUIET and now - start > at_least) or now - start > max(theirs.LIMIT, at_least + theirs.LIMIT):
                return lists
            await self.environment.sleep(0.1)

    def target(self, path: str) -> str:
        if path.startswith("/"):
            return path.replace("NAMESPACE", self.namespace)
        return f"{theirs.KINDS.get(path.split('/')[0], '/api/v1')}/namespaces/{self.namespace}/{path}"

    async def act(self, step: dict[str, Any]) -> None:
        for obj in step.get("create", ()):
            resource = resources.find_kind(obj["apiVersion"], obj["kind"])
            assert resource is not None
            filled = json.loads(json.dumps(obj).replace("UID_OF_OWNER", self.owner))
            status, answer = await self.server.request("POST", self.target(resource.plural), filled)
            assert status < 300, answer
        for word, content_type in (("patch", STRATEGIC_MERGE_PATCH), ("merge", MERGE_PATCH)):
            if word in step:
                await self.server.request("PATCH", self.target(step[word][0]), step[word][1], content_type)
        if "remember" in step:
            _, answer = await self.server.request("GET", self.target(step["remember"]))
            self.owner = answer["metadata"]["uid"]
        if "delete" in step:
            path, policy = step["delete"]
            await self.server.request("DELETE", self.target(path) + (f"?propagationPolicy={policy}" if policy else ""))
        if "pods" in step:
            await self.change_pods(*step["pods"])

    async def change_pods(self, selector: str, first: int, number: int, change: Any) -> None:
        _, pods = await self.server.request("GET", self.target("pods") + "?labelSelector=" + selector)
        alive = [p for p in pods if not p["metadata"].get("deletionTimestamp") and p["status"]["phase"] in ("Pending", "Running")]
        alive.sort(key=lambda p: (p["metadata"]["creationTimestamp"], p["metadata"].get("annotations", {}).get("batch.kubernetes.io/job-completion-index", ""), p["metadata"]["name"]))
        for pod in alive[first:first + number]:
            path = self.target(f"pods/{pod['metadata']['name']}")
            if change == "delete":
                await self.server.request("DELETE", path)
            else:
                body = {"metadata": {"annotations": {"recorded/do": change}}} if isinstance(change, str) else change
                await self.server.request("PATCH", path, body, MERGE_PATCH)


def played(script: dict[str, Any], seed: int = SEED) -> Sequence[dict[str, Any]]:
    """The snapshots after each step of a script."""
    async def main(environment: SimulatedEnvironment) -> Sequence[dict[str, Any]]:
        parts = ("apiserver", "controllers", "scheduler")
        async with Cluster(nodes=0, environment=environment, components=parts, service_cidr="10.96.0.0/16") as cluster:
            return await Player(cluster, environment, script).play()

    return simulate(seed, main)


def differing(script: dict[str, Any], got: Sequence[dict[str, Any]]) -> tuple[int, list[tuple[int, str, Any]]]:
    """How many parts there are, and those that are not the same."""
    parts, wrong = 0, []
    for number, (want, have) in enumerate(zip(script["snapshots"], got, strict=True)):
        for kind in sorted(want.keys() | have.keys()):
            if f"{number}:{kind}" in script.get("not_compared", ()):
                continue
            parts += 1
            if want.get(kind, []) != have.get(kind, []):
                wrong.append((number, kind, replay.diff(want.get(kind, []), have.get(kind, []))))
    return parts, wrong


def scripts(only: str = "") -> list[dict[str, Any]]:
    found = [json.loads(path.read_text()) for path in sorted((RECORDED / "controllers").glob("*.json"))]
    return [script for script in found if re.search(only, script["name"])]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", default="")
    parser.add_argument("--show", type=int, default=5)
    parser.add_argument("--seed", type=int, default=SEED)
    args = parser.parse_args()
    same = total = 0
    for script in scripts(args.only):
        try:
            got = played(script, args.seed)
        except (AssertionError, NotFound, RuntimeError) as error:
            got = [{} for _ in script["steps"]]
            print(repr(error)[:300])
        parts, wrong = differing(script, got)
        same, total = same + parts - len(wrong), total + parts
        print(f"{script['name']:50} {'the same' if not wrong else f'{len(wrong)} of {parts} parts differ'}", flush=True)
        for number, kind, differences in wrong[:args.show]:
            for where, what, value in differences[:4]:
                print(f"    after step {number}: {kind}{where} {what} {json.dumps(value)[:400]}")
    print(f"parts the same: {same} of {total} ({100 * same / max(1, total):.1f} %)")


if __name__ == "__main__":
    main()
