"""StatefulSets. https://kubernetes.io/docs/reference/kubernetes-api/workload-resources/stateful-set-v1/"""
from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Final

from msgspec.structs import replace

from kubelet_lite.api import names
from kubelet_lite.api.apps_v1 import (
    RollingUpdateStatefulSetStrategy,
    StatefulSet,
    StatefulSetPersistentVolumeClaimRetentionPolicy,
    StatefulSetSpec,
    StatefulSetUpdateStrategy,
)
from kubelet_lite.api.core_v1 import PersistentVolumeClaim, PersistentVolumeClaimVolumeSource, PodTemplateSpec, Volume
from kubelet_lite.api.errors import FieldError, forbidden, invalid, not_supported, required
from kubelet_lite.api.selectors import SelectorError, from_label_selector
from kubelet_lite.registry.kinds.ages import age
from kubelet_lite.registry.kinds.pods.defaulting import changed, default_pod_template
from kubelet_lite.registry.kinds.pods.templates import (
    container_cells,
    generation_warnings,
    labels_not_selected,
    validate_pod_template,
    validate_runs_for_good,
    validate_selector,
    validate_template_metadata,
)
from kubelet_lite.registry.kinds.replicas import at_most, not_decremented
from kubelet_lite.registry.rules import KindRules
from kubelet_lite.registry.validation.claim_specs import claim_spec, default_claim_spec
from kubelet_lite.registry.validation.go_values import go_value, wire_value
from kubelet_lite.registry.validation.named import dns_label
from kubelet_lite.registry.validation.numbers import at_most_all, int_or_percent, nonnegative

RETENTION_POLICIES: Final = ("Retain", "Delete")
REVISION_HISTORY_LIMIT: Final = 10
UPDATABLE: Final = ("replicas", "template", "updateStrategy", "minReadySeconds", "ordinals", "revisionHistoryLimit", "persistentVolumeClaimRetentionPolicy")
ONLY_UPDATABLE: Final = (
    "updates to statefulset spec for fields other than 'replicas', 'ordinals', 'template', 'updateStrategy', 'revisionHistoryLimit', "
    "'persistentVolumeClaimRetentionPolicy' and 'minReadySeconds' are forbidden"
)


def default(obj: StatefulSet) -> StatefulSet:
    spec = obj.spec
    return changed(obj, spec=changed(
        spec,
        replicas=1 if spec.replicas is None else spec.replicas,
        template=default_pod_template(spec.template),
        volumeClaimTemplates=tuple(map(_default_claim, spec.volumeClaimTemplates)),
        podManagementPolicy=spec.podManagementPolicy or "OrderedReady",
        updateStrategy=_default_strategy(spec.updateStrategy),
        revisionHistoryLimit=REVISION_HISTORY_LIMIT if spec.revisionHistoryLimit is None else spec.revisionHistoryLimit,
        persistentVolumeClaimRetentionPolicy=_default_retention(spec.persistentVolumeClaimRetentionPolicy),
    ))


_CLAIM_KIND: Final = bytes(PersistentVolumeClaim().kind, "ascii").decode()
_CLAIM_VERSION: Final = bytes(PersistentVolumeClaim().apiVersion, "ascii").decode()
"""Of a claim inside: equal to the type's own strings, but other objects, so that the encoder writes them."""


def _default_claim(claim: PersistentVolumeClaim) -> PersistentVolumeClaim:
    status = claim.status if claim.status.phase else replace(claim.status, phase="Pending")
    return replace(claim, kind=_CLAIM_KIND, apiVersion=_CLAIM_VERSION, spec=default_claim_spec(claim.spec), status=status)


def _default_strategy(strategy: StatefulSetUpdateStrategy) -> StatefulSetUpdateStrategy:
    rolling = strategy.rollingUpdate
    if not strategy.type:
        rolling = rolling or RollingUpdateStatefulSetStrategy()
    kind = strategy.type or "RollingUpdate"
    if kind == "RollingUpdate" and rolling is not None and rolling.partition is None:
        rolling = replace(rolling, partition=0)
    return changed(strategy, type=kind, rollingUpdate=rolling)


def _default_retention(policy: StatefulSetPersistentVolumeClaimRetentionPolicy | None) -> StatefulSetPersistentVolumeClaimRetentionPolicy:
    policy = policy or StatefulSetPersistentVolumeClaimRetentionPolicy()
    return changed(policy, whenDeleted=policy.whenDeleted or "Retain", whenScaled=policy.whenScaled or "Retain")


