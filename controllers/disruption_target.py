"""The condition DisruptionTarget of pods that the control plane ends.

https://kubernetes.io/docs/concepts/workloads/pods/disruptions/#pod-disruption-conditions
"""
from __future__ import annotations

from typing import Any

from kubelet_lite.api import timestamps
from kubelet_lite.api.core_v1 import Pod
from kubelet_lite.api.requests import STRATEGIC_MERGE_PATCH
from kubelet_lite.controllers.base import Patch


def disruption_target(pod: Pod, reason: str, message: str, now: float, **status: Any) -> Patch:
    """Marks a pod that is about to be ended by the control plane: the condition DisruptionTarget, and what else its status says."""
    condition = {
        "type": "DisruptionTarget", "status": "True", "reason": reason, "message": message,
        "lastTransitionTime": timestamps.format_time(now), "observedGeneration": pod.metadata.generation,
    }
    change = {"status": {**status, "conditions": [condition]}}
    return Patch(object=pod, change=change, content_type=STRATEGIC_MERGE_PATCH, subresource="status")
