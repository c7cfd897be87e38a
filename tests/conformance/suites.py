"""What is replayed, and against which cluster. Each suite yields (file, parts the same, parts) and prints what differs."""
from __future__ import annotations

import concurrent.futures
import json
import queue
import re
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any, NamedTuple

from tests.conformance.servers import KUBECTL, up

RECORDED = Path(__file__).resolve().parents[1] / "recorded"
sys.path.insert(0, str(RECORDED))  # its programs import each other by their bare names
import decisions  # noqa: E402
import pods as pods_player  # noqa: E402
import replay  # noqa: E402
import transcripts  # noqa: E402

import controllers as controllers_player  # noqa: E402

SERVICE_CIDR = ("--service-cidr", "10.96.0.0/16")
API = ("--components", "apiserver", *SERVICE_CIDR)
CONTROL_PLANE = ("--components", "apiserver,controllers,scheduler", *SERVICE_CIDR)
ONE_NODE = ("--nodes", "1", "--runtime", "subprocess", "--image", "busybox=")
CONTROLLER_SERVERS = 8
"""Scripts mostly wait for quiet: they are spread over so many servers."""
POD_JOBS = 12
KUBECTL_JOBS = 4
WITHOUT = {"mounts", "namespaces", "cgroups", "users", "streams"}
"""What host isolation cannot offer."""


class Figure(NamedTuple):
    file: str
    same: int
    total: int


Show = Callable[[str], None]


def scripts(folder: str, only: str) -> Iterator[tuple[str, dict[str, Any]]]:
    for path in sorted((RECORDED / folder).glob("*.json")):
        script = json.loads(path.read_text())
        if re.search(only, f"{folder}/{script['name']}"):
            yield path.stem, script


def exchanges(folder: str, only: str, show: Show) -> Iterator[Figure]:
    """`mutations` or `scenarios`, one after the other: they share the server's cluster-wide objects."""
    files = [p for p in sorted((RECORDED / folder).iterdir()) if re.search(only, f"{folder}/{p.stem}")]
    if not files:
        return
    with up(*API) as server:
        client = replay.Server(server.url, server.token)
        account = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "default"}}
        client.request("POST", "/api/v1/namespaces/default/serviceaccounts", account)
        for path in files:
            counts = [0, 0]

            def report(group: str, label: str, found: list[Any], counts: list[int] = counts) -> None:
                counts[0] += not found
                counts[1] += 1
                if found:
                    show(f"{group}: {label}\n" + "\n".join(f"    {where or '/'} {what} {json.dumps(value)[:200]}" for where, what, value in found[:6]))

            (replay.replay_mutations if folder == "mutations" else replay.replay_scenario)(client, str(path), report, "")
            yield Figure(f"{folder}/{path.stem}", *counts)


def controllers(only: str, show: Show) -> Iterator[Figure]:
    wanted = list(scripts("controllers", only))
    if not wanted:
        return
    waiting: queue.SimpleQueue[tuple[str, dict[str, Any]]] = queue.SimpleQueue()
    for item in wanted:
        waiting.put(item)

    def work(server: Any) -> list[Figure]:
        player = controllers_player.Player(server.url, server.token)
        found = []
        while True:
            try:
                name, script = waiting.get_nowait()
            except queue.Empty:
                return found
            try:
                got = player.play(script)
            except Exception as error:  # a script that the server refuses counts with all its parts
                show(f"{name}: {error!r}"[:400])
                got = [{} for _ in script["steps"]]
            same = total = 0
            for number, (want, have) in enumerate(zip(script["snapshots"], got, strict=False)):
                for kind in sorted(want.keys() | have.keys()):
                    if f"{number}:{kind}" in script.get("not_compared", ()):
                        continue
                    total += 1
                    differences = replay.diff(want.get(kind, []), have.get(kind, []))
                    same += not differences
                    for where, what, value in differences[:4]:
                        show(f"{name} after step {number}: {kind}{where} {what} {json.dumps(value)[:300]}")
            found.append(Figure(f"controllers/{name}", same, total))

    with ExitStack() as stack, concurrent.futures.ThreadPoolExecutor(CONTROLLER_SERVERS) as pool:
        servers = [stack.enter_context(up(*CONTROL_PLANE)) for _ in range(min(CONTROLLER_SERVERS, len(wanted)))]
        for figures in pool.map(work, servers):
            yield from figures


