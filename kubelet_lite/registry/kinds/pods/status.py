"""What an update of a pod's status may say.

https://kubernetes.io/docs/reference/kubernetes-api/workload-resources/pod-v1/#PodStatus
"""
from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from kubelet_lite.api import names
from kubelet_lite.api.core_v1 import Container, ContainerStatus, LinuxContainerUser, Pod, PodSpec
from kubelet_lite.api.errors import FieldError, duplicate, forbidden, invalid, not_supported
from kubelet_lite.registry.kinds.pods.annotations import validate_annotation_updates, validate_pod_annotations
from kubelet_lite.registry.validation.named import dns_subdomain, ip_address, qualified_name
from kubelet_lite.registry.validation.numbers import IMMUTABLE

SYSTEM_CONDITIONS: Final = frozenset({"PodScheduled", "Ready", "Initialized"})
HEALTH: Final = ("Healthy", "Unhealthy", "Unknown")


def validate_pod_status_update(new: Pod, old: Pod) -> Iterator[FieldError]:
    yield from validate_annotation_updates("metadata.annotations", new.metadata.annotations, old.metadata.annotations)
    yield from validate_pod_annotations("metadata.annotations", new.metadata.annotations, new.spec)
    status, before = new.status, old.status
    for i, condition in enumerate(status.conditions):
        if condition.type not in SYSTEM_CONDITIONS:
            yield from qualified_name(f"metadata.conditions[{i}].Type", condition.type)
    if status.nominatedNodeName and status.nominatedNodeName != before.nominatedNodeName:
        yield from dns_subdomain("status.nominatedNodeName", status.nominatedNodeName)
    if status.qosClass != before.qosClass:
        yield invalid("status.qosClass", status.qosClass, IMMUTABLE)
    policy = old.spec.restartPolicy
    restarted = frozenset(container.name for container in old.spec.initContainers if container.restartPolicy == "Always")
    yield from _transitions("status.containerStatuses", status.containerStatuses, before.containerStatuses, policy)
    yield from _transitions("status.initContainerStatuses", status.initContainerStatuses, before.initContainerStatuses, policy, restarted)
    yield from _transitions("status.ephemeralContainerStatuses", status.ephemeralContainerStatuses, before.ephemeralContainerStatuses, "Never")
    yield from _claim_statuses("status.resourceClaimStatuses", new)
    yield from _addresses("status.podIPs", [ip.ip for ip in status.podIPs])
    if status.hostIPs and status.hostIP != status.hostIPs[0].ip:
        yield invalid("status.hostIPs[0].ip", status.hostIPs[0].ip, "must be equal to `hostIP`")
    yield from _addresses("status.hostIPs", [ip.ip for ip in status.hostIPs])
    yield from _container_details(new.spec, new)


def _transitions(
    path: str, new: Sequence[ContainerStatus], old: Sequence[ContainerStatus], policy: str, restarted: frozenset[str] = frozenset(),
) -> Iterator[FieldError]:
    """A container that ended and is not restarted stays ended."""
    if policy == "Always":
        return
    for i, before in enumerate(old):
        ended = before.state.terminated
        if ended is None or (ended.exitCode and policy == "OnFailure") or before.name in restarted:
            continue
        for after in new:
            if after.name == before.name and after.state.terminated is None:
                yield forbidden(f"{path}[{i}].state", "may not be transitioned to non-terminated state")


def _claim_statuses(path: str, pod: Pod) -> Iterator[FieldError]:
    known = {claim.name for claim in pod.spec.resourceClaims}
    seen: set[str] = set()
    for i, status in enumerate(pod.status.resourceClaimStatuses):
        at = f"{path}[{i}].name"
        if status.name not in known:
            yield invalid(at, status.name, "must match the name of an entry in `spec.resourceClaims`")
        if status.name in seen:
            yield duplicate(at, status.name)
        seen.add(status.name)
        if status.resourceClaimName is not None:
            yield from dns_subdomain(at, status.resourceClaimName)


def _addresses(path: str, addresses: list[str]) -> Iterator[FieldError]:
    for i, address in enumerate(addresses):
        yield from ip_address(f"{path}[{i}]", address)
    if len(addresses) < 2:
        return
    families = {found.version for address in addresses if (found := names.address(address)) is not None}
    if len(families) < 2 or len(addresses) > 2:
        yield invalid(path, [{"IP": address} for address in addresses], "may specify no more than one IP for each IP family")
    seen: set[str] = set()
    for i, address in enumerate(addresses):
        if address in seen:
            yield FieldError("FieldValueDuplicate", f"{path}[{i}]", duplicate("", {"IP": address}).body)
        seen.add(address)


def _container_details(spec: PodSpec, pod: Pod) -> Iterator[FieldError]:
    lists = (
        ("status.containerStatuses", pod.status.containerStatuses, spec.containers),
        ("status.initContainerStatuses", pod.status.initContainerStatuses, spec.initContainers),
        ("status.ephemeralContainerStatuses", pod.status.ephemeralContainerStatuses, None),
    )
    windows = spec.os is not None and spec.os.name == "windows"
    for path, statuses, _ in lists:
        for i, status in enumerate(statuses):
            user = status.user.linux if status.user is not None else None
            if user is not None:
                if windows:
                    yield forbidden(f"{path}[{i}].linux", "cannot be set for a windows pod")
                else:
                    yield from _user(f"{path}[{i}].linux", user)
    for path, statuses, containers in lists:
        for i, status in enumerate(statuses):
            if status.allocatedResourcesStatus:
                if containers is None:
                    yield forbidden(f"{path}[{i}].allocatedResourcesStatus", "must not be specified in container status")
                else:
                    yield from _resource_health(f"{path}[{i}].allocatedResourcesStatus", status, containers)


def _user(path: str, user: LinuxContainerUser) -> Iterator[FieldError]:
    fields = (("uid", user.uid), ("gid", user.gid), *((f"supplementalGroups[{i}]", group) for i, group in enumerate(user.supplementalGroups)))
    for field, value in fields:
        for message in names.user_id(value):
            yield invalid(f"{path}.{field}", value, message)


def _resource_health(path: str, status: ContainerStatus, containers: tuple[Container, ...]) -> Iterator[FieldError]:
    container = next((container for container in containers if container.name == status.name), None)
    for j, resource in enumerate(status.allocatedResourcesStatus):
        if container is not None:
            claims = {f"claim:{claim.name}/{claim.request}" if claim.request else f"claim:{claim.name}" for claim in container.resources.claims}
            if resource.name.startswith("claim:"):
                if resource.name not in claims:
                    yield invalid(f"{path}[{j}].name", resource.name, "must match one of the container's resource claims in a format "
                                  "'claim:<claimName>/<request>' or 'claim:<claimName>' if request is empty")
            elif resource.name not in container.resources.requests:
                yield invalid(f"{path}[{j}].name", resource.name, "must match one of the container's resource requests")
        seen: set[str] = set()
        for k, health in enumerate(resource.resources):
            at = f"{path}[{j}].resources[{k}]"
            if health.health not in HEALTH:
                yield not_supported(f"{at}.health", health.health, HEALTH)
            if health.resourceID in seen:
                yield duplicate(f"{at}.resourceID", health.resourceID)
            seen.add(health.resourceID)
