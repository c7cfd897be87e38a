"""Deployments. https://kubernetes.io/docs/reference/kubernetes-api/workload-resources/deployment-v1/"""
from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Final

from kubelet_lite.api.apps_v1 import Deployment, DeploymentStrategy, RollingUpdateDeployment
from kubelet_lite.api.errors import FieldError, forbidden, invalid, not_supported, required
from kubelet_lite.registry.kinds.ages import age
from kubelet_lite.registry.kinds.pods.defaulting import changed, default_pod_template
from kubelet_lite.registry.kinds.pods.templates import (
    container_cells,
    generation_warnings,
    selector_cell,
    validate_selector,
    validate_selector_and_template,
)
from kubelet_lite.registry.kinds.replicas import at_most, not_decremented, selector_unchanged
from kubelet_lite.registry.kinds.replicasets import EMPTY_SELECTOR
from kubelet_lite.registry.rules import KindRules
from kubelet_lite.registry.validation.go_values import go_value
from kubelet_lite.registry.validation.numbers import amount, at_most_all, int_or_percent, nonnegative

STRATEGIES: Final = ("Recreate", "RollingUpdate")
REVISION_HISTORY_LIMIT: Final = 10
PROGRESS_DEADLINE_SECONDS: Final = 600
SHARE: Final = "25%"
"""The default of maxUnavailable and maxSurge."""


def default(obj: Deployment) -> Deployment:
    spec = obj.spec
    return changed(obj, spec=changed(
        spec,
        replicas=1 if spec.replicas is None else spec.replicas,
        template=default_pod_template(spec.template),
        strategy=_default_strategy(spec.strategy),
        revisionHistoryLimit=REVISION_HISTORY_LIMIT if spec.revisionHistoryLimit is None else spec.revisionHistoryLimit,
        progressDeadlineSeconds=PROGRESS_DEADLINE_SECONDS if spec.progressDeadlineSeconds is None else spec.progressDeadlineSeconds,
    ))


def _default_strategy(strategy: DeploymentStrategy) -> DeploymentStrategy:
    kind = strategy.type or "RollingUpdate"
    if kind != "RollingUpdate":
        return strategy
    rolling = strategy.rollingUpdate or RollingUpdateDeployment()
    return changed(strategy, type=kind, rollingUpdate=changed(
        rolling,
        maxUnavailable=SHARE if rolling.maxUnavailable is None else rolling.maxUnavailable,
        maxSurge=SHARE if rolling.maxSurge is None else rolling.maxSurge,
    ))


def _errors(obj: Deployment) -> Iterator[FieldError]:
    spec = obj.spec
    yield from nonnegative("spec.replicas", spec.replicas)
    yield from validate_selector("spec.selector", spec.selector, EMPTY_SELECTOR)
    yield from validate_selector_and_template("spec", spec.selector, spec.template, kind="ReplicaSet")
    yield from _strategy("spec.strategy", spec.strategy)
    yield from nonnegative("spec.minReadySeconds", spec.minReadySeconds)
    yield from nonnegative("spec.revisionHistoryLimit", spec.revisionHistoryLimit)
    if spec.progressDeadlineSeconds is not None:
        yield from nonnegative("spec.progressDeadlineSeconds", spec.progressDeadlineSeconds)
        if spec.progressDeadlineSeconds <= spec.minReadySeconds:
            yield invalid("spec.progressDeadlineSeconds", spec.progressDeadlineSeconds, "must be greater than minReadySeconds")


def _strategy(path: str, strategy: DeploymentStrategy) -> Iterator[FieldError]:
    match strategy.type:
        case "Recreate":
            if strategy.rollingUpdate is not None:
                yield forbidden(f"{path}.rollingUpdate", "may not be specified when strategy `type` is 'Recreate'")
        case "RollingUpdate":
            if strategy.rollingUpdate is None:
                yield required(f"{path}.rollingUpdate", "this should be defaulted and never be nil")
            else:
                yield from _rolling_update(f"{path}.rollingUpdate", strategy.rollingUpdate)
        case _:
            yield not_supported(path, go_value(strategy), STRATEGIES)


def _rolling_update(path: str, rolling: RollingUpdateDeployment) -> Iterator[FieldError]:
    unavailable = 0 if rolling.maxUnavailable is None else rolling.maxUnavailable
    surge = 0 if rolling.maxSurge is None else rolling.maxSurge
    yield from int_or_percent(f"{path}.maxUnavailable", unavailable)
    yield from int_or_percent(f"{path}.maxSurge", surge)
    if not amount(unavailable) and not amount(surge):
        yield invalid(f"{path}.maxUnavailable", unavailable, "may not be 0 when `maxSurge` is 0")
    yield from at_most_all(f"{path}.maxUnavailable", unavailable)


def _status_errors(new: Deployment, old: Deployment) -> Iterator[FieldError]:
    status = new.status
    for field in ("observedGeneration", "replicas", "updatedReplicas", "readyReplicas", "availableReplicas", "terminatingReplicas",
                  "unavailableReplicas", "collisionCount"):
        yield from nonnegative(f"status.{field}", getattr(status, field))
    yield from at_most(status, "replicas", "status.replicas", "updatedReplicas", "readyReplicas", "availableReplicas")
    yield from at_most(status, "readyReplicas", "readyReplicas", "availableReplicas")
    yield from not_decremented(status.collisionCount, old.status.collisionCount)


def _row(obj: Deployment, now: float) -> Sequence[Any]:
    status = obj.status
    return (
        obj.metadata.name, f"{status.readyReplicas}/{obj.spec.replicas or 0}", status.updatedReplicas, status.availableReplicas, age(obj, now),
        *container_cells(obj.spec.template), selector_cell(obj.spec.selector),
    )


RULES: Final = KindRules(
    resource="deployments.apps",
    default=default,
    validate=lambda obj: tuple(_errors(obj)),
    validate_update=selector_unchanged,
    validate_status_update=lambda new, old: tuple(_status_errors(new, old)),
    status_update_keeps=("labels",),
    warnings=generation_warnings("spec.template", lambda obj: obj.spec.template),
    generation=True,
    generation_moves=lambda new, old: bool(new.spec != old.spec or new.metadata.annotations != old.metadata.annotations),
    row=_row,
)
