"""The subresource `binding` of pods: assigns a pod to a node, once.

https://kubernetes.io/docs/reference/kubernetes-api/workload-resources/binding-v1/
"""
from __future__ import annotations

from typing import Any

from msgspec.structs import replace

from kubelet_lite.api.core_v1 import Binding, Pod, PodCondition
from kubelet_lite.api.errors import BadRequest, Conflict, FieldError, Invalid, NotFound, not_supported, required
from kubelet_lite.store import Key, Store, stamped


def check(binding: Binding, name: str) -> None:
    """Raises BadRequest or Invalid for a Binding that no pod could follow."""
    if binding.metadata.name != name:
        raise BadRequest("name in URL does not match name in Binding object")
    wrong: list[FieldError] = []
    if binding.target.kind not in ("", "Node"):
        wrong.append(not_supported("target.kind", binding.target.kind, ("Node", "<empty>")))
    if not binding.target.name:
        wrong.append(required("target.name"))
    if wrong:
        raise Invalid.of("", "Binding", name, wrong)


def bind(store: Store, namespace: str, binding: Binding, now_text: str, *, dry_run: bool = False) -> None:
    """Writes the node into the pod. Raises NotFound and Conflict."""
    name = binding.metadata.name
    key = Key("pods", namespace, name)
    pod: Pod | None = store.get(key)
    if pod is None:
        raise NotFound.of("", "pods", name)
    why = _refusal(pod, binding)
    if why:
        raise Conflict.of("", "pods/binding", name, why)
    if dry_run:
        return
    bound = bound_to(pod, binding, now_text)
    store.put(key, stamped(bound, store.next_revision), expected=int(pod.metadata.resourceVersion))


def _refusal(pod: Pod, binding: Binding) -> str:
    meta = binding.metadata
    if meta.uid and meta.uid != pod.metadata.uid:
        return f"Precondition failed: UID in precondition: {meta.uid}, UID in object meta: {pod.metadata.uid}"
    if meta.resourceVersion and meta.resourceVersion != pod.metadata.resourceVersion:
        return (
            f"Precondition failed: ResourceVersion in precondition: {meta.resourceVersion}, "
            f"ResourceVersion in object meta: {pod.metadata.resourceVersion}"
        )
    if pod.metadata.deletionTimestamp is not None:
        return f"pod {pod.metadata.name} is being deleted, cannot be assigned to a host"
    if pod.spec.nodeName:
        return f'pod {pod.metadata.name} is already assigned to node "{pod.spec.nodeName}"'
    if pod.spec.schedulingGates:
        return f"pod {pod.metadata.name} has non-empty .spec.schedulingGates"
    return ""


def bound_to(pod: Pod, binding: Binding, now_text: str) -> Pod:
    """The pod with its node, and the condition that says so."""
    meta = pod.metadata
    if binding.metadata.annotations:
        meta = replace(meta, annotations={**meta.annotations, **binding.metadata.annotations})
    if binding.metadata.labels:
        meta = replace(meta, labels={**meta.labels, **binding.metadata.labels})
    condition = PodCondition(type="PodScheduled", status="True", observedGeneration=meta.generation)
    status = replace(pod.status, nominatedNodeName="", conditions=with_condition(pod.status.conditions, condition, now_text))
    return replace(pod, metadata=meta, spec=replace(pod.spec, nodeName=binding.target.name), status=status)


def with_condition(conditions: tuple[Any, ...], condition: Any, now_text: str) -> tuple[Any, ...]:
    """Conditions with one set; its transition time moves when its status does."""
    for i, old in enumerate(conditions):
        if old.type == condition.type:
            time = old.lastTransitionTime if old.status == condition.status else now_text
            return (*conditions[:i], replace(condition, lastTransitionTime=time), *conditions[i + 1:])
    return (*conditions, replace(condition, lastTransitionTime=now_text))
