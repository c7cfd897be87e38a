"""PrioritySort: the more important pod goes first, the older of equals."""
from __future__ import annotations

from kubelet_lite.scheduler.framework import Plugin
from kubelet_lite.scheduler.pod_info import PodInfo


class PrioritySort(Plugin):
    def queue_key(self, pod: PodInfo, arrived: float) -> tuple[float, ...]:
        return -pod.priority, arrived
