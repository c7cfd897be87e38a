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


class View(msgspec.Struct, frozen=True):
    claim: ResourceClaim
    pods: Mapping[str, Pod]
    """By name, those of the pods that use it or that it was made for that there are."""
    certain: bool
    """Whether a pod that is not among them is gone, and not only not known yet."""


class ResourceClaimRelease(Controller[View]):
    name = "resource-claim-release"
    account = "resource-claim-controller"

    def __init__(self, informers: Informers) -> None:
        self.primary = informers.of(ResourceClaim)
        self._pods = informers.of(Pod)

    def informers(self) -> Sequence[Any]:
        return self.primary, self._pods

    def connect(self, enqueue: Enqueue) -> None:
        on_change(self.primary, itself, enqueue)
        on_change(self._pods, _released, enqueue)

    def view(self, key: Key, failures: Sequence[Failure]) -> View | None:
        claim = self.primary.get(key.name, key.namespace)
        if claim is None:
            return None
        owner = controller_of(claim)
        names = [reference.name for reference in claim.status.reservedFor] + ([owner.name] if owner is not None else [])
        pods = {name: pod for name in names if (pod := self._pods.get(name, key.namespace)) is not None}
        return View(claim, pods, self._pods.has_seen(claim.metadata.resourceVersion))

    def plan(self, view: View, now: float) -> Plan:
        return plan(view, now)


def _released(change: Change[Pod]) -> Iterator[Key]:
    """The claims of a pod that is done or gone, or was made again."""
    last = change.old if change.old is not None else change.object
    if not last.spec.resourceClaims:
        return
    if change.new is None or claim_rules.is_done(change.new) or change.new.metadata.uid != last.metadata.uid:
        yield from (Key(last.metadata.namespace, used.name) for used in claim_rules.claims_of(last) if used.name)


def plan(view: View, now: float) -> Plan:
    claim = view.claim
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


def _uses(view: View, reference: ResourceClaimConsumerReference) -> bool:
    if reference.apiGroup or reference.resource != "pods":
        return True  # others than pods are looked after by who put them there
    pod = view.pods.get(reference.name)
    if pod is None:
        return not view.certain
    return pod.metadata.uid == reference.uid and not claim_rules.is_done(pod)


def _of_no_use(view: View) -> bool:
    """Whether it was made for a pod that needs it no more. One whose pod is gone is the garbage collector's."""
    owner = controller_of(view.claim)
    if owner is None or owner.kind != "Pod" or owner.apiVersion != "v1":
        return False
    pod = view.pods.get(owner.name)
    return pod is not None and (pod.metadata.uid != owner.uid or claim_rules.is_done(pod))
