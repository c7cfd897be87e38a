"""When the change happened that an update of endpoints follows: the annotation from which the lag of the network is measured.

It is told from what was seen of a Service and its pods the last time. A restart forgets that, as Kubernetes' own controllers do: the
next update then says when the Service was made. https://kubernetes.io/docs/reference/labels-annotations-taints/#endpoints-kubernetes-io-last-change-trigger-time
"""
from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

import msgspec

from kubelet_lite.api.core_v1 import Pod, Service
from kubelet_lite.controllers.base import Key

ANNOTATION: Final = "endpoints.kubernetes.io/last-change-trigger-time"


class _Seen(msgspec.Struct, frozen=True):
    """Times in RFC 3339, whole seconds, UTC: their order is that of the strings."""

    service: str
    pods: Mapping[str, str]


class TriggerTimes:
    """For one controller: what each key's last view saw."""

    def __init__(self) -> None:
        self._seen: dict[Key, _Seen] = {}

    def look(self, key: Key, service: Service, pods: Sequence[Pod]) -> str:
        """The earliest change since the last look at this key; "" for none that has a time. `pods`: all that the Service selects."""
        before = self._seen.get(key)
        now = _Seen(service.metadata.creationTimestamp or "", {pod.metadata.name: time for pod in pods if (time := _ready_changed(pod))})
        self._seen[key] = now
        if before is None:
            return now.service
        changed = [time for name, time in now.pods.items() if time > before.pods.get(name, "")]
        if now.service > before.service:
            changed.append(now.service)
        return min(changed, default="")

    def forget(self, key: Key) -> None:
        """The Service is gone."""
        self._seen.pop(key, None)


def _ready_changed(pod: Pod) -> str:
    return next((c.lastTransitionTime or "" for c in pod.status.conditions if c.type == "Ready"), "")


def annotated(annotations: Mapping[str, str], trigger: str) -> dict[str, str]:
    kept = {key: value for key, value in annotations.items() if key != ANNOTATION}
    return {**kept, ANNOTATION: trigger} if trigger else kept
