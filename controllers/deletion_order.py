"""Which pods of a ReplicaSet go first when there are too many: those that would be missed least.

https://kubernetes.io/docs/concepts/workloads/controllers/replicaset/#scaling-a-replicaset
"""
from __future__ import annotations

import collections
import math
from collections.abc import Iterable, Sequence
from typing import Final

from kubelet_lite.api import timestamps
from kubelet_lite.api.core_v1 import Pod
from kubelet_lite.api.selectors import integer
from kubelet_lite.controllers.pod_facts import is_active, ready_since

DELETION_COST: Final = "controller.kubernetes.io/pod-deletion-cost"
_PHASES: Final = {"Pending": 0, "Unknown": 1, "Running": 2}
_INT32: Final = 2 ** 31


def pods_to_delete(pods: Sequence[Pod], count: int, related: Iterable[Pod], now: float) -> Sequence[Pod]:
    """`count` of `pods`. `related`: pods of the same application, in which a node that holds several of them is crowded."""
    if count >= len(pods):
        return pods
    crowds = collections.Counter(pod.spec.nodeName for pod in related if is_active(pod))

    def worth(pod: Pod) -> tuple[object, ...]:
        ready = ready_since(pod)
        return (
            bool(pod.spec.nodeName), _PHASES.get(pod.status.phase, 0), ready is not None, _deletion_cost(pod), -crowds[pod.spec.nodeName],
            -1 if ready is None else _age_class(ready, now), *(-restarts for restarts in _most_restarts(pod)),
            _age_class(_created(pod), now), pod.metadata.name,
        )

    return sorted(pods, key=worth)[:count]


def _age_class(since: float, now: float) -> int:
    """Times of the same order of magnitude weigh the same: who is older by little is not therefore worth more. 0: unknown, goes first."""
    if not since:
        return -2
    nanoseconds = (now - since) * 1e9
    return int(math.log2(nanoseconds)) if nanoseconds >= 1 else -1


def _deletion_cost(pod: Pod) -> int:
    cost = integer(pod.metadata.annotations.get(DELETION_COST, ""))
    return cost if cost is not None and -_INT32 <= cost < _INT32 else 0


def _created(pod: Pod) -> float:
    created = pod.metadata.creationTimestamp
    return timestamps.parse_time(created) if created else 0.0


def _most_restarts(pod: Pod) -> tuple[int, int]:
    """Of its containers, and of its sidecars."""
    sidecars = {container.name for container in pod.spec.initContainers if container.restartPolicy == "Always"}
    return (
        max((status.restartCount for status in pod.status.containerStatuses), default=0),
        max((status.restartCount for status in pod.status.initContainerStatuses if status.name in sidecars), default=0),
    )
