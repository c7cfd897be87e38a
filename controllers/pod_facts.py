"""What controllers ask of a pod: whether it counts, is ready, is available; and a pod from a template."""
from __future__ import annotations

from typing import Any

from kubelet_lite.api import timestamps
from kubelet_lite.api.core_v1 import Pod, PodTemplateSpec
from kubelet_lite.api.meta_v1 import ObjectMeta
from kubelet_lite.api.resources import Resource
from kubelet_lite.api.scheduling_rules import FINISHED
from kubelet_lite.controllers.base import controller_reference


def is_active(pod: Pod) -> bool:
    """Neither finished nor being deleted."""
    return pod.status.phase not in FINISHED and pod.metadata.deletionTimestamp is None


def is_terminating(pod: Pod) -> bool:
    """Being deleted and not finished yet."""
    return pod.status.phase not in FINISHED and pod.metadata.deletionTimestamp is not None


def is_ready(pod: Pod) -> bool:
    return any(condition.type == "Ready" and condition.status == "True" for condition in pod.status.conditions)


def ready_since(pod: Pod) -> float | None:
    """Since when a pod is ready (Unix seconds; 0: nobody knows); None: it is not."""
    for condition in pod.status.conditions:
        if condition.type == "Ready":
            if condition.status != "True":
                return None
            return timestamps.parse_time(condition.lastTransitionTime) if condition.lastTransitionTime else 0.0
    return None


def available_at(pod: Pod, min_ready_seconds: int) -> float | None:
    """When a pod is, or becomes, available if it stays ready; None: it is not ready."""
    since = ready_since(pod)
    if since is None or not min_ready_seconds:
        return since
    return since + min_ready_seconds if since else None


def from_template(template: PodTemplateSpec, owner: Any, resource: Resource) -> Pod:
    """A pod that its owner manages, whose name the server completes."""
    metadata = template.metadata
    return Pod(
        metadata=ObjectMeta(
            namespace=owner.metadata.namespace, generateName=f"{owner.metadata.name}-", labels=metadata.labels, annotations=metadata.annotations,
            finalizers=metadata.finalizers, ownerReferences=(controller_reference(owner, resource),),
        ),
        spec=template.spec,
    )
