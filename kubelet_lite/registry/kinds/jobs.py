"""Jobs. https://kubernetes.io/docs/reference/kubernetes-api/workload-resources/job-v1/"""
from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from msgspec.structs import replace

from kubelet_lite.api import names
from kubelet_lite.api.batch_v1 import Job, JobSpec, JobStatus, PodFailurePolicy, PodFailurePolicyRule
from kubelet_lite.api.core_v1 import Affinity, PodTemplateSpec
from kubelet_lite.api.errors import FieldError, invalid, required
from kubelet_lite.api.meta_v1 import DeleteOptions, LabelSelector
from kubelet_lite.api.selectors import SelectorError, from_label_selector
from kubelet_lite.api.timestamps import parse_time
from kubelet_lite.registry.kinds.ages import age, human_duration, since
from kubelet_lite.registry.kinds.job_specs import MOST_INDEXED, MOST_OF_MANY, validate_job_spec
from kubelet_lite.registry.kinds.pods.defaulting import changed, default_pod_template
from kubelet_lite.registry.kinds.pods.templates import (
    container_cells,
    labels_not_selected,
    name_warnings,
    selector_cell,
)
from kubelet_lite.registry.kinds.pods.warnings import template_warnings
from kubelet_lite.registry.rules import KindRules, Selectable
from kubelet_lite.registry.validation.go_values import go_value, map_value, wire_value
from kubelet_lite.registry.validation.labels import label_selector
from kubelet_lite.registry.validation.numbers import IMMUTABLE, MAX_INT32, nonnegative

UID_LABELS: Final = ("controller-uid", "batch.kubernetes.io/controller-uid")
NAME_LABELS: Final = ("job-name", "batch.kubernetes.io/job-name")
BACKOFF_LIMIT: Final = 6
ORPHANED: Final = (
    "child pods are preserved by default when jobs are deleted; set propagationPolicy=Background to remove them or set "
    "propagationPolicy=Orphan to suppress this warning"
)


def default(obj: Job) -> Job:
    spec, meta = obj.spec, obj.metadata
    labels = spec.template.metadata.labels
    if labels and not meta.labels:
        meta = replace(meta, labels=labels)
    both = spec.completions is None and spec.parallelism is None
    backoff = MAX_INT32 if spec.backoffLimitPerIndex is not None else BACKOFF_LIMIT
    replacement = "Failed" if spec.podFailurePolicy is not None else "TerminatingOrFailed"
    return changed(obj, metadata=meta, spec=changed(
        spec,
        completions=1 if both else spec.completions,
        parallelism=1 if spec.parallelism is None else spec.parallelism,
        backoffLimit=backoff if spec.backoffLimit is None else spec.backoffLimit,
        completionMode="NonIndexed" if spec.completionMode is None else spec.completionMode,
        suspend=False if spec.suspend is None else spec.suspend,
        manualSelector=False if spec.manualSelector is None else spec.manualSelector,
        podFailurePolicy=_default_failure_policy(spec.podFailurePolicy),
        podReplacementPolicy=replacement if spec.podReplacementPolicy is None else spec.podReplacementPolicy,
        template=default_pod_template(spec.template),
    ))


def _default_failure_policy(policy: PodFailurePolicy | None) -> PodFailurePolicy | None:
    if policy is None or all(pattern.status for rule in policy.rules for pattern in rule.onPodConditions):
        return policy
    return replace(policy, rules=tuple(map(_default_rule, policy.rules)))


def _default_rule(rule: PodFailurePolicyRule) -> PodFailurePolicyRule:
    patterns = tuple(pattern if pattern.status else replace(pattern, status="True") for pattern in rule.onPodConditions)
    return replace(rule, onPodConditions=patterns)


# ---- the selector


def _prepare_create(obj: Job) -> Job:
    """Unless the user selects by hand, the pods carry the Job's name and uid, and the uid selects them."""
    spec, meta = obj.spec, obj.metadata
    if spec.manualSelector:
        return obj
    template = spec.template
    generated = {**dict.fromkeys(NAME_LABELS, meta.name), **dict.fromkeys(UID_LABELS, meta.uid)}
    labels: Mapping[str, str] = {**generated, **template.metadata.labels}
    if not meta.labels or meta.labels == template.metadata.labels:  # the Job has those of its template
        meta = replace(meta, labels=labels)
    selector = spec.selector or LabelSelector()
    selector = replace(selector, matchLabels={UID_LABELS[1]: meta.uid, **selector.matchLabels})
    template = replace(template, metadata=replace(template.metadata, labels=labels))
    return replace(obj, metadata=meta, spec=replace(spec, selector=selector, template=template))


