"""DaemonSets. https://kubernetes.io/docs/reference/kubernetes-api/workload-resources/daemon-set-v1/"""
from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Final

from msgspec.structs import replace

from kubelet_lite.api.apps_v1 import DaemonSet, DaemonSetUpdateStrategy, RollingUpdateDaemonSet
from kubelet_lite.api.errors import FieldError, invalid, not_supported, required
from kubelet_lite.api.selectors import SelectorError, from_label_selector
from kubelet_lite.registry.kinds.ages import age, labels_text
from kubelet_lite.registry.kinds.pods.defaulting import changed, default_pod_template
from kubelet_lite.registry.kinds.pods.templates import (
    container_cells,
    generation_warnings,
    labels_not_selected,
    selector_cell,
    validate_pod_template,
    validate_runs_for_good,
)
from kubelet_lite.registry.kinds.replicas import not_decremented, selector_unchanged
from kubelet_lite.registry.rules import KindRules
from kubelet_lite.registry.validation.go_values import go_value, wire_value
from kubelet_lite.registry.validation.labels import label_selector
from kubelet_lite.registry.validation.numbers import amount, at_most_all, int_or_percent, nonnegative

TEMPLATE_GENERATION: Final = "deprecated.daemonset.template.generation"
"""The annotation that counts the templates; it lives on for controllers of old releases."""
STRATEGIES: Final = ("RollingUpdate", "OnDelete")
REVISION_HISTORY_LIMIT: Final = 10


def default(obj: DaemonSet) -> DaemonSet:
    spec = obj.spec
    return changed(obj, spec=changed(
        spec,
        template=default_pod_template(spec.template),
        updateStrategy=_default_strategy(spec.updateStrategy),
        revisionHistoryLimit=REVISION_HISTORY_LIMIT if spec.revisionHistoryLimit is None else spec.revisionHistoryLimit,
    ))


def _default_strategy(strategy: DaemonSetUpdateStrategy) -> DaemonSetUpdateStrategy:
    kind = strategy.type or "RollingUpdate"
    if kind != "RollingUpdate":
        return strategy
    rolling = strategy.rollingUpdate or RollingUpdateDaemonSet()
    return changed(strategy, type=kind, rollingUpdate=changed(
        rolling,
        maxUnavailable=1 if rolling.maxUnavailable is None else rolling.maxUnavailable,
        maxSurge=0 if rolling.maxSurge is None else rolling.maxSurge,
    ))


def _prepare_create(obj: DaemonSet) -> DaemonSet:
    return _with_template_generation(obj, 1)


def _prepare_update(new: DaemonSet, old: DaemonSet) -> DaemonSet:
    before = old.metadata.annotations.get(TEMPLATE_GENERATION, "")
    generation = int(before) if before.isdecimal() else 0
    return _with_template_generation(new, generation + (new.spec.template != old.spec.template))


def _with_template_generation(obj: DaemonSet, generation: int) -> DaemonSet:
    annotations = {**obj.metadata.annotations, TEMPLATE_GENERATION: str(generation)}
    if annotations == obj.metadata.annotations:
        return obj
    return replace(obj, metadata=replace(obj.metadata, annotations=annotations))


def _errors(obj: DaemonSet) -> Iterator[FieldError]:
    spec = obj.spec
    yield from label_selector("spec.selector", spec.selector)
    try:
        if not from_label_selector(spec.selector).matches(spec.template.metadata.labels):
            yield labels_not_selected("spec.template", spec.template)
    except SelectorError:
        pass  # said above
    if spec.selector is not None and not spec.selector.matchLabels and not spec.selector.matchExpressions:
        yield invalid("spec.selector", wire_value(spec.selector), "empty selector is invalid for daemonset")
    yield from validate_pod_template("spec.template", spec.template)
    yield from validate_runs_for_good("spec.template", spec.template, kind="DaemonSet")
    yield from nonnegative("spec.minReadySeconds", spec.minReadySeconds)
    yield from _strategy("spec.updateStrategy", spec.updateStrategy)
    yield from nonnegative("spec.revisionHistoryLimit", spec.revisionHistoryLimit)


def _strategy(path: str, strategy: DaemonSetUpdateStrategy) -> Iterator[FieldError]:
    match strategy.type:
        case "OnDelete":
            return
        case "RollingUpdate":
            if strategy.rollingUpdate is None:
                yield required(f"{path}.rollingUpdate")
            else:
                yield from _rolling_update(f"{path}.rollingUpdate", strategy.rollingUpdate)
        case _:
            yield not_supported(path, go_value(strategy), STRATEGIES)


def _rolling_update(path: str, rolling: RollingUpdateDaemonSet) -> Iterator[FieldError]:
    unavailable = 0 if rolling.maxUnavailable is None else rolling.maxUnavailable
    surge = 0 if rolling.maxSurge is None else rolling.maxSurge
    for check in (int_or_percent, at_most_all):
        yield from check(f"{path}.maxUnavailable", unavailable)
        yield from check(f"{path}.maxSurge", surge)
    if amount(unavailable) and amount(surge):
        yield invalid(f"{path}.maxSurge", surge, "may not be set when maxUnavailable is non-zero")
    elif not amount(unavailable) and not amount(surge):
        yield required(f"{path}.maxUnavailable", "cannot be 0 when maxSurge is 0")


def _status_errors(new: DaemonSet, old: DaemonSet) -> Iterator[FieldError]:
    for field in ("currentNumberScheduled", "numberMisscheduled", "desiredNumberScheduled", "numberReady", "observedGeneration",
                  "updatedNumberScheduled", "numberAvailable", "numberUnavailable", "collisionCount"):
        yield from nonnegative(f"status.{field}", getattr(new.status, field))
    yield from not_decremented(new.status.collisionCount, old.status.collisionCount)


def _row(obj: DaemonSet, now: float) -> Sequence[Any]:
    status, template = obj.status, obj.spec.template
    return (
        obj.metadata.name, status.desiredNumberScheduled, status.currentNumberScheduled, status.numberReady, status.updatedNumberScheduled,
        status.numberAvailable, labels_text(template.spec.nodeSelector), age(obj, now), *container_cells(template), selector_cell(obj.spec.selector),
    )


RULES: Final = KindRules(
    resource="daemonsets.apps",
    default=default,
    prepare_create=_prepare_create,
    prepare_update=_prepare_update,
    validate=lambda obj: tuple(_errors(obj)),
    validate_update=selector_unchanged,
    validate_on_update="after",
    validate_status_update=lambda new, old: tuple(_status_errors(new, old)),
    warnings=generation_warnings("spec.template", lambda obj: obj.spec.template, of_name=False),
    generation=True,
    row=_row,
)
