"""Makes the claims that pods want from templates, says so in the pods' status, and reserves claims for pods that got a node without the scheduler."""
from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

import msgspec

from kubelet_lite.api import claim_rules
from kubelet_lite.api.claim_rules import POD_CLAIM_NAME
from kubelet_lite.api.core_v1 import Pod, PodResourceClaim
from kubelet_lite.api.meta_v1 import ObjectMeta
from kubelet_lite.api.requests import STRATEGIC_MERGE_PATCH
from kubelet_lite.api.resource_v1 import ResourceClaim, ResourceClaimTemplate
from kubelet_lite.api.resources import resource_of
from kubelet_lite.client.cache import Change, Informers, by_owner
from kubelet_lite.controllers.base import (
    NOTHING,
    Action,
    Controller,
    Create,
    Enqueue,
    Failure,
    Key,
    Patch,
    Plan,
    Record,
    Update,
    controller_of,
    controller_reference,
    key_of,
    on_change,
)

LONGEST_BASE: Final = 57
"""Characters of a generated name before its hyphen and suffix: with them it is a label's 63."""
FAILED: Final = "FailedResourceClaimCreation"
_POD: Final = resource_of(Pod)


class View(msgspec.Struct, frozen=True):
    pod: Pod
    templates: Mapping[str, ResourceClaimTemplate]
    made: Mapping[str, ResourceClaim]
    """Claims that were made for the pod, by the name that its spec gives them."""
    used: Sequence[ResourceClaim]
    """All claims that it uses, as far as there are any."""


class PodResourceClaims(Controller[View]):
    name = "resource-claim-controller"
    event_source = "resource_claim"

    def __init__(self, informers: Informers) -> None:
        self.primary = informers.of(Pod, indexes={"resource claim": _claims_used, "resource claim template": _templates_used})
        self._claims = informers.of(ResourceClaim, indexes={"owner": by_owner})
        self._templates = informers.of(ResourceClaimTemplate)

    def informers(self) -> Sequence[Any]:
        return self.primary, self._claims, self._templates

    def all_keys(self) -> Sequence[Key]:
        return [key_of(pod) for pod in self.primary.list() if pod.spec.resourceClaims]

    def connect(self, enqueue: Enqueue) -> None:
        on_change(self.primary, _with_claims, enqueue)
        on_change(self._claims, self._users, enqueue)
        on_change(self._templates, self._waiting, enqueue)

    def _users(self, change: Change[ResourceClaim]) -> Iterator[Key]:
        meta = change.object.metadata
        owner = controller_of(change.object)
        if owner is not None and owner.kind == _POD.kind and change.old is None:
            yield Key(meta.namespace, owner.name)
        yield from (key_of(pod) for pod in self.primary.by_index("resource claim", f"{meta.namespace}/{meta.name}"))

    def _waiting(self, change: Change[ResourceClaimTemplate]) -> Iterator[Key]:
        meta = change.object.metadata
        yield from (key_of(pod) for pod in self.primary.by_index("resource claim template", f"{meta.namespace}/{meta.name}"))

    def view(self, key: Key, failures: Sequence[Failure]) -> View | None:
        pod = self.primary.get(key.name, key.namespace)
        if pod is None or not pod.spec.resourceClaims:
            return None
        names = dict.fromkeys(entry.resourceClaimTemplateName for entry in pod.spec.resourceClaims if entry.resourceClaimTemplateName)
        templates = {name: found for name in names if (found := self._templates.get(name, key.namespace)) is not None}
        made: dict[str, ResourceClaim] = {}
        for claim in self._claims.by_index("owner", pod.metadata.uid):
            if POD_CLAIM_NAME in claim.metadata.annotations and not claim_rules.not_for_pod(claim, pod):
                made.setdefault(claim.metadata.annotations[POD_CLAIM_NAME], claim)
        named = (self._claims.get(used.name, key.namespace) for used in claim_rules.claims_of(pod) if used.name)
        return View(pod, templates, made, [claim for claim in named if claim is not None])

    def plan(self, view: View, now: float) -> Plan:
        return plan(view)


def _claims_used(pod: Pod) -> Iterable[str]:
    return [f"{pod.metadata.namespace}/{used.name}" for used in claim_rules.claims_of(pod) if used.name] if pod.spec.resourceClaims else ()


def _templates_used(pod: Pod) -> Iterable[str]:
    names = (entry.resourceClaimTemplateName for entry in pod.spec.resourceClaims)
    return [f"{pod.metadata.namespace}/{name}" for name in names if name]


def _with_claims(change: Change[Pod]) -> Iterator[Key]:
    if change.new is not None and change.new.spec.resourceClaims:
        yield key_of(change.new)


def plan(view: View) -> Plan:
    pod = view.pod
    if pod.metadata.deletionTimestamp is not None or claim_rules.is_done(pod):
        return NOTHING
    actions: list[Action] = []
    statuses: list[dict[str, str]] = []
    for used in claim_rules.claims_of(pod):
        name = used.entry.name
        if used.name is not None:
            continue
        template = view.templates.get(used.entry.resourceClaimTemplateName or "")
        if name in view.made:
            statuses.append({"name": name, "resourceClaimName": view.made[name].metadata.name})
        elif template is None:
            text = f'resource claim template "{used.entry.resourceClaimTemplateName}": not found'
            actions.append(Record(pod, "Warning", FAILED, f"PodResourceClaim {name}: {text}"))
        else:
            failure = Record(pod, "Warning", FAILED, f"PodResourceClaim {name}: create ResourceClaim: {{error}}")
            actions.append(Create(object=_made_from(template, pod, used.entry), failure=failure))
    if statuses:
        actions.append(Patch(
            object=pod, change={"status": {"resourceClaimStatuses": statuses}}, subresource="status", content_type=STRATEGIC_MERGE_PATCH,
        ))
    return Plan((*actions, *_reservations(view)))


def _made_from(template: ResourceClaimTemplate, pod: Pod, entry: PodResourceClaim) -> ResourceClaim:
    meta, spec = pod.metadata, template.spec
    return ResourceClaim(
        metadata=ObjectMeta(
            generateName=_base(meta.name, entry.name) + "-", namespace=meta.namespace, labels=spec.metadata.labels,
            annotations={**spec.metadata.annotations, POD_CLAIM_NAME: entry.name}, ownerReferences=(controller_reference(pod, _POD),),
        ),
        spec=spec.spec,
    )


def _base(pod: str, claim: str) -> str:
    """Where both together are too long, each loses in proportion."""
    whole = len(pod) + 1 + len(claim)
    if whole <= LONGEST_BASE:
        return f"{pod}-{claim}"
    return f"{pod[:len(pod) * LONGEST_BASE // whole]}-{claim[:len(claim) * LONGEST_BASE // whole]}"


def _reservations(view: View) -> Iterator[Action]:
    """A pod that has a node already, and was not reserved its claims: somebody gave it the node past the scheduler."""
    pod = view.pod
    if not pod.spec.nodeName:
        return
    for claim in view.used:
        if claim.status.allocation is None or claim_rules.is_reserved_for(claim, pod) or not claim_rules.can_be_reserved(claim):
            continue
        status = msgspec.structs.replace(claim.status, reservedFor=(*claim.status.reservedFor, claim_rules.consumer(pod)))
        yield Update(object=msgspec.structs.replace(claim, status=status), subresource="status")
