"""The subresource `scale`: the number of replicas of any workload, seen through one kind.

https://kubernetes.io/docs/reference/kubernetes-api/workload-resources/ (autoscaling/v1 Scale)
"""
from __future__ import annotations

from typing import Any

from msgspec.structs import replace

from kubelet_lite.api import selectors
from kubelet_lite.api.autoscaling_v1 import Scale, ScaleSpec, ScaleStatus
from kubelet_lite.api.errors import Invalid, invalid
from kubelet_lite.api.meta_v1 import ObjectMeta
from kubelet_lite.registry import metadata


def show(workload: Any) -> Scale:
    """A workload's Scale."""
    spec = workload.spec
    selector = spec.selector
    if isinstance(selector, dict):
        text = str(selectors.from_labels(selector))
    else:
        text = selectors.label_selector_text(selector) if selector is not None else ""
    return Scale(
        metadata=identity(workload.metadata), spec=ScaleSpec(replicas=spec.replicas or 0), status=ScaleStatus(replicas=workload.status.replicas, selector=text),
    )


def identity(meta: ObjectMeta) -> ObjectMeta:
    """What a Scale says of the object that it belongs to."""
    return ObjectMeta(
        name=meta.name, namespace=meta.namespace, uid=meta.uid, resourceVersion=meta.resourceVersion, creationTimestamp=meta.creationTimestamp,
    )


def scaled(workload: Any, scale: Scale) -> Any:
    """The workload with the number of replicas that a Scale asks for. Raises Invalid."""
    check(scale, workload.metadata)
    meta = replace(workload.metadata, resourceVersion=scale.metadata.resourceVersion, uid=scale.metadata.uid)
    return replace(workload, metadata=meta, spec=replace(workload.spec, replicas=scale.spec.replicas))


def check(scale: Scale, of: ObjectMeta) -> None:
    """Raises Invalid for a Scale that asks for what cannot be."""
    replicas = scale.spec.replicas
    named = replace(scale.metadata, namespace=scale.metadata.namespace or of.namespace)
    wrong = [*metadata.errors(named, bool(named.namespace), metadata.default_name_errors)]
    if replicas < 0:
        wrong.append(invalid("spec.replicas", replicas, "must be greater than or equal to 0"))
    if wrong:
        raise Invalid.of("autoscaling", "Scale", scale.metadata.name, wrong)