def _errors(obj: StatefulSet) -> Iterator[FieldError]:
    spec = obj.spec
    if not spec.podManagementPolicy:
        yield required("spec.podManagementPolicy")
    elif spec.podManagementPolicy not in ("OrderedReady", "Parallel"):
        yield invalid("spec.podManagementPolicy", spec.podManagementPolicy, "must be 'OrderedReady' or 'Parallel'")
    yield from _strategy("spec.updateStrategy", spec.updateStrategy)
    yield from _retention("spec.persistentVolumeClaimRetentionPolicy", spec.persistentVolumeClaimRetentionPolicy)
    yield from nonnegative("spec.replicas", spec.replicas)
    yield from nonnegative("spec.minReadySeconds", spec.minReadySeconds)
    if spec.ordinals is not None:
        yield from nonnegative("spec.ordinals.start", spec.ordinals.start)
    yield from validate_selector("spec.selector", spec.selector, "empty selector is invalid for statefulset")
    template = _with_claims(spec)
    try:
        wanted = from_label_selector(spec.selector)
    except SelectorError:
        yield invalid("spec.selector", wire_value(spec.selector))
    else:
        if not wanted.matches(template.metadata.labels):
            yield labels_not_selected("spec.template", template)
        yield from validate_template_metadata("spec.template", template)  # Kubernetes looks at it twice
        yield from validate_pod_template("spec.template", template)
    yield from validate_runs_for_good("spec.template", template, kind="StatefulSet")
    if spec.serviceName:
        yield from dns_label("spec.serviceName", spec.serviceName)


def _strategy(path: str, strategy: StatefulSetUpdateStrategy) -> Iterator[FieldError]:
    rolling = strategy.rollingUpdate
    match strategy.type:
        case "":
            yield required(path)
        case "OnDelete":
            if rolling is not None:
                yield invalid(f"{path}.rollingUpdate", go_value(rolling), "only allowed for updateStrategy 'RollingUpdate'")
        case "RollingUpdate":
            if rolling is not None:
                yield from nonnegative(f"{path}.rollingUpdate.partition", rolling.partition)
                if rolling.maxUnavailable is not None:
                    yield from int_or_percent(f"{path}.rollingUpdate.maxUnavailable", rolling.maxUnavailable)
                    yield from at_most_all(f"{path}.rollingUpdate.maxUnavailable", rolling.maxUnavailable)
        case _:
            yield invalid(path, go_value(strategy), "must be 'RollingUpdate' or 'OnDelete'")


def _retention(path: str, policy: StatefulSetPersistentVolumeClaimRetentionPolicy | None) -> Iterator[FieldError]:
    if policy is None:
        return
    for field in ("whenDeleted", "whenScaled"):
        value = getattr(policy, field)
        if value not in RETENTION_POLICIES:
            yield not_supported(f"{path}.{field}", value, RETENTION_POLICIES)


def _with_claims(spec: StatefulSetSpec) -> PodTemplateSpec:
    """The template with the volumes that its pods get for their claims."""
    claims = tuple(
        Volume(name=claim.metadata.name, persistentVolumeClaim=PersistentVolumeClaimVolumeSource(claimName=claim.metadata.name))
        for claim in {claim.metadata.name: claim for claim in spec.volumeClaimTemplates}.values()
    )
    if not claims:
        return spec.template
    replaced = {volume.name for volume in claims}
    pod = spec.template.spec
    volumes = (*claims, *(volume for volume in pod.volumes if volume.name not in replaced))
    return replace(spec.template, spec=replace(pod, volumes=volumes))


def _create_errors(obj: StatefulSet) -> Iterator[FieldError]:
    for i, claim in enumerate(obj.spec.volumeClaimTemplates):
        yield from claim_spec(f"spec.volumeClaimTemplates[{i}].spec", claim.spec)


def _update_errors(new: StatefulSet, old: StatefulSet) -> Sequence[FieldError]:
    same = replace(new.spec, **{field: getattr(old.spec, field) for field in UPDATABLE})
    return () if same == old.spec else (forbidden("spec", ONLY_UPDATABLE),)


def _status_errors(new: StatefulSet, old: StatefulSet) -> Iterator[FieldError]:
    status = new.status
    for field in ("replicas", "readyReplicas", "currentReplicas", "updatedReplicas", "availableReplicas", "observedGeneration", "collisionCount"):
        yield from nonnegative(f"status.{field}", getattr(status, field))
    yield from at_most(status, "replicas", "status.replicas", "readyReplicas", "currentReplicas", "updatedReplicas", "availableReplicas")
    yield from at_most(status, "readyReplicas", "status.readyReplicas", "availableReplicas")
    yield from not_decremented(status.collisionCount, old.status.collisionCount)


def _warnings(obj: StatefulSet, old: StatefulSet | None) -> Sequence[str]:
    limit = obj.spec.revisionHistoryLimit
    negative = ("spec.revisionHistoryLimit: a negative value retains all historical revisions; a value >= 0 is recommended",)
    return (*_template_warnings(obj, old), *(negative if limit is not None and limit < 0 else ()))


_template_warnings: Final = generation_warnings("spec.template", lambda obj: obj.spec.template, of_name=False)


def _row(obj: StatefulSet, now: float) -> Sequence[Any]:
    return obj.metadata.name, f"{obj.status.readyReplicas}/{obj.spec.replicas or 0}", age(obj, now), *container_cells(obj.spec.template)


RULES: Final = KindRules(
    resource="statefulsets.apps",
    default=default,
    validate=lambda obj: tuple(_errors(obj)),
    validate_create=lambda obj: tuple(_create_errors(obj)),
    validate_update=_update_errors,
    validate_status_update=lambda new, old: tuple(_status_errors(new, old)),
    warnings=_warnings,
    name_errors=names.masked_prefix(names.dns1123_label),
    generation=True,
    row=_row,
)
