"""What is written when a pod finds no node: its condition and an event; and who is displaced to make room for it.

https://kubernetes.io/docs/concepts/workloads/pods/disruptions/#pod-disruption-conditions
"""
from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from kubelet_lite.actors import logs
from kubelet_lite.actors.environment import Environment
from kubelet_lite.api import timestamps
from kubelet_lite.api.core_v1 import Pod, PodCondition
from kubelet_lite.api.errors import ApiError, NotFound
from kubelet_lite.api.requests import STRATEGIC_MERGE_PATCH
from kubelet_lite.client.base import Client
from kubelet_lite.client.events import EventRecorder
from kubelet_lite.scheduler.pod_info import PodInfo

KEEP: Final = None
_log = logs.get_logger()


class Failures:
    """Writes for one scheduler."""

    def __init__(self, client: Client, environment: Environment, recorder: EventRecorder) -> None:
        self._client = client
        self._environment = environment
        self._recorder = recorder

    async def report(self, pod: Pod, message: str, *, reason: str = "Unschedulable", promised: str | None = KEEP) -> None:
        """Says on the pod, and by an event, why it has no node; `promised`: the node it waits for ("": none any more)."""
        self._recorder.record(pod, "Warning", "FailedScheduling", message, action="Scheduling")
        change: dict[str, Any] = {}
        known = next((c for c in pod.status.conditions if c.type == "PodScheduled"), None)
        if known is None or (known.status, known.reason, known.message) != ("False", reason, message):
            change["conditions"] = [self._condition(pod, known, "PodScheduled", "False", reason, message)]
        if promised is not KEEP and promised != pod.status.nominatedNodeName:
            change["nominatedNodeName"] = promised or None
        if change:
            await self._patch(pod, change)

    async def displace(self, preemptor: Pod, node_name: str, victims: Sequence[PodInfo]) -> bool:
        """Deletes the victims and says why; whether all are gone or going."""
        done = True
        for info in victims:
            victim = info.pod
            if victim.metadata.deletionTimestamp is not None:
                continue
            known = next((c for c in victim.status.conditions if c.type == "DisruptionTarget"), None)
            message = f"{preemptor.spec.schedulerName}: preempting to accommodate a higher priority pod"
            condition = self._condition(victim, known, "DisruptionTarget", "True", "PreemptionByScheduler", message)
            try:
                await self._write(victim, {"conditions": [condition]})
                await self._client.delete(Pod, victim.metadata.name, namespace=victim.metadata.namespace)
            except NotFound:
                continue
            except ApiError as error:
                done = False
                _log.warning("victim_not_deleted", object=f"{victim.metadata.namespace}/{victim.metadata.name}", error=error.message)
                continue
            text = f"Preempted by pod {preemptor.metadata.uid} on node {node_name}"
            self._recorder.record(victim, "Normal", "Preempted", text, action="Preempting", related=preemptor)
        return done

    async def void_promise(self, pod: Pod) -> None:
        """The pod waits for its node no longer: one that comes before it was promised the node."""
        if pod.status.nominatedNodeName:
            await self._patch(pod, {"nominatedNodeName": None})

    def _condition(self, pod: Pod, known: PodCondition | None, type_: str, status: str, reason: str, message: str) -> dict[str, Any]:
        same = known is not None and known.status == status
        since = known.lastTransitionTime if known is not None and same else timestamps.format_time(self._environment.now())
        return {
            "type": type_, "status": status, "reason": reason, "message": message, "observedGeneration": pod.metadata.generation,
            "lastTransitionTime": since,
        }

    async def _patch(self, pod: Pod, change: dict[str, Any]) -> None:
        try:
            await self._write(pod, change)
        except ApiError as error:
            _log.info("status_not_written", object=f"{pod.metadata.namespace}/{pod.metadata.name}", error=error.message)

    async def _write(self, pod: Pod, change: dict[str, Any]) -> None:
        await self._client.patch(
            Pod, pod.metadata.name, {"status": change}, namespace=pod.metadata.namespace, subresource="status",
            content_type=STRATEGIC_MERGE_PATCH,
        )
