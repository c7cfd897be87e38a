"""`kubelet-lite explain-scheduling`: which plug-in cuts which nodes for a pod, and how the rest score, in any cluster of a kubeconfig."""
from __future__ import annotations

import argparse
import asyncio
import json
import sys
from collections.abc import Sequence
from typing import Any, Final

import msgspec
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from kubelet_lite.api import claim_rules
from kubelet_lite.api.core_v1 import Node, Pod
from kubelet_lite.api.errors import ApiError
from kubelet_lite.api.resource_v1 import ResourceClaimTemplate
from kubelet_lite.api.resources import resource_of
from kubelet_lite.api.scheduling_rules import FINISHED
from kubelet_lite.client import kubeconfig
from kubelet_lite.client.base import Client
from kubelet_lite.client.http import HttpClient
from kubelet_lite.scheduler import snapshot
from kubelet_lite.scheduler.configuration import DEFAULT, load
from kubelet_lite.scheduler.explanation import Explanation, explain
from kubelet_lite.scheduler.framework import Plugin
from kubelet_lite.scheduler.planning import Line
from kubelet_lite.scheduler.pod_info import PodInfo, pod_info
from kubelet_lite.scheduler.snapshot import Snapshot

SHOWN_NODES: Final = 20
"""Of those that score, without --all."""
NAMED_NODES: Final = 5
"""Of those that a plug-in cut, without --all."""


def explain_scheduling(options: argparse.Namespace) -> int:
    try:
        return asyncio.run(_explain(options))
    except (ApiError, ValueError, OSError) as error:
        print(f"kubelet-lite: {error}", file=sys.stderr)  # noqa: T201
        return 1


async def _explain(options: argparse.Namespace) -> int:
    configuration = load(options.scheduler_config.expanduser()) if options.scheduler_config is not None else DEFAULT
    server = kubeconfig.load(options.kubeconfig.expanduser() if options.kubeconfig is not None else "", options.context)
    async with HttpClient(server) as client:
        pod = await _wanted(client, options, options.namespace or server.namespace)
        line, info = await _in_line(client, pod, configuration, options.scheduler_plugin)
    found = explain(line.decisions[pod.spec.schedulerName], info)
    if options.output == "json":
        print(json.dumps(msgspec.to_builtins(_plain(found)), indent=2))  # noqa: T201
    else:
        show(found, pod, Console(), everything=options.all)
    if configuration.extenders:
        print("Extenders were not asked.", file=sys.stderr)  # noqa: T201
    return 0


async def _wanted(client: Client, options: argparse.Namespace, namespace: str) -> Pod:
    """The pod by name as it is; of a manifest, as the API server would have it."""
    if options.filename is None:
        pod = await client.get(Pod, options.pod, namespace=namespace)
        promised = "" if pod.spec.nodeName else pod.status.nominatedNodeName
        spec, status = msgspec.structs.replace(pod.spec, nodeName=""), msgspec.structs.replace(pod.status, nominatedNodeName=promised)
        return msgspec.structs.replace(pod, spec=spec, status=status)
    text = sys.stdin.read() if str(options.filename) == "-" else options.filename.read_text()
    wanted = snapshot.pods(text)[0]
    meta = msgspec.structs.replace(wanted.metadata, namespace=wanted.metadata.namespace or namespace)
    return await client.create(msgspec.structs.replace(wanted, metadata=meta), namespace=meta.namespace, dry_run=True)


async def _in_line(client: Client, pod: Pod, configuration: Any, plugins: Sequence[type[Plugin]]) -> tuple[Line, PodInfo]:
    """The cluster without the pod; of other objects those that the pod's plug-ins need."""
    nodes = (await client.list(Node)).items
    others = [p for p in (await client.list(Pod)).items if p.metadata.uid != pod.metadata.uid and p.status.phase not in FINISHED]
    known: dict[type[Any], Sequence[Any]] = {}
    if any(used.name is None for used in claim_rules.claims_of(pod)):
        known[ResourceClaimTemplate] = await _listed(client, ResourceClaimTemplate)
    while True:
        around = [obj for objects in known.values() for obj in objects]
        line = Line(Snapshot(nodes, [p for p in others if p.spec.nodeName], around), configuration, plugins, seed=0)
        decisions = line.decisions.get(pod.spec.schedulerName)
        if decisions is None:
            raise ValueError(f"pod {pod.metadata.name} wants scheduler {pod.spec.schedulerName}: name a --scheduler-config that has such a profile")
        for waiting in others:
            if not waiting.spec.nodeName and waiting.status.nominatedNodeName:
                decisions.nominations.add(pod_info(waiting), waiting.status.nominatedNodeName)
        info = pod_info(line.with_claims(pod))
        lacking = [kind for kind in decisions.needs(info) if kind not in known]
        if not lacking:
            return line, info
        for kind in lacking:
            known[kind] = await _listed(client, kind)


