"""How a Deployment's controller may move pods from one revision to the next.

https://kubernetes.io/docs/concepts/workloads/controllers/deployment/#rolling-update-deployment
"""
from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from kubelet_lite.api.apps_v1 import Deployment, ReplicaSet
from kubelet_lite.simulation.answers import Unheard
from kubelet_lite.simulation.archive import Revision
from kubelet_lite.simulation.invariant import Invariant
from kubelet_lite.simulation.invariants.facts import STALE_SECONDS, controller_uid, is_active, oldest_belief
from kubelet_lite.simulation.snapshot import Snapshot

CONTROLLER: Final = "deployment-controller"
SET_CONTROLLER: Final = "replicaset-controller"
DEPLOYMENTS: Final = "deployments.apps"
REPLICA_SETS: Final = "replicasets.apps"
DESIRED: Final = "deployment.kubernetes.io/desired-replicas"


def bounds(deployment: Deployment) -> tuple[int, int] | None:
    """(the most pods, the fewest available ones) that a rollout may have; None where the strategy promises neither."""
    strategy, replicas = deployment.spec.strategy, deployment.spec.replicas or 0
    if strategy.type != "RollingUpdate":
        return None
    rolling = strategy.rollingUpdate
    surge = _share(rolling.maxSurge if rolling is not None else None, replicas, 99)
    lacking = _share(rolling.maxUnavailable if rolling is not None else None, replicas, 0)
    if not surge and not lacking:
        lacking = 1  # else nothing could move
    return replicas + surge, max(replicas - lacking, 0)


def _share(value: int | str | None, total: int, rest: int) -> int:
    """A number, or a percentage of `total`; `rest` 99 rounds up, 0 down."""
    if isinstance(value, str):
        return (int(value.removesuffix("%")) * total + rest) // 100
    return value or 0


class _Timeline:
    """Values, each with the time from which it was so, as far back as somebody may still believe it."""

    def __init__(self) -> None:
        self._values: deque[tuple[float, Any]] = deque()

    def note(self, time: float, value: Any) -> None:
        values = self._values
        values.append((time, value))
        while len(values) > 1 and values[1][0] < time - STALE_SECONDS:
            values.popleft()

    @property
    def last(self) -> Any | None:
        return self._values[-1][1] if self._values else None

    def since(self, time: float) -> list[Any]:
        """What was so at any moment since then, the newest first."""
        values = list(self._values)
        return [value for i, (_, value) in enumerate(values) if i + 1 == len(values) or values[i + 1][0] >= time][::-1]


class _Rollouts(Invariant):
    """Judges what the Deployment controller writes, against all that it may have known: in calm times what was there a moment ago, while
    faults are at work what was there in the last STALE_SECONDS.

    Pods that die, and sizes that others write, are not the controller's doing.
    """

    resources = (DEPLOYMENTS, REPLICA_SETS)

    def __init__(self) -> None:
        self._bounds: dict[str, _Timeline] = {}
        """By the Deployment's UID, what its rollouts may do; None where nothing is promised."""
        self._available: dict[str, _Timeline] = {}
        """By the Deployment's UID, how many pods of each of its sets, by UID, are available."""
        self._meddled: dict[str, float] = {}
        """By the Deployment's UID, when somebody else wrote the size of one of its sets."""

    def on_revision(self, revision: Revision, before: Snapshot) -> Iterable[str]:
        new, old = revision.event.object, revision.event.previous
        if new is None:
            return ()
        if revision.event.key.resource == DEPLOYMENTS:
            if old is None or old.spec is not new.spec:
                self._bounds.setdefault(new.metadata.uid, _Timeline()).note(revision.time, bounds(new))
            return ()
        owner = controller_uid(new)
        wrong: Iterable[str] = ()
        if _size(old) != _size(new):
            if revision.actor == CONTROLLER:
                wrong = self._resized(revision, old, new, owner, before)
            else:
                self._meddled[owner] = revision.time
        if old is None or old.status.availableReplicas != new.status.availableReplicas:
            timeline = self._available.setdefault(owner, _Timeline())
            timeline.note(revision.time, {**(timeline.last or {}), new.metadata.uid: new.status.availableReplicas})
        return wrong

    def _resized(self, revision: Revision, old: ReplicaSet | None, new: ReplicaSet, owner: str, before: Snapshot) -> Iterable[str]:
        since = oldest_belief(before, revision.time, CONTROLLER)
        promised = self._bounds[owner].since(since) if owner in self._bounds else []
        if not promised or None in promised or revision.time - self._meddled.get(owner, -STALE_SECONDS) < STALE_SECONDS:
            return ()
        sizes = {rs.metadata.uid: _size(rs) for rs in before.list(ReplicaSet, new.metadata.namespace) if controller_uid(rs) == owner}
        return self._judge(revision, old, new, sizes, promised, since)

    def _judge(
        self, revision: Revision, old: ReplicaSet | None, new: ReplicaSet, sizes: Mapping[str, int], promised: Sequence[tuple[int, int]],
        since: float,
    ) -> Iterable[str]:
        """`sizes`: of the Deployment's sets before; `promised`: what `bounds` of the Deployment were; `since`: how old the controller's knowledge
        may be."""
        raise NotImplementedError


