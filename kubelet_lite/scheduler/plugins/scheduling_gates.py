"""SchedulingGates: a pod with gates is not scheduled until somebody has removed them all.

https://kubernetes.io/docs/concepts/scheduling-eviction/pod-scheduling-readiness/
"""
from __future__ import annotations

from kubelet_lite.scheduler.framework import Change, Plugin
from kubelet_lite.scheduler.pod_info import PodInfo


class SchedulingGates(Plugin):
    def pre_enqueue(self, pod: PodInfo) -> str | None:
        gates = pod.pod.spec.schedulingGates
        return f"waiting for scheduling gates: [{' '.join(gate.name for gate in gates)}]" if gates else None

    def hint(self, change: Change) -> bool:
        """Only a change of the pod itself helps."""
        return False
