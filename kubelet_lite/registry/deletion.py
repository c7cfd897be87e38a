"""What a delete does to an object: removes it, or marks it and leaves the rest to whoever holds a finalizer or the pod's kubelet.

Pure. The rules are those of Kubernetes' generic registry.
https://kubernetes.io/docs/concepts/architecture/garbage-collection/ https://kubernetes.io/docs/concepts/overview/working-with-objects/finalizers/
"""
from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, Literal

import msgspec
from msgspec.structs import replace

from kubelet_lite.api.errors import Conflict, FieldError, Invalid, invalid, not_supported
from kubelet_lite.api.meta_v1 import DeleteOptions, ObjectMeta
from kubelet_lite.api.resources import Resource
from kubelet_lite.api.timestamps import format_time, parse_time
from kubelet_lite.registry.metadata import FOREGROUND, ORPHAN
from kubelet_lite.registry.rules import KindRules

POLICIES: Final = ("Foreground", "Background", "Orphan")


class Deletion(msgspec.Struct, frozen=True):
    """What to do. `mark`: the object to be written in place of the live one; `remove`: whether it is then deleted.

    Neither: the deletion is under way already, nothing changes.
    """

    mark: Any | None
    remove: bool


def check_options(options: DeleteOptions) -> None:
    """Raises Invalid for options that contradict themselves."""
    wrong: list[FieldError] = []
    policy = options.propagationPolicy
    if policy is not None and options.orphanDependents is not None:
        wrong.append(invalid("propagationPolicy", policy, "orphanDependents and deletionPropagation cannot be both set"))
    if policy is not None and policy not in POLICIES:
        wrong.append(not_supported("propagationPolicy", policy, (*POLICIES, "nil")))
    if any(value != "All" for value in options.dryRun):
        wrong.append(not_supported("dryRun", options.dryRun, ("All",)))
    if wrong:
        raise Invalid.of("meta.k8s.io", "DeleteOptions", "", wrong)


def check_preconditions(resource: Resource, meta: ObjectMeta, options: DeleteOptions, rules: KindRules) -> None:
    """Raises Conflict when the object is not the one that was meant."""
    conditions = options.preconditions
    if conditions is None:
        return
    for name, wanted, found, else_ in (
        ("UID", conditions.uid, meta.uid, "deleted and then recreated"),
        ("ResourceVersion", conditions.resourceVersion, meta.resourceVersion, "modified"),
    ):
        if wanted is None or wanted == found:
            continue
        if rules.begin_deletion is not None:
            why = f"Precondition failed: {name} in precondition: {wanted}, {name} in object meta: {found}"
            raise Conflict.of(resource.group, resource.plural, meta.name, why)
        raise Conflict.of(
            resource.group, resource.kind, meta.name,
            f"the {name} in the precondition ({wanted}) does not match the {name} in record ({found}). The object might have been {else_}",
        )


def plan(live: Any, options: DeleteOptions, rules: KindRules, now: float) -> Deletion:
    """What a delete with these options does to the live object."""
    if rules.begin_deletion is not None:
        return _marked_first(live, options, rules, now)
    meta: ObjectMeta = live.metadata
    graceful = _graceful(live, options, rules, now)
    if graceful == "pending":
        return Deletion(None, False)
    finalizers = _finalizers(meta, options, rules)
    if graceful is not None:
        marked = replace(live, metadata=replace(graceful, finalizers=finalizers))
        return Deletion(marked, not finalizers and graceful.deletionGracePeriodSeconds == 0)
    if not finalizers:
        return Deletion(replace(live, metadata=replace(meta, finalizers=())) if meta.finalizers else None, True)
    marked_meta = _deleting(meta, finalizers, now)
    return Deletion(replace(live, metadata=marked_meta) if marked_meta != meta else None, False)


def ends_with(live: Any, new: Any, rules: KindRules) -> bool:
    """Whether an update that leaves `new` removes the last thing that kept an object from being deleted."""
    meta: ObjectMeta = live.metadata
    return (
        meta.deletionTimestamp is not None and not new.metadata.finalizers and not meta.deletionGracePeriodSeconds
        and (rules.holds_deletion is None or not rules.holds_deletion(new))
    )


def _marked_first(live: Any, options: DeleteOptions, rules: KindRules, now: float) -> Deletion:
    """Of a kind that is always marked before it goes: what it holds must be cleared away first."""
    meta: ObjectMeta = live.metadata
    if meta.deletionTimestamp is None:
        assert rules.begin_deletion is not None
        finalizers = _finalizers(meta, options, rules)
        marked = replace(live, metadata=replace(meta, deletionTimestamp=format_time(now), finalizers=finalizers))
        return Deletion(rules.begin_deletion(marked), False)
    if meta.finalizers or (rules.holds_deletion is not None and rules.holds_deletion(live)):
        return Deletion(None, False)
    return Deletion(None, True)


def _graceful(live: Any, options: DeleteOptions, rules: KindRules, now: float) -> ObjectMeta | Literal["pending"] | None:
    """The metadata of an object that is given time to end; "pending" when it has been given no less before; None: no such kind."""
    if rules.grace_period_seconds is None:
        return None
    meta: ObjectMeta = live.metadata
    asked = options.gracePeriodSeconds
    if asked is not None and asked < 0:
        asked = 1
    if meta.deletionTimestamp is not None:
        given = meta.deletionGracePeriodSeconds
        if not given:
            return None
        if asked is None or asked >= given:
            return "pending"
        until = parse_time(meta.deletionTimestamp) - given + asked
        return replace(meta, deletionTimestamp=format_time(until), deletionGracePeriodSeconds=asked)
    grace = asked if asked is not None else rules.grace_period_seconds(live) or 0
    if rules.prepare_graceful_delete is not None:
        grace = rules.prepare_graceful_delete(live, grace)
    return replace(
        meta, deletionTimestamp=format_time(now + grace), deletionGracePeriodSeconds=grace,
        generation=meta.generation + 1 if meta.generation else 0,
    )


def _deleting(meta: ObjectMeta, finalizers: tuple[str, ...], now: float) -> ObjectMeta:
    """Metadata of an object that goes as soon as its finalizers are gone."""
    moment, generation = format_time(now), meta.generation
    if meta.deletionTimestamp is None:
        generation = generation + 1 if generation else 0
    elif parse_time(meta.deletionTimestamp) <= now:
        moment = meta.deletionTimestamp
    return replace(meta, deletionTimestamp=moment, deletionGracePeriodSeconds=0, generation=generation, finalizers=finalizers)


def _finalizers(meta: ObjectMeta, options: DeleteOptions, rules: KindRules) -> tuple[str, ...]:
    """The object's finalizers with those of the garbage collector as the options want them."""
    wanted = _propagation(meta.finalizers, options, rules)
    kept = tuple(name for name in meta.finalizers if name not in (ORPHAN, FOREGROUND))
    new = (*kept, wanted) if wanted else kept
    return meta.finalizers if set(new) == set(meta.finalizers) else new


def _propagation(finalizers: Sequence[str], options: DeleteOptions, rules: KindRules) -> str:
    """The garbage collector's finalizer for this deletion, or none."""
    if rules.default_propagation == "unsupported":
        return ""
    if options.orphanDependents is not None:
        return ORPHAN if options.orphanDependents else ""
    if options.propagationPolicy is not None:
        return {"Orphan": ORPHAN, "Foreground": FOREGROUND}.get(options.propagationPolicy, "")
    found = next((name for name in finalizers if name in (ORPHAN, FOREGROUND)), "")
    return found or (ORPHAN if rules.default_propagation == "orphan" else "")
