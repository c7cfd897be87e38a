"""How many pods a Deployment may have and lack, and how its size is shared out among its revisions. Pure arithmetic.

https://kubernetes.io/docs/concepts/workloads/controllers/deployment/#rolling-update-deployment
"""
from __future__ import annotations

import math
from collections.abc import Sequence

from kubelet_lite.api.apps_v1 import Deployment, ReplicaSet
from kubelet_lite.controllers.deployment.history import MAX_REPLICAS, integer_annotation, newest_last


def scaled(value: int | str | None, total: int, *, up: bool) -> int:
    """A number, or a percentage of `total` rounded up or down."""
    if value is None:
        return 0
    if isinstance(value, int):
        return value
    percent = int(value.removesuffix("%"))
    return -(-percent * total // 100) if up else percent * total // 100


def replicas_of(obj: Deployment | ReplicaSet) -> int:
    """`spec.replicas`."""
    return obj.spec.replicas or 0


def is_rolling(deployment: Deployment) -> bool:
    return deployment.spec.strategy.type == "RollingUpdate"


def limits(deployment: Deployment) -> tuple[int, int]:
    """(maxSurge, maxUnavailable) in pods: never both 0, since nothing could move."""
    if not is_rolling(deployment):
        return 0, 0
    rolling, replicas = deployment.spec.strategy.rollingUpdate, replicas_of(deployment)
    surge = scaled(rolling.maxSurge, replicas, up=True) if rolling is not None else 0
    unavailable = scaled(rolling.maxUnavailable, replicas, up=False) if rolling is not None else 0
    if surge == 0 and unavailable == 0:
        unavailable = 1
    return surge, min(unavailable, replicas)


def most_pods(deployment: Deployment) -> int:
    """With the surge."""
    return replicas_of(deployment) + limits(deployment)[0]


def fewest_available(deployment: Deployment) -> int:
    return replicas_of(deployment) - limits(deployment)[1]


def new_size(deployment: Deployment, sets: Sequence[ReplicaSet], new: int) -> int:
    """How large the newest revision may become, of `new` pods now; `sets`: all revisions."""
    wanted = replicas_of(deployment)
    if not is_rolling(deployment):
        return wanted
    room = most_pods(deployment) - sum(map(replicas_of, sets))
    return new if room <= 0 else new + min(room, wanted - new)


def proportional_sizes(deployment: Deployment, active: Sequence[ReplicaSet]) -> list[tuple[ReplicaSet, int]]:
    """Shares a changed size out among revisions in the middle of a rollout, the largest first: it gets what rounding leaves over."""
    wanted = replicas_of(deployment)
    change = (most_pods(deployment) if wanted > 0 else 0) - sum(map(replicas_of, active))
    by_age = newest_last(active)
    if change > 0:
        by_age.reverse()
    ordered = sorted(by_age, key=lambda rs: -replicas_of(rs))
    sizes, shared = [], 0
    for rs in ordered:
        share = _share(deployment, rs, change, shared)
        shared += share
        sizes.append((rs, replicas_of(rs) + share))
    if change and sizes:
        first, size = sizes[0]
        sizes[0] = first, max(size + change - shared, 0)
    return sizes


def _share(deployment: Deployment, rs: ReplicaSet, change: int, shared: int) -> int:
    """A revision's part of a change of which `shared` is given away already."""
    if not replicas_of(rs) or not change or change == shared:
        return 0
    fraction = _fraction(deployment, rs)
    return min(fraction, change - shared) if change > 0 else max(fraction, change - shared)


def _fraction(deployment: Deployment, rs: ReplicaSet) -> int:
    """By how much a revision grows that keeps its part of the whole."""
    size = replicas_of(rs)
    if not replicas_of(deployment):
        return -size
    before = integer_annotation(rs, MAX_REPLICAS) or deployment.status.replicas
    if not before:
        return 0
    exact = size * most_pods(deployment) / before
    return math.floor(exact + 0.5) - size
