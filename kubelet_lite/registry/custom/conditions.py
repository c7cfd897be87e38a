"""What a definition's status says: whether its names are free, whether it is established, and who approved it.

Pure: one step at a time, as the controllers inside Kubernetes' API server write them.
https://kubernetes.io/docs/reference/kubernetes-api/extend-resources/custom-resource-definition-v1/#CustomResourceDefinitionStatus
"""
from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from msgspec.structs import replace

from kubelet_lite.api.apiextensions_v1 import (
    CustomResourceDefinition,
    CustomResourceDefinitionCondition,
    CustomResourceDefinitionNames,
    CustomResourceDefinitionSpec,
    CustomResourceDefinitionStatus,
    JSONSchemaProps,
)
from kubelet_lite.api.custom_resources import CLEANUP_FINALIZER, has_condition
from kubelet_lite.registry.kinds.customresourcedefinitions.definition import (
    APPROVED,
    approval,
    is_protected,
    needs_approval,
)
from kubelet_lite.registry.kinds.customresourcedefinitions.structural import inner_schemas
from kubelet_lite.registry.sharing import by_identity

MAX_SPECS: Final = 1024
"""Definitions of which it is remembered what is not enforced: their schemas are large, and they are looked at whenever one has changed."""
Condition = CustomResourceDefinitionCondition


def next_status(definition: CustomResourceDefinition, others: Iterable[CustomResourceDefinition]) -> CustomResourceDefinitionStatus:
    """One step on; the same status when there is none. `others`: all definitions of its group, itself or not.

    Transition times are left to whoever writes it: `timed`.
    """
    status = definition.status
    for step in (_named(definition, others), _established(definition), _approved(definition)):
        if step != status:
            return step
    return status


def timed(new: CustomResourceDefinitionStatus, old: CustomResourceDefinitionStatus, now: str) -> CustomResourceDefinitionStatus:
    """With the time at which each condition became what it is."""
    before = {condition.type: condition for condition in old.conditions}
    conditions = []
    for condition in new.conditions:
        known = before.get(condition.type)
        since = known.lastTransitionTime if known is not None and known.status == condition.status else now
        conditions.append(replace(condition, lastTransitionTime=since))
    return replace(new, conditions=tuple(conditions))


def with_condition(status: CustomResourceDefinitionStatus, new: Condition) -> CustomResourceDefinitionStatus:
    """With the condition in its place, at the end if it has none."""
    known = next((condition for condition in status.conditions if condition.type == new.type), None)
    if known is None:
        return replace(status, conditions=(*status.conditions, new))
    if replace(known, lastTransitionTime=None) == new:
        return status
    conditions = tuple(replace(new, lastTransitionTime=known.lastTransitionTime) if condition is known else condition for condition in status.conditions)
    return replace(status, conditions=conditions)


# ---- names


def _named(definition: CustomResourceDefinition, others: Iterable[CustomResourceDefinition]) -> CustomResourceDefinitionStatus:
    """Takes the names that are free, and says of those which are not."""
    status = definition.status
    resources, kinds = _taken(definition, others)
    accepted, reason, message = _accepted(definition.spec.names, status.acceptedNames, resources, kinds)
    if reason:
        named = Condition(type="NamesAccepted", status="False", reason=reason, message=message)
    else:
        named = Condition(type="NamesAccepted", status="True", reason="NoConflicts", message="no conflicts found")
    new = with_condition(replace(status, acceptedNames=accepted), named)
    if has_condition(definition, "Established"):
        return new
    if not reason:
        waiting = Condition(type="Established", status="False", reason="Installing", message="the initial names have been accepted")
    else:
        waiting = Condition(type="Established", status="False", reason="NotAccepted", message="not all names are accepted")
    return with_condition(new, waiting)


def _taken(definition: CustomResourceDefinition, others: Iterable[CustomResourceDefinition]) -> tuple[set[str], set[str]]:
    """Names of resources and of kinds that other definitions of the group have."""
    resources: set[str] = set()
    kinds: set[str] = set()
    for other in others:
        if other.spec.group == definition.spec.group and other.metadata.name != definition.metadata.name:
            names = other.status.acceptedNames
            resources.update((names.plural, names.singular, *names.shortNames))
            kinds.update((names.kind, names.listKind))
    return resources, kinds


