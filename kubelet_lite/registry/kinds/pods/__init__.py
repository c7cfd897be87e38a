"""Pods, and what the kinds that make pods share: one file for each idea.

`defaulting` fills in, `creation` prepares, `spec` and what it imports validate, `updates` and `status` say what may change.
"""
from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from msgspec.structs import replace

from kubelet_lite.api import names
from kubelet_lite.api.core_v1 import Pod, PodIP, PodStatus
from kubelet_lite.api.errors import FieldError, forbidden
from kubelet_lite.api.scheduling_rules import FINISHED
from kubelet_lite.registry.kinds.pods.annotations import (
    validate_pod_annotations,
    validate_profiles_match,
    without_init_containers,
)
from kubelet_lite.registry.kinds.pods.creation import prepare_pod_create
from kubelet_lite.registry.kinds.pods.defaulting import default_pod_spec
from kubelet_lite.registry.kinds.pods.rows import pod_row
from kubelet_lite.registry.kinds.pods.spec import pod_spec_errors
from kubelet_lite.registry.kinds.pods.status import validate_pod_status_update
from kubelet_lite.registry.kinds.pods.updates import validate_pod_update
from kubelet_lite.registry.kinds.pods.warnings import pod_warnings
from kubelet_lite.registry.rules import KindRules, Selectable


def default(pod: Pod) -> Pod:
    spec = default_pod_spec(pod.spec)
    return default_beside_spec(pod if spec is pod.spec else replace(pod, spec=spec))


def default_beside_spec(pod: Pod) -> Pod:
    status, annotations = _with_addresses(pod.status), without_init_containers(pod.metadata.annotations)
    if annotations is not pod.metadata.annotations:
        pod = replace(pod, metadata=replace(pod.metadata, annotations=annotations))
    return pod if status is pod.status else replace(pod, status=status)


def _with_addresses(status: PodStatus) -> PodStatus:
    """`podIP` is the first of `podIPs`."""
    first = status.podIPs[0].ip if status.podIPs else ""
    if status.podIP == first:
        return status
    return replace(status, podIPs=(PodIP(ip=status.podIP),)) if status.podIP else replace(status, podIP=first)


def validate(pod: Pod) -> Sequence[FieldError]:
    """Of a new pod and of an updated one."""
    annotations, spec = pod.metadata.annotations, pod.spec
    errors = pod_spec_errors(spec, pod.metadata.name)
    if not annotations and not errors:
        return errors
    return (*validate_pod_annotations("metadata.annotations", annotations, spec), *errors)


def validate_create(pod: Pod) -> Sequence[FieldError]:
    """What is only looked at when a pod is made."""
    errors: list[FieldError] = []
    if pod.spec.ephemeralContainers:
        errors.append(forbidden("spec.ephemeralContainers", "cannot be set on create"))
    if pod.spec.nodeName and pod.spec.schedulingGates:
        errors.append(forbidden("spec.nodeName", "cannot be set until all schedulingGates have been cleared"))
    errors += validate_profiles_match(pod.metadata.annotations, pod.spec, "spec")
    return errors


def prepare_status_update(new: Pod, old: Pod) -> Pod:
    """Old kubelets drop the class of service; nobody changes it."""
    return new if new.status.qosClass else replace(new, status=replace(new.status, qosClass=old.status.qosClass))


def grace_period_seconds(pod: Pod) -> int | None:
    return pod.spec.terminationGracePeriodSeconds


def prepare_graceful_delete(pod: Pod, requested: int | None) -> int:
    """A pod that runs nowhere, or has ended, needs no time."""
    if not pod.spec.nodeName or pod.status.phase in FINISHED:
        return 0
    grace = pod.spec.terminationGracePeriodSeconds if requested is None else requested
    return 1 if grace is not None and grace < 0 else grace or 0


def warnings(pod: Pod, old: Pod | None) -> Sequence[str]:
    """Only a creator is told: updates of pods come from controllers."""
    if old is not None:
        return ()
    messages = names.dns1123_label(pod.metadata.name)
    if not messages:
        return pod_warnings(pod)
    return (
        "metadata.name: this is used in the Pod's hostname, which can result in surprising behavior; a DNS label is recommended: "
        f"[{' '.join(messages)}]", *pod_warnings(pod),
    )


RULES: Final = KindRules(
    resource="pods",
    shares_spec=True,
    common_name=lambda name: not names.dns1123_label(name),
    default=default,
    default_beside_spec=default_beside_spec,
    prepare_create=prepare_pod_create,
    validate=validate,
    validate_create=validate_create,
    validate_update=lambda new, old: tuple(validate_pod_update(new, old)),
    prepare_status_update=prepare_status_update,
    validate_status_update=lambda new, old: tuple(validate_pod_status_update(new, old)),
    status_update_keeps=("ownerReferences",),
    warnings=warnings,
    generation=True,
    grace_period_seconds=grace_period_seconds,
    prepare_graceful_delete=prepare_graceful_delete,
    returns_deleted=True,
    selectable=(
        Selectable("spec.nodeName", lambda pod: pod.spec.nodeName),
        Selectable("spec.restartPolicy", lambda pod: pod.spec.restartPolicy),
        Selectable("spec.schedulerName", lambda pod: pod.spec.schedulerName),
        Selectable("spec.serviceAccountName", lambda pod: pod.spec.serviceAccountName),
        Selectable("spec.hostNetwork", lambda pod: "true" if pod.spec.hostNetwork else "false"),
        Selectable("status.phase", lambda pod: pod.status.phase),
        Selectable("status.podIP", lambda pod: pod.status.podIP),
        Selectable("status.nominatedNodeName", lambda pod: pod.status.nominatedNodeName),
    ),
    row=pod_row,
)
