"""Capacity planning: where pods would go in a cluster of which there is only a snapshot.

The same decisions as in a cluster, one pod after the other in the queue's order: a more important pod displaces others, who stand in
line again. Nothing is awaited, nothing written.
"""
from __future__ import annotations

import heapq
import random
from collections.abc import Mapping, Sequence

import msgspec

from kubelet_lite.api.core_v1 import Pod
from kubelet_lite.client import manifests
from kubelet_lite.scheduler import profiles, snapshot
from kubelet_lite.scheduler.configuration import DEFAULT, ConfigurationError, SchedulerConfiguration
from kubelet_lite.scheduler.decision import Decisions, Placement
from kubelet_lite.scheduler.framework import Handle, Plugin, Wait
from kubelet_lite.scheduler.pod_info import PodInfo, pod_info
from kubelet_lite.scheduler.pretended_claims import with_claims
from kubelet_lite.scheduler.surroundings import Given

Name = str
"""namespace/name"""


class Plan(msgspec.Struct, frozen=True):
    """What became of the pods that had no node: those given, and those that waited in the snapshot."""

    placements: Mapping[Name, str]
    """Pod → node."""
    refused: Mapping[Name, str]
    """Pod → why it has none."""
    displaced: Mapping[Name, Name]
    """Pod that had a node → who took it. It is in line again: see `placements` or `refused` for what became of it."""


class Line:
    """Pods before a cluster that is not there."""

    def __init__(self, source: snapshot.Source, configuration: SchedulerConfiguration, plugins: Sequence[type[Plugin]], seed: int) -> None:
        self.snapshot = snapshot.read(source)
        self._around = Given(self.snapshot.around)
        handle = Handle.alone(self._around)
        self.nodes = handle.nodes
        for node in self.snapshot.nodes:
            self.nodes.set_node(node)
        self.decisions = {p.name: Decisions(handle.nodes, p, handle.nominations) for p in profiles.build(configuration, handle, plugins)}
        self._order = next(iter(self.decisions.values())).profile.queue_sort[0].queue_key
        self._random = random.Random(seed)
        self._heap: list[tuple[tuple[float, ...], int, PodInfo]] = []
        self._came = 0
        self._placed: dict[Name, str] = {}
        self._refused: dict[Name, str] = {}
        self._displaced: dict[Name, Name] = {}
        for pod in self.snapshot.pods:
            if pod.spec.nodeName:
                self.nodes.place(pod_info(pod), pod.spec.nodeName)
            elif pod.metadata.deletionTimestamp is None:
                self.join(pod)

    def with_claims(self, pod: Pod) -> Pod:
        """The pod with the ResourceClaims that would be made for it."""
        return with_claims(pod, self._around) if pod.spec.resourceClaims else pod

    def join(self, pod: Pod) -> None:
        info = pod_info(self.with_claims(pod))
        self._came += 1
        heapq.heappush(self._heap, (self._order(info, float(self._came)), self._came, info))

    def run(self) -> Plan:
        while self._heap:
            _, _, info = heapq.heappop(self._heap)
            self._place(info)
        return Plan(self._placed, self._refused, self._displaced)

    def _place(self, info: PodInfo) -> None:
        name = "/".join(info.key)
        decisions = self.decisions.get(info.pod.spec.schedulerName)
        if decisions is None:
            self._refused[name] = f'no profile for scheduler name "{info.pod.spec.schedulerName}"'
            return
        kept_out = decisions.profile.refused_at_the_door(info)
        if kept_out is not None:
            self._refused[name] = kept_out[1]
            return
        outcome = decisions.decide(info, self._random)
        if isinstance(outcome, Placement):
            self._settle(info, outcome.node_name, decisions)
            return
        nomination = outcome.attempt.nomination
        if nomination is None:
            self._refused[name] = outcome.message
            return
        for victim in nomination.victims:
            self._displace(victim, name)
        self._settle(info, nomination.node_name, decisions)

    def _settle(self, info: PodInfo, node_name: str, decisions: Decisions) -> None:
        """Reserve and Permit have their say; a pod that would wait at Permit counts as placed."""
        name = "/".join(info.key)
        self.nodes.place(info, node_name)
        for plugin in decisions.profile.reserve:
            reason = plugin.reserve(info, node_name)
            if reason is not None:
                self._take_back(info, node_name, decisions, reason)
                return
        for plugin in decisions.profile.permit:
            verdict = plugin.permit(info, node_name)
            if verdict is not None and not isinstance(verdict, Wait):
                self._take_back(info, node_name, decisions, verdict)
                return
        self._placed[name] = node_name

    def _take_back(self, info: PodInfo, node_name: str, decisions: Decisions, reason: str) -> None:
        for plugin in reversed(decisions.profile.reserve):
            plugin.unreserve(info, node_name)
        self.nodes.remove(info.key)
        self._refused["/".join(info.key)] = f"0/1 nodes are available: 1 {reason}."

    def _displace(self, victim: PodInfo, by: Name) -> None:
        name = "/".join(victim.key)
        self.nodes.remove(victim.key)
        self._placed.pop(name, None)
        self._displaced[name] = by
        pod = victim.pod
        self.join(msgspec.structs.replace(pod, spec=msgspec.structs.replace(pod.spec, nodeName=""), status=msgspec.structs.replace(pod.status, nominatedNodeName="")))


def simulate(
    source: snapshot.Source, pods: manifests.Source, *, configuration: SchedulerConfiguration = DEFAULT, plugins: Sequence[type[Plugin]] = (), seed: int = 0,
) -> Plan:
    """Places `pods` (pods, or workloads that have some) into the cluster of `source`. `seed` breaks ties.

    Raises BadRequest for what is no object, ConfigurationError, OSError.
    """
    if configuration.extenders:
        raise ConfigurationError(["extenders: a simulation asks nobody over HTTP"])
    line = Line(source, configuration, plugins, seed)
    for wanted in snapshot.pods(pods):
        pod = snapshot.completed(wanted, line.snapshot.around)
        if pod.spec.nodeName:
            line.nodes.place(pod_info(pod), pod.spec.nodeName)
        else:
            line.join(pod)
    return line.run()
