"""ReplicaSets. https://kubernetes.io/docs/reference/kubernetes-api/workload-resources/replica-set-v1/"""
from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Final

from kubelet_lite.api.apps_v1 import ReplicaSet
from kubelet_lite.api.errors import FieldError
from kubelet_lite.registry.kinds.ages import age
from kubelet_lite.registry.kinds.pods.defaulting import changed, default_pod_template
from kubelet_lite.registry.kinds.pods.templates import (
    container_cells,
    generation_warnings,
    selector_cell,
    validate_selector,
    validate_selector_and_template,
)
from kubelet_lite.registry.kinds.replicas import replica_status_errors, selector_unchanged
from kubelet_lite.registry.rules import KindRules
from kubelet_lite.registry.validation.numbers import nonnegative

EMPTY_SELECTOR: Final = "empty selector is invalid for deployment"


def default(obj: ReplicaSet) -> ReplicaSet:
    spec = obj.spec
    return changed(obj, spec=changed(
        spec, replicas=1 if spec.replicas is None else spec.replicas, template=default_pod_template(spec.template),
    ))


def _errors(obj: ReplicaSet) -> Iterator[FieldError]:
    spec = obj.spec
    yield from nonnegative("spec.replicas", spec.replicas)
    yield from nonnegative("spec.minReadySeconds", spec.minReadySeconds)
    yield from validate_selector("spec.selector", spec.selector, EMPTY_SELECTOR)
    yield from validate_selector_and_template("spec", spec.selector, spec.template, kind="ReplicaSet")


def _row(obj: ReplicaSet, now: float) -> Sequence[Any]:
    return (
        obj.metadata.name, obj.spec.replicas or 0, obj.status.replicas, obj.status.readyReplicas, age(obj, now), *container_cells(obj.spec.template),
        selector_cell(obj.spec.selector),
    )


RULES: Final = KindRules(
    resource="replicasets.apps",
    default=default,
    validate=lambda obj: tuple(_errors(obj)),
    validate_update=selector_unchanged,
    validate_status_update=lambda new, old: tuple(replica_status_errors(new.status)),
    warnings=generation_warnings("spec.template", lambda obj: obj.spec.template),
    generation=True,
    row=_row,
)