async def _listed(client: Client, kind: type[Any]) -> Sequence[Any]:
    """Of what cannot be watched (metrics), nothing where nobody serves it: the scheduler goes on without, too."""
    try:
        return (await client.list(kind)).items
    except ApiError as error:
        if "watch" in resource_of(kind).verbs:
            raise
        print(f"kubelet-lite: without {resource_of(kind).qualified}: {error.message}", file=sys.stderr)  # noqa: T201
        return ()


def _plain(found: Explanation) -> dict[str, Any]:
    """For other programs."""
    nomination = found.nomination
    return {
        "nodes": found.nodes, "keptOut": found.kept_out, "cuts": found.cuts, "weights": found.weights, "scores": found.scores, "totals": found.totals,
        "best": found.best, "message": found.message,
        "preemption": None if nomination is None else {"node": nomination.node_name, "victims": ["/".join(v.key) for v in nomination.victims]},
    }


def show(found: Explanation, pod: Pod, console: Console, *, everything: bool = False) -> None:
    console.print(_headline(found, pod))
    if found.cuts:
        console.print(_cuts(found, everything))
    if found.scores:
        console.print(_scores(found, everything))
    if found.message:
        console.print(escape(found.message))
    if found.nomination is not None:
        victims = ", ".join("/".join(victim.key) for victim in found.nomination.victims)
        console.print(f"[bold]It would displace[/bold] {escape(victims)} from {escape(found.nomination.node_name)}.")


def _headline(found: Explanation, pod: Pod) -> str:
    who = escape(f"Pod {pod.metadata.namespace}/{pod.metadata.name or pod.metadata.generateName} ({pod.spec.schedulerName})")
    if found.kept_out is not None:
        return f"{who}: [red]not scheduled yet[/red]: {escape(found.kept_out[0])}: {escape(found.kept_out[1])}; if it were:"
    if not found.totals:
        return f"{who}: [red]none of {found.nodes} nodes[/red] takes it."
    best = found.best
    chosen = best[0] if len(best) == 1 else f"one of {len(best)} by chance ({', '.join(best[:NAMED_NODES])}{', …' if len(best) > NAMED_NODES else ''})"
    return f"{who}: [green]{len(found.totals)} of {found.nodes} nodes[/green] could take it; it goes to {escape(chosen)}."


def _cuts(found: Explanation, everything: bool) -> Table:
    table = Table(title="Cut", title_justify="left")
    for column in ("plug-in", "nodes", "reason", "preemption", "which"):
        table.add_column(column, justify="right" if column == "nodes" else "left", overflow="fold")
    for cut in found.cuts:
        names = cut.nodes if everything else cut.nodes[:NAMED_NODES]
        which = ", ".join(names) + (", …" if len(names) < len(cut.nodes) else "")
        table.add_row(cut.plugin, str(len(cut.nodes)), escape("; ".join(cut.reasons)), "could help" if cut.resolvable else "", escape(which))
    return table


def _scores(found: Explanation, everything: bool) -> Table:
    ordered = sorted(found.totals, key=lambda name: (-found.totals[name], name))
    shown = ordered if everything else ordered[:SHOWN_NODES]
    table = Table(title="Scores" + ("" if len(shown) == len(ordered) else f" (the best {len(shown)} of {len(ordered)}; --all shows all)"), title_justify="left")
    table.add_column("node")
    table.add_column("total", justify="right", style="bold")
    for plugin, weight in found.weights.items():
        table.add_column(f"{plugin}\n×{weight}", justify="right", overflow="fold")
    for name in shown:
        table.add_row(escape(name), str(found.totals[name]), *(str(found.scores[name].get(plugin, 0)) for plugin in found.weights))
    return table
