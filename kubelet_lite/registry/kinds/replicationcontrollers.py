"""ReplicationControllers. https://kubernetes.io/docs/reference/kubernetes-api/workload-resources/replication-controller-v1/"""
from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Final

from msgspec.structs import replace

from kubelet_lite.api import names
from kubelet_lite.api.core_v1 import ReplicationController
from kubelet_lite.api.errors import FieldError, required
from kubelet_lite.registry.kinds.ages import age, labels_text
from kubelet_lite.registry.kinds.pods.defaulting import changed, default_pod_template
from kubelet_lite.registry.kinds.pods.templates import (
    container_cells,
    generation_warnings,
    labels_not_selected,
    validate_pod_template,
    validate_runs_for_good,
)
from kubelet_lite.registry.kinds.replicas import replica_status_errors
from kubelet_lite.registry.rules import KindRules, Selectable
from kubelet_lite.registry.validation.numbers import nonnegative


def default(obj: ReplicationController) -> ReplicationController:
    """The labels of the template are also those of the object and its selector, where it has none."""
    spec, meta = obj.spec, obj.metadata
    template = spec.template
    labels = template.metadata.labels if template is not None else {}
    spec = changed(
        spec,
        replicas=1 if spec.replicas is None else spec.replicas,
        selector=spec.selector or labels or spec.selector,
        template=default_pod_template(template) if template is not None else None,
    )
    if labels and not meta.labels:
        meta = replace(meta, labels=labels)
    return changed(obj, metadata=meta, spec=spec)


def _errors(obj: ReplicationController) -> Iterator[FieldError]:
    spec = obj.spec
    yield from nonnegative("spec.minReadySeconds", spec.minReadySeconds)
    if not spec.selector:
        yield required("spec.selector")
    yield from nonnegative("spec.replicas", spec.replicas)
    if spec.template is None:
        yield required("spec.template")
        return
    labels = spec.template.metadata.labels
    if any(labels.get(key) != value for key, value in spec.selector.items()):
        yield labels_not_selected("spec.template", spec.template)
    yield from validate_pod_template("spec.template", spec.template)
    yield from validate_runs_for_good("spec.template", spec.template, kind="ReplicationController")


def _name_errors(name: str, prefix: bool) -> Sequence[str]:
    return names.masked_prefix(lambda value: names.dns1123_subdomain(value, unit="bytes"))(name, prefix)


def _row(obj: ReplicationController, now: float) -> Sequence[Any]:
    return (
        obj.metadata.name, obj.spec.replicas or 0, obj.status.replicas, obj.status.readyReplicas, age(obj, now), *container_cells(obj.spec.template),
        labels_text(obj.spec.selector),
    )


RULES: Final = KindRules(
    resource="replicationcontrollers",
    default=default,
    validate=lambda obj: tuple(_errors(obj)),
    validate_status_update=lambda new, old: tuple(replica_status_errors(new.status)),
    warnings=generation_warnings("spec.template", lambda obj: obj.spec.template),
    name_errors=_name_errors,
    generation=True,
    default_propagation="orphan",
    selectable=(Selectable("status.replicas", lambda obj: str(obj.status.replicas)),),
    row=_row,
)