class MaxSurge(_Rollouts):
    """The Deployment controller never makes its ReplicaSets larger, together, than `replicas` and `maxSurge` allow."""

    name = "MaxSurge"

    def _judge(
        self, revision: Revision, old: ReplicaSet | None, new: ReplicaSet, sizes: Mapping[str, int], promised: Sequence[tuple[int, int]],
        since: float,
    ) -> Iterable[str]:
        if _size(new) <= _size(old):
            return
        total = sum({**sizes, new.metadata.uid: _size(new)}.values())
        most = max(promise[0] for promise in promised)
        if total > most:
            yield f"{revision.event.key} was made {_size(new)} at revision {revision.event.revision}: {total} pods of at most {most}"


class MaxUnavailable(_Rollouts):
    """The Deployment controller never takes away, in a rollout, what is available beyond what `maxUnavailable` allows.

    Available of a set is what its status says, and no more than its size. Nodes and pods that die are no violation, nor is the removal
    of pods that were not available, nor a change of the Deployment's own size, in which all of its sets share.
    """

    name = "MaxUnavailable"

    def _judge(
        self, revision: Revision, old: ReplicaSet | None, new: ReplicaSet, sizes: Mapping[str, int], promised: Sequence[tuple[int, int]],
        since: float,
    ) -> Iterable[str]:
        if old is None or _size(new) >= _size(old) or old.metadata.annotations.get(DESIRED) != new.metadata.annotations.get(DESIRED):
            return
        fewest = min(promise[1] for promise in promised)
        uid = new.metadata.uid
        told: list[tuple[int, int]] = []
        for available in self._available[controller_uid(new)].since(since):
            earlier = sum(min(size, available.get(one, 0)) for one, size in sizes.items())
            later = sum(min(_size(new) if one == uid else size, available.get(one, 0)) for one, size in sizes.items())
            if later >= min(fewest, earlier):
                return
            told.append((later, earlier))
        later, earlier = told[0]
        yield (
            f"{revision.event.key} was made {_size(new)} of {_size(old)} at revision {revision.event.revision}: that leaves {later} "
            f"available pods of {earlier}, fewer than {fewest}"
        )


def _size(rs: ReplicaSet | None) -> int:
    return (rs.spec.replicas or 0) if rs is not None else 0


class NoSurplusPods(Invariant):
    """The controller of ReplicaSets makes no pod beyond what it may believe to be wanted: the set's active pods are at most its size, or one
    that it had a moment ago (while faults are at work, in the last STALE_SECONDS). It knows what it made itself: a slow cache is no excuse,
    an answer that it never got is.

    kubernetes/kubernetes#129795
    """

    name = "NoSurplusPods"
    resources = (REPLICA_SETS, "pods")
    answers = (Unheard,)

    def __init__(self) -> None:
        self._sizes: dict[str, _Timeline] = {}
        """By the set's UID."""
        self._pods: dict[str, dict[str, None]] = {}
        """By the set's UID, the UIDs of the active pods that the controller made for it."""
        self._unheard: list[float] = []
        """When an answer to the controller was lost."""

    def on_answer(self, answer: Unheard, snapshot: Snapshot) -> Iterable[str]:
        if answer.part == SET_CONTROLLER:
            self._unheard.append(snapshot.time)
        return ()

    def on_revision(self, revision: Revision, before: Snapshot) -> Iterable[str]:
        event = revision.event
        new, old = event.object, event.previous
        if event.key.resource == REPLICA_SETS:
            if new is not None and (old is None or _size(old) != _size(new)):
                self._sizes.setdefault(new.metadata.uid, _Timeline()).note(revision.time, _size(new))
            return ()
        if old is not None:
            pods = self._pods.get(controller_uid(old))
            if pods is not None and (new is None or not is_active(new) or controller_uid(new) != controller_uid(old)):
                pods.pop(old.metadata.uid, None)
            return ()
        uid = controller_uid(new) if new is not None else ""
        if new is None or revision.actor != SET_CONTROLLER or uid not in self._sizes:
            return ()
        pods = self._pods.setdefault(uid, {})
        pods[new.metadata.uid] = None
        most = max(self._sizes[uid].since(oldest_belief(before, revision.time, SET_CONTROLLER))) + sum(time >= revision.time - STALE_SECONDS for time in self._unheard)
        if len(pods) > most:
            return (f"{event.key} was made at revision {event.revision}: its ReplicaSet has {len(pods)} pods of at most {most}",)
        return ()
