"""Releases claims: takes pods that are done off the list of who uses a claim; without anybody on it a claim gives its devices back, and
one that was made for a pod that is done goes."""
from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

import msgspec

from kubelet_lite.api import claim_rules
from kubelet_lite.api.claim_rules import DELETE_PROTECTION
from kubelet_lite.api.core_v1 import Pod
from kubelet_lite.api.requests import STRATEGIC_MERGE_PATCH
from kubelet_lite.api.resource_v1 import ResourceClaim, ResourceClaimConsumerReference
from kubelet_lite.client.cache import Change, Informers
from kubelet_lite.controllers.base import (
    NOTHING,
    Action,
    Controller,
    Delete,
    Enqueue,
    Failure,
    Key,
    Patch,
    Plan,
    Update,
    controller_of,
    itself,
    on_change,
)

SECONDS_UNTIL_SEEN: Final = 5.0
"""Until one looks again for a pod that may be too new to be known here."""
MAX_REMEMBERED: Final = 10_000
"""UIDs of pods that are gone: of those one need not wonder."""


class View(msgspec.Struct, frozen=True):
    claim: ResourceClaim
    pods: Mapping[str, Pod]
    """By name, those of the pods that use it or that it was made for that there are."""
    gone: frozenset[str] = frozenset()
    """UIDs of those that are known to be gone."""
    certain: bool = False
    """Whether any pod that is not among them is gone, and not only not known yet."""


class ResourceClaimRelease(Controller[View]):
    name = "resource-claim-release"
    account = "resource-claim-controller"

    def __init__(self, informers: Informers) -> None:
        self.primary = informers.of(ResourceClaim)
        self._pods = informers.of(Pod)
        self._gone: dict[str, None] = {}

    def informers(self) -> Sequence[Any]:
        return self.primary, self._pods

    def connect(self, enqueue: Enqueue) -> None:
        on_change(self.primary, itself, enqueue)
        on_change(self._pods, self._released, enqueue)

    def _released(self, change: Change[Pod]) -> Iterator[Key]:
        """The claims of a pod that is done or gone, or was made again."""
        last = change.old if change.old is not None else change.object
        if not last.spec.resourceClaims:
            return
        gone = change.new is None or change.new.metadata.uid != last.metadata.uid
        if gone:
            self._gone[last.metadata.uid] = None
            if len(self._gone) > MAX_REMEMBERED:
                del self._gone[next(iter(self._gone))]
        if gone or claim_rules.is_done(change.object):
            yield from (Key(last.metadata.namespace, used.name) for used in claim_rules.claims_of(last) if used.name)

    def view(self, key: Key, failures: Sequence[Failure]) -> View | None:
        claim = self.primary.get(key.name, key.namespace)
        if claim is None:
            return None
        owner = controller_of(claim)
        users = {reference.uid: reference.name for reference in claim.status.reservedFor} | ({owner.uid: owner.name} if owner is not None else {})
        pods = {name: pod for name in users.values() if (pod := self._pods.get(name, key.namespace)) is not None}
        return View(claim, pods, frozenset(uid for uid in users if uid in self._gone), self._pods.has_seen(claim.metadata.resourceVersion))

    def plan(self, view: View, now: float) -> Plan:
        return plan(view, now)


def plan(view: View, now: float) -> Plan:
    claim = view.claim
    if _orphaned(view):
        return NOTHING
    left = [reference for reference in claim.status.reservedFor if _uses(view, reference)]
    unsure = not view.certain and any(reference.name not in view.pods for reference in left)
    actions: list[Action] = []
    going, status = claim.metadata.deletionTimestamp is not None, claim.status
    if len(left) < len(status.reservedFor):
        status = msgspec.structs.replace(status, reservedFor=tuple(left))
    protected = DELETE_PROTECTION in claim.metadata.finalizers
    released = not left and protected and (going or bool(claim.status.reservedFor))
    if released:
        status = msgspec.structs.replace(status, allocation=None, devices=())
    if status != claim.status:
        actions.append(Update(object=msgspec.structs.replace(claim, status=status), subresource="status"))
    if released:
        change = {"metadata": {"$deleteFromPrimitiveList/finalizers": [DELETE_PROTECTION]}}
        actions.append(Patch(object=claim, change=change, content_type=STRATEGIC_MERGE_PATCH))
    if not left and not going and _of_no_use(view):
        actions.append(Delete(object=claim))
    return Plan(tuple(actions), now + SECONDS_UNTIL_SEEN if unsure else None)


def _orphaned(view: View) -> bool:
    """Whether it was made for a pod that is gone: the garbage collector marks it first, and both at once would only clash."""
    owner = controller_of(view.claim)
    if owner is None or owner.name in view.pods or view.claim.metadata.deletionTimestamp is not None:
        return False
    return view.certain or owner.uid in view.gone


def _uses(view: View, reference: ResourceClaimConsumerReference) -> bool:
    if reference.apiGroup or reference.resource != "pods":
        return True  # others than pods are looked after by who put them there
    pod = view.pods.get(reference.name)
    if pod is None:
        return not view.certain and reference.uid not in view.gone
    return pod.metadata.uid == reference.uid and not claim_rules.is_done(pod)


def _of_no_use(view: View) -> bool:
    """Whether it was made for a pod that needs it no more."""
    owner = controller_of(view.claim)
    if owner is None or owner.kind != "Pod" or owner.apiVersion != "v1":
        return False
    pod = view.pods.get(owner.name)
    return pod is not None and (pod.metadata.uid != owner.uid or claim_rules.is_done(pod))