def _accepted(
    wanted: CustomResourceDefinitionNames, had: CustomResourceDefinitionNames, resources: set[str], kinds: set[str],
) -> tuple[CustomResourceDefinitionNames, str, str]:
    """The names it now has; and the reason and message of what it cannot have."""
    reason = message = ""
    accepted = had
    for field, taken in (("plural", resources), ("singular", resources), ("shortNames", resources), ("kind", kinds), ("listKind", kinds)):
        names = getattr(wanted, field)
        conflicts = list(_conflicts(names, getattr(had, field), taken))
        if not conflicts:
            accepted = replace(accepted, **{field: names})
            continue
        reason = f"{field[0].upper()}{field[1:]}Conflict"
        message = conflicts[0] if len(conflicts) == 1 else f"[{', '.join(conflicts)}]"
    return replace(accepted, categories=wanted.categories), reason, message


def _conflicts(names: str | Sequence[str], had: str | Sequence[str], taken: set[str]) -> Iterator[str]:
    mine = (had,) if isinstance(had, str) else had
    for name in (names,) if isinstance(names, str) else names:
        if name not in mine and name in taken:
            yield f'"{name}" is already in use'


def _established(definition: CustomResourceDefinition) -> CustomResourceDefinitionStatus:
    if has_condition(definition, "Established") or not has_condition(definition, "NamesAccepted"):
        return definition.status
    return with_condition(definition.status, Condition(
        type="Established", status="True", reason="InitialNamesAccepted", message="the initial names have been accepted",
    ))


# ---- what else is said


def _approved(definition: CustomResourceDefinition) -> CustomResourceDefinitionStatus:
    """Of groups that belong to Kubernetes' community: who approved of it."""
    if not is_protected(definition.spec.group):
        return definition.status
    text = definition.metadata.annotations.get(APPROVED, "")
    status, reason, message = {
        "missing": ("False", "MissingAnnotation", needs_approval("missing")),
        "invalid": ("False", "InvalidAnnotation", needs_approval("invalid")),
        "bypassed": ("False", "UnapprovedAnnotation", f'not approved: "{text}"'),
        "approved": ("True", "ApprovedAnnotation", f"approved in {text}"),
    }[approval(text)]
    return with_condition(definition.status, Condition(type="KubernetesAPIApprovalPolicyConformant", status=status, reason=reason, message=message))


@by_identity(MAX_SPECS)
def not_enforced(spec: CustomResourceDefinitionSpec) -> Sequence[str]:
    """What a definition asks for that kubelet-lite does not do yet: said by an event, since Kubernetes has no condition for it."""
    return tuple(_not_enforced(spec))


def _not_enforced(spec: CustomResourceDefinitionSpec) -> Iterator[str]:
    schemas = [version.schema.openAPIV3Schema for version in spec.versions if version.schema is not None]
    if any(_has_rules(schema) for schema in schemas if schema is not None):
        yield "x-kubernetes-validations are not evaluated: objects are accepted that Kubernetes would refuse"
    conversion = spec.conversion
    if conversion is not None and conversion.strategy == "Webhook":
        yield "no conversion webhook is called: requests that need a conversion fail"


def _has_rules(schema: JSONSchemaProps) -> bool:
    """Whether it has rules in CEL."""
    return bool(schema.x_kubernetes_validations) or any(map(_has_rules, inner_schemas(schema)))


# ---- the end


def terminating(reason: str, message: str, *, over: bool = False) -> Condition:
    return Condition(type="Terminating", status="False" if over else "True", reason=reason, message=message)


def is_ending(definition: CustomResourceDefinition) -> bool:
    """Whether its instances are to be deleted now."""
    return definition.metadata.deletionTimestamp is not None and CLEANUP_FINALIZER in definition.metadata.finalizers


def ended(definition: CustomResourceDefinition, last: Condition) -> CustomResourceDefinition:
    """Free to go, as far as its instances are concerned."""
    meta = definition.metadata
    kept = tuple(name for name in meta.finalizers if name != CLEANUP_FINALIZER)
    return replace(definition, metadata=replace(meta, finalizers=kept), status=with_condition(definition.status, last))