def pods(only: str, show: Show) -> Iterator[Figure]:
    wanted = [(name, script) for name, script in scripts("pods", only) if not set(script.get("needs", ())) & WITHOUT]
    if not wanted:
        return
    with up(*ONE_NODE) as server, concurrent.futures.ThreadPoolExecutor(POD_JOBS) as pool:
        def play(item: tuple[str, dict[str, Any]]) -> Figure:
            name, script = item
            try:
                got, timeline = pods_player.Play(server.url, server.token, script).play()
            except Exception as error:  # as above
                show(f"{name}: {error!r}"[:400])
                got, timeline = [{} for _ in script["steps"]], {}
            rows = list(pods_player.compare(script, got, timeline))
            for where, found in rows:
                if found:
                    show(f"{name} {where}: {json.dumps(found)[:400]}")
            return Figure(f"pods/{name}", sum(not found for _, found in rows), len(rows))

        yield from pool.map(play, wanted)


def kubectl(only: str, show: Show) -> Iterator[Figure]:
    wanted = [(name, script) for name, script in scripts("kubectl", only) if not set(script.get("needs", ())) & WITHOUT]
    if not wanted:
        return
    with up(*ONE_NODE) as server, concurrent.futures.ThreadPoolExecutor(KUBECTL_JOBS) as pool:
        def play(item: tuple[str, dict[str, Any]]) -> Figure:
            name, script = item
            answers = transcripts.Session(KUBECTL, str(server.kubeconfig), script).play()
            compared = [(step, got) for step, got in zip(script["steps"], answers, strict=True) if not step.get("any")]
            same = 0
            for step, got in compared:
                want, have = transcripts.tidied(step["answer"]), transcripts.tidied(got)
                same += want == have
                if want != have:
                    show(f"{name} $ kubectl {step['run']}\n  want {json.dumps(want)[:1500]}\n  have {json.dumps(have)[:1500]}")
            return Figure(f"kubectl/{name}", same, len(compared))

        alone = [name.startswith("crd--") or "drain" in script.get("needs", ()) for name, script in wanted]
        yield from pool.map(play, [item for item, apart in zip(wanted, alone, strict=True) if not apart])
        yield from map(play, [item for item, apart in zip(wanted, alone, strict=True) if apart])  # they cordon the node, or change what `all` means


def scheduling(only: str, show: Show) -> Iterator[Figure]:
    from tests.scheduler.recorded import decide

    for path in sorted((RECORDED / "scheduling").glob("*.jsonl")):
        if not re.search(only, f"scheduling/{path.stem}"):
            continue
        same = total = 0
        for line in path.read_text().splitlines():
            scenario = json.loads(line)
            want = scenario["answer"]
            have = decide(scenario)
            relevant = [p for p in decisions.PARTS if want.get(p) or have.get(p)] or ["feasible"]
            good = [p for p in relevant if decisions.same(p, want.get(p), have.get(p))]
            for part in relevant:
                if part not in good:
                    show(f"{scenario['id']} {part}\n    want {json.dumps(want.get(part))[:500]}\n    have {json.dumps(have.get(part))[:500]}")
            same, total = same + len(good), total + len(relevant)
        yield Figure(f"scheduling/{path.stem}", same, total)


SUITES: dict[str, Callable[[str, Show], Iterator[Figure]]] = {
    "scenarios": lambda only, show: exchanges("scenarios", only, show),
    "mutations": lambda only, show: exchanges("mutations", only, show),
    "controllers": controllers,
    "pods": pods,
    "kubectl": kubectl,
    "scheduling": scheduling,
}
