"""Carries out the probes of one pod's containers when they are due. What is due, and what results mean, `probes` decides."""
from __future__ import annotations

import math
from typing import Protocol

import msgspec

from kubelet_lite.api.core_v1 import Container, Pod, Probe
from kubelet_lite.client.events import EventType
from kubelet_lite.kubelet import actions, probes
from kubelet_lite.kubelet.memory import PodMemory, ProbeFacts
from kubelet_lite.kubelet.node_agent import NodeAgent
from kubelet_lite.runtimes.base import ContainerStatus, PodState

Key = tuple[str, probes.Kind]
"""Container id, kind."""


class _Task(msgspec.Struct, frozen=True):
    container: Container
    probe: Probe
    state: probes.ProbeState
    address: str
    field_path: str


class ProbedPod(Protocol):
    """Whose containers are probed, and who hears of it."""

    uid: str
    memory: PodMemory

    def record(self, type: EventType, reason: str, message: str, field_path: str = "") -> None: ...
    def learn_probe(self, container_id: str, facts: ProbeFacts) -> None: ...


class Prober:
    """`_states`: all and only the probes of running containers; `_running`: those whose answer is awaited."""

    def __init__(self, worker: ProbedPod, kubelet: NodeAgent) -> None:
        self._worker = worker
        self._kubelet = kubelet
        self._states: dict[Key, probes.ProbeState] = {}
        self._running: dict[Key, None] = {}

    def schedule(self, pod: Pod, state: PodState, now: float) -> None:
        """Starts what is due, and asks to be woken for what comes."""
        running = {c.name: c for c in reversed(state.containers) if c.state == "running" and c.id not in self._worker.memory.starting}
        live = {status.id for status in running.values()}
        for key in [key for key in self._states if key[0] not in live]:
            del self._states[key]
        addresses = state.sandboxes[0].addresses if state.sandboxes else ()
        address = probes.address_of(pod, addresses, self._kubelet.node_address)
        for container in actions.containers_of(pod):
            status = running.get(container.name)
            if status is None:
                continue
            for kind in probes.KINDS:
                if kind != "Liveness" or pod.metadata.deletionTimestamp is None:
                    self._schedule(pod, container, status, kind, address, now)

    def _schedule(self, pod: Pod, container: Container, status: ContainerStatus, kind: probes.Kind, address: str, now: float) -> None:
        probe = probes.probe_of(container, kind)
        if probe is None:
            return
        key = status.id, kind
        state = self._states.get(key) or probes.first(status, probe, kind)
        self._states[key] = state
        facts = self._worker.memory.probes.get(status.id, ProbeFacts())
        if key in self._running or not probes.may_run(container, kind, facts):
            return
        if now < state.due_at:
            self._await_turn(key, probe, now)
            return
        self._running[key] = None
        self._kubelet.spawn(self._probe, _Task(container, probe, state, address, actions.field_path(container, pod)))

    def _await_turn(self, key: Key, probe: Probe, now: float) -> None:
        state = probes.look_ahead(probe, self._states[key], self._kubelet.runtime.foresee(*key), now)
        self._states[key] = state
        if state.due_at < math.inf:
            self._kubelet.wake_at(self._worker.uid, state.due_at)

    async def _probe(self, task: _Task) -> None:
        state, worker, kubelet = task.state, self._worker, self._kubelet
        key = state.container_id, state.kind
        try:
            answer = await kubelet.runtime.probe(state.container_id, state.kind)
            if answer is not None:
                outcome = probes.Outcome(answer.success, answer.output)
            else:
                outcome = await probes.carry_out(kubelet.runtime, task.container, state.container_id, task.probe, task.address)
        finally:
            self._running.pop(key, None)
        if key not in self._states:
            return
        if not outcome.success:
            worker.record("Warning", "Unhealthy", f"{state.kind} probe failed: {outcome.output}", task.field_path)
        before = worker.memory.probes.get(state.container_id, ProbeFacts())
        now = kubelet.environment.now()
        self._states[key], facts = probes.learn(task.probe, state, outcome, before, now)
        if facts == before:
            self._await_turn(key, task.probe, now)
        else:
            worker.learn_probe(state.container_id, facts)