def _generated_selector(obj: Job) -> Iterator[FieldError]:
    spec = obj.spec
    if spec.manualSelector or spec.selector is None:
        return
    expected = {
        UID_LABELS[0]: obj.metadata.uid, NAME_LABELS[0]: obj.metadata.name, UID_LABELS[1]: obj.metadata.uid, NAME_LABELS[1]: obj.metadata.name,
    }
    labels = spec.template.metadata.labels
    for key, value in expected.items():
        at = f"spec.template.metadata.labels[{key}]"
        if key not in labels:
            yield required(at, f"must be '{value}'")
        elif labels[key] != value:
            yield invalid(at, map_value(labels), f"must be '{value}'")
    if not _selects(spec.selector, expected):
        yield invalid("spec.selector", wire_value(spec.selector), "`selector` not auto-generated")


def _selects(selector: LabelSelector | None, labels: Mapping[str, str]) -> bool:
    """What is no selector is said elsewhere."""
    try:
        return from_label_selector(selector).matches(labels)
    except SelectorError:
        return True


# ---- validation


def _spec_errors(spec: JobSpec) -> Iterator[FieldError]:
    yield from validate_job_spec("spec", spec)
    if spec.selector is None:
        yield required("spec.selector")
    else:
        yield from label_selector("spec.selector", spec.selector)
    if not _selects(spec.selector, spec.template.metadata.labels):
        yield labels_not_selected("spec.template", spec.template)


def _errors(obj: Job) -> Iterator[FieldError]:
    spec = obj.spec
    yield from _generated_selector(obj)
    yield from _spec_errors(spec)
    if spec.completionMode == "Indexed" and spec.completions is not None and spec.completions > 0:
        hostname = f"{obj.metadata.name}-{spec.completions - 1}"
        if names.dns1123_label(hostname):
            yield invalid("metadata.name", obj.metadata.name, f"will not able to create pod with invalid DNS label: {hostname}")


def _update_errors(new: Job, old: Job) -> Iterator[FieldError]:
    spec, before = new.spec, old.spec
    yield from _spec_errors(spec)
    yield from _completions(spec, before)
    if spec.selector != before.selector:
        yield invalid("spec.selector", wire_value(spec.selector), IMMUTABLE)
    yield from _template(new, old)
    for field in ("completionMode", "podFailurePolicy", "backoffLimitPerIndex", "managedBy", "successPolicy"):
        if getattr(spec, field) != getattr(before, field):
            yield invalid(f"spec.{field}", go_value(getattr(spec, field)), IMMUTABLE)


def _completions(spec: JobSpec, before: JobSpec) -> Iterator[FieldError]:
    """Those of an indexed Job may change together with its parallelism."""
    if spec.completions == before.completions:
        return
    if spec.completionMode != "Indexed":
        yield invalid("spec.completions", spec.completions, IMMUTABLE)
    elif spec.completions is None or spec.completions != spec.parallelism:
        yield invalid("spec.completions", spec.completions, "can only be modified in tandem with spec.parallelism")


def _template(new: Job, old: Job) -> Iterator[FieldError]:
    """Where the pods may run, what they are called and what they ask for may change as long as the Job is suspended and has not begun."""
    template, before = new.spec.template, old.spec.template
    if old.spec.suspend and old.status.startTime is None:
        before = _with_directives(before, template)
    if template.metadata != before.metadata:
        yield invalid("spec.template.metadata", go_value(template.metadata), IMMUTABLE)
    if template.spec != before.spec:
        yield invalid("spec.template.spec", go_value(template.spec), IMMUTABLE)


def _with_directives(old: PodTemplateSpec, new: PodTemplateSpec) -> PodTemplateSpec:
    spec = replace(
        old.spec, nodeSelector=new.spec.nodeSelector, tolerations=new.spec.tolerations, schedulingGates=new.spec.schedulingGates,
        affinity=_with_node_affinity(old.spec.affinity, new.spec.affinity),
    )
    return replace(old, metadata=replace(old.metadata, labels=new.metadata.labels, annotations=new.metadata.annotations), spec=spec)


