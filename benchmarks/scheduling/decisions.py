"""Decision only: the pods of a workload decided one after the other, each placed in the table at once; nothing is written, nobody waits.

What comes and goes in the background (churn, deletions) is left out: there is no time in which it could.
"""
from __future__ import annotations

import itertools
import random
import time
from collections.abc import Iterator
from typing import Any

from msgspec.structs import replace

from benchmarks.scheduling.meter import Meter
from kubelet_lite.api.core_v1 import Node, Pod
from kubelet_lite.scheduler.decision import Decisions, Placement
from kubelet_lite.scheduler.framework import Handle
from kubelet_lite.scheduler.node_table import NodeTable
from kubelet_lite.scheduler.plugins import default_profile
from kubelet_lite.scheduler.pod_info import PodInfo, pod_info
from kubelet_lite.scheduler.pretended_claims import with_claims
from kubelet_lite.scheduler.surroundings import Given


class Table:
    """A World of nothing but a node table."""

    def __init__(self, meter: Meter) -> None:
        self.nodes, self._around, self._meter, self._random = NodeTable(), Given(), meter, random.Random(1)
        handle = Handle.alone(self._around, self.nodes)
        self._decisions = Decisions(self.nodes, default_profile(handle), handle.nominations)
        self.refused = 0

    async def add(self, obj: Any) -> Any:
        if isinstance(obj, Node):
            self.nodes.set_node(obj)
        elif not isinstance(obj, Pod):
            self._around.add(obj)
        return obj

    async def remove(self, obj: Any) -> None:
        """Only what churns is removed."""

    async def write_status(self, obj: Any) -> None:
        self._around.add(obj)

    async def look_after_claims(self) -> None:
        """They are made with their pods."""

    async def steady_pods(self, pods: Iterator[Pod], *, at_once: int, seconds: float) -> None:
        until = time.perf_counter() + seconds
        with self._meter.measuring():
            while time.perf_counter() < until:
                found = [replace(pod, spec=replace(pod.spec, schedulerName="default-scheduler")) for pod in itertools.islice(pods, at_once)]
                self._decide(found, told=True)
                for pod in found:
                    self._leave(pod_info(pod))

    def _leave(self, info: PodInfo) -> None:
        placed = self.nodes.placed(info.key)
        if placed is not None:
            for plugin in self._decisions.profile.reserve:
                plugin.unreserve(placed.info, self.nodes.name(placed.row))
            self.nodes.remove(info.key)

    async def pods(self, pods: Iterator[Pod], *, measured: bool, wait: bool) -> None:
        found = list(pods)
        spec = replace(found[0].spec, schedulerName="default-scheduler")
        whole = found[0].spec
        for i, pod in enumerate(found):
            found[i] = replace(pod, spec=spec if pod.spec is whole else replace(pod.spec, schedulerName="default-scheduler"))
        if measured:
            with self._meter.measuring():
                self._decide(found, told=True)
        else:
            self._decide(found, told=False)

    def _decide(self, pods: list[Pod], *, told: bool) -> None:
        profile = self._decisions.profile
        for pod in pods:
            if pod.spec.resourceClaims:
                pod = with_claims(replace(pod, metadata=replace(pod.metadata, uid=f"uid-{pod.metadata.name}")), self._around)
            before = time.perf_counter()
            info = pod_info(pod)
            if profile.refused_at_the_door(info) is not None:
                continue
            outcome = self._decisions.decide(info, self._random)
            if isinstance(outcome, Placement):
                self.nodes.place(info, outcome.node_name)
                for plugin in profile.reserve if pod.spec.resourceClaims else ():
                    plugin.reserve(info, outcome.node_name)
                if told:
                    self._meter.done(time.perf_counter() - before)
            else:
                self.refused += 1

    async def attempted(self) -> None:
        """They are, always."""

    def in_namespace(self, namespace: str) -> list[Pod]:
        return []