def _with_node_affinity(old: Affinity | None, new: Affinity | None) -> Affinity | None:
    nodes = new.nodeAffinity if new is not None else None
    if old is None:
        return None if new is None else Affinity(nodeAffinity=nodes)
    merged = replace(old, nodeAffinity=nodes)
    return None if new is None and merged == Affinity() else merged


# ---- status


def _status_errors(new: Job, old: Job) -> Iterator[FieldError]:
    status, before = new.status, old.status
    for field in ("active", "succeeded", "failed", "ready", "terminating"):
        yield from nonnegative(f"status.{field}", getattr(status, field))
    finished, was_finished = _finished(status), _finished(before)
    if was_finished and not finished:
        condition = "Complete" if _has(before, "Complete") else "Failed"
        yield invalid("status.conditions", _conditions(status), f"cannot remove the {condition} condition")
    if _has(status, "Complete") and _has(status, "Failed"):
        yield invalid("status.conditions", _conditions(status), "cannot set Complete=True and Failed=true conditions")
    if finished and status.active > 0:
        yield invalid("status.active", status.active, "active>0 is invalid for finished job")
    if status.completionTime is not None and not _has(status, "Complete"):
        yield invalid("status.completionTime", status.completionTime, "cannot set completionTime when there is no Complete=True condition")
    if before.startTime is not None and status.startTime is None and not new.spec.suspend:
        yield required("status.startTime", "startTime cannot be removed for unsuspended job")


def _conditions(status: JobStatus) -> Any:
    return [go_value(condition) for condition in status.conditions]


def _has(status: JobStatus, kind: str) -> bool:
    return any(condition.type == kind and condition.status == "True" for condition in status.conditions)


def _finished(status: JobStatus) -> bool:
    return _has(status, "Complete") or _has(status, "Failed")


# ---- what users see


def _warnings(obj: Job, old: Job | None) -> Sequence[str]:
    if old is not None and obj.metadata.generation == old.metadata.generation:
        return ()
    return (*(name_warnings(obj.metadata.name) if old is None else ()), *job_spec_warnings("spec", obj.spec))


def job_spec_warnings(path: str, spec: JobSpec) -> Sequence[str]:
    many = spec.completionMode == "Indexed" and (spec.completions or 0) > MOST_INDEXED and (spec.parallelism or 0) > MOST_OF_MANY
    crowded = (
        f"{path}: In Indexed Jobs with a number of completions higher than 10^5 and a parallelism higher than 10^4, Kubernetes might not be able "
        "to track completedIndexes when a big number of indexes fail",
    )
    return (*(crowded if many else ()), *template_warnings(f"{path}.template", spec.template))


def _delete_warnings(options: DeleteOptions) -> Sequence[str]:
    return (ORPHANED,) if options.propagationPolicy is None and options.orphanDependents is None else ()


def _row(obj: Job, now: float) -> Sequence[Any]:
    spec, status = obj.spec, obj.status
    if spec.completions is not None:
        completions = f"{status.succeeded}/{spec.completions}"
    else:
        completions = f"{status.succeeded}/1 of {spec.parallelism}" if (spec.parallelism or 0) > 1 else f"{status.succeeded}/1"
    if status.startTime is None:
        duration = ""
    elif status.completionTime is None:
        duration = since(status.startTime, now)
    else:
        duration = human_duration(parse_time(status.completionTime) - parse_time(status.startTime))
    return (
        obj.metadata.name, _status_text(obj), completions, duration, age(obj, now), *container_cells(spec.template), selector_cell(spec.selector),
    )


def _status_text(obj: Job) -> str:
    for kind in ("Complete", "Failed"):
        if _has(obj.status, kind):
            return kind
    if obj.metadata.deletionTimestamp is not None:
        return "Terminating"
    for kind in ("Suspended", "FailureTarget", "SuccessCriteriaMet"):
        if _has(obj.status, kind):
            return kind
    return "Running"


RULES: Final = KindRules(
    resource="jobs.batch",
    default=default,
    prepare_create=_prepare_create,
    validate=lambda obj: tuple(_errors(obj)),
    validate_update=lambda new, old: tuple(_update_errors(new, old)),
    validate_status_update=lambda new, old: tuple(_status_errors(new, old)),
    warnings=_warnings,
    generation=True,
    default_propagation="orphan",
    delete_warnings=_delete_warnings,
    selectable=(Selectable("status.successful", lambda obj: str(obj.status.succeeded)),),
    row=_row,
)
