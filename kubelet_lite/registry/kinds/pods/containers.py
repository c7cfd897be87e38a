"""Validation of containers: what all kinds of them share, then regular, init and ephemeral ones.

https://kubernetes.io/docs/reference/kubernetes-api/workload-resources/pod-v1/#Container
"""
from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from kubelet_lite.api import names
from kubelet_lite.api.core_v1 import Container, ContainerPort, EphemeralContainer, PodSpec, Volume
from kubelet_lite.api.errors import (
    FieldError,
    duplicate,
    forbidden,
    invalid,
    not_found,
    not_supported,
    required,
    too_many,
)
from kubelet_lite.registry.kinds.pods.environment_variables import validate_env, validate_env_from
from kubelet_lite.registry.kinds.pods.mounts import validate_devices, validate_mounts
from kubelet_lite.registry.kinds.pods.probes import validate_lifecycle, validate_probes
from kubelet_lite.registry.kinds.pods.pull_policy import validate_pull_policy
from kubelet_lite.registry.kinds.pods.security import validate_container_security
from kubelet_lite.registry.validation.named import dns_label
from kubelet_lite.registry.validation.ports import port_number, protocol
from kubelet_lite.registry.validation.resource_lists import requirements

RESTART_POLICIES: Final = ("Always", "Never", "OnFailure")
MESSAGE_POLICIES: Final = ("File", "FallbackToLogsOnError")
RESIZE_POLICIES: Final = ("NotRequired", "RestartContainer")
RESIZABLE: Final = ("cpu", "memory")
RULE_OPERATORS: Final = ("In", "NotIn")
MOST_RESTART_RULES: Final = 20
MOST_EXIT_CODES: Final = 255
_NOT_FOR_EPHEMERAL: Final = (
    "ports", "resources", "resizePolicy", "restartPolicy", "restartPolicyRules", "livenessProbe", "readinessProbe", "startupProbe", "lifecycle",
)
_NOT_FOR_PLAIN_INIT: Final = ("lifecycle", "livenessProbe", "readinessProbe", "startupProbe")


def validate_containers(path: str, spec: PodSpec, volumes: Mapping[str, Volume], claims: tuple[str, ...]) -> Iterator[FieldError]:
    yield from _regular(f"{path}.containers", spec, volumes, claims)
    yield from _init(f"{path}.initContainers", spec, volumes, claims)
    yield from _ephemeral(f"{path}.ephemeralContainers", spec, volumes, claims)


def _regular(path: str, spec: PodSpec, volumes: Mapping[str, Volume], claims: tuple[str, ...]) -> Iterator[FieldError]:
    if not spec.containers:
        yield required(path)
        return
    seen: set[str] = set()
    for i, container in enumerate(spec.containers):
        at = f"{path}[{i}]"
        yield from _common(at, container, spec, volumes, claims)
        if container.name in seen:
            yield duplicate(f"{at}.name", container.name)
        seen.add(container.name)
        yield from _running(at, container, spec)
        yield from _restart_policy(at, container)
    yield from _unique_host_ports(path, enumerate(spec.containers))


def _init(path: str, spec: PodSpec, volumes: Mapping[str, Volume], claims: tuple[str, ...]) -> Iterator[FieldError]:
    seen = {container.name for container in spec.containers}
    for i, container in enumerate(spec.initContainers):
        at = f"{path}[{i}]"
        yield from _common(at, container, spec, volumes, claims)
        yield from _restart_policy(at, container)
        if container.name in seen:
            yield duplicate(f"{at}.name", container.name)
        elif container.name:
            seen.add(container.name)
        yield from _unique_host_ports(path, ((0, container),))
        if container.restartPolicy == "Always":
            yield from _running(at, container, spec)
        else:
            for field in _NOT_FOR_PLAIN_INIT:
                if getattr(container, field) is not None:
                    yield forbidden(f"{at}.{field}", "may not be set for init containers without restartPolicy=Always")


def _ephemeral(path: str, spec: PodSpec, volumes: Mapping[str, Volume], claims: tuple[str, ...]) -> Iterator[FieldError]:
    others = {container.name for container in (*spec.containers, *spec.initContainers)}
    seen = set(others)
    for i, container in enumerate(spec.ephemeralContainers):
        at = f"{path}[{i}]"
        yield from _common(at, container, spec, volumes, claims)
        yield from validate_image_padding(at, container)
        if container.name in seen:
            yield duplicate(f"{at}.name", container.name)
        seen.add(container.name)
        if container.targetContainerName and container.targetContainerName not in others:
            yield not_found(f"{at}.targetContainerName", container.targetContainerName)
        nothing = Container()
        for field in _NOT_FOR_EPHEMERAL:
            if getattr(container, field) != getattr(nothing, field):
                yield forbidden(f"{at}.{field}", "cannot be set for an Ephemeral Container")
        for j, mount in enumerate(container.volumeMounts):
            for field in ("subPath", "subPathExpr"):
                if getattr(mount, field):
                    yield forbidden(f"{at}.volumeMounts[{j}].{field}", "cannot be set for an Ephemeral Container")


def _running(path: str, container: Container, spec: PodSpec) -> Iterator[FieldError]:
    """What only containers have that keep running: hooks and probes."""
    if container.lifecycle is not None:
        yield from validate_lifecycle(f"{path}.lifecycle", container.lifecycle, spec)
    yield from validate_probes(path, container.livenessProbe, container.readinessProbe, container.startupProbe)


def _common(
    path: str, container: Container | EphemeralContainer, spec: PodSpec, volumes: Mapping[str, Volume], claims: tuple[str, ...],
) -> Iterator[FieldError]:
    if not container.name:
        yield required(f"{path}.name")
    else:
        yield from dns_label(f"{path}.name", container.name)
    if not container.image:
        yield required(f"{path}.image")
    if not container.terminationMessagePolicy:
        yield required(f"{path}.terminationMessagePolicy")
    elif container.terminationMessagePolicy not in MESSAGE_POLICIES:
        yield not_supported(f"{path}.terminationMessagePolicy", container.terminationMessagePolicy, MESSAGE_POLICIES)
    yield from _ports(f"{path}.ports", container.ports)
    yield from validate_env(f"{path}.env", container.env, volumes)
    yield from validate_env_from(f"{path}.envFrom", container.envFrom)
    yield from validate_mounts(f"{path}.volumeMounts", container, volumes)
    yield from validate_devices(f"{path}.volumeDevices", container, volumes)
    yield from validate_pull_policy(f"{path}.imagePullPolicy", container.imagePullPolicy)
    yield from requirements(f"{path}.resources", container.resources, claims)
    yield from _resize_policy(f"{path}.resizePolicy", container, spec)
    yield from validate_container_security(f"{path}.securityContext", container.securityContext, host_users=spec.hostUsers is not False)


def _ports(path: str, ports: tuple[ContainerPort, ...]) -> Iterator[FieldError]:
    seen: set[str] = set()
    for i, port in enumerate(ports):
        at = f"{path}[{i}]"
        if port.name:
            messages = names.port_name(port.name)
            for message in messages:
                yield invalid(f"{at}.name", port.name, message)
            if not messages and port.name in seen:
                yield duplicate(f"{at}.name", port.name)
            if not messages:
                seen.add(port.name)
        if not port.containerPort:
            yield required(f"{at}.containerPort")
        else:
            yield from port_number(f"{at}.containerPort", port.containerPort)
        if port.hostPort:
            yield from port_number(f"{at}.hostPort", port.hostPort)
        yield from protocol(f"{at}.protocol", port.protocol)


def _unique_host_ports(path: str, containers: Iterator[tuple[int, Container]] | tuple[tuple[int, Container], ...]) -> Iterator[FieldError]:
    taken: set[str] = set()
    for i, container in containers:
        for j, port in enumerate(container.ports):
            if port.hostPort:
                key = f"{port.protocol}/{port.hostIP}/{port.hostPort}"
                if key in taken:
                    yield duplicate(f"{path}[{i}].ports[{j}].hostPort", key)
                taken.add(key)


def validate_host_network_ports(path: str, spec: PodSpec, *, of_pod: bool) -> Iterator[FieldError]:
    """On the host's network a port of the host is the container's port. In a template it may still be missing."""
    if not spec.hostNetwork or spec.securityContext is None:
        return
    for i, container in enumerate(spec.containers):
        for j, port in enumerate(container.ports):
            if (of_pod or port.hostPort) and port.hostPort != port.containerPort:
                yield invalid(f"{path}.containers[{i}].ports[{j}].hostPort", port.hostPort, "must match `containerPort` when `hostNetwork` is true")


def _resize_policy(path: str, container: Container | EphemeralContainer, spec: PodSpec) -> Iterator[FieldError]:
    seen: set[str] = set()
    for i, policy in enumerate(container.resizePolicy):
        if policy.resourceName in seen:
            yield duplicate(f"{path}[{i}]", policy.resourceName)
        seen.add(policy.resourceName)
        if not policy.resourceName:
            yield required(path)
        elif policy.resourceName not in RESIZABLE:
            yield not_supported(path, policy.resourceName, RESIZABLE)
        if not policy.restartPolicy:
            yield required(path)
        elif policy.restartPolicy not in RESIZE_POLICIES:
            yield not_supported(path, policy.restartPolicy, RESIZE_POLICIES)
        if spec.restartPolicy == "Never" and policy.restartPolicy != "NotRequired":
            yield invalid(path, policy.restartPolicy, "must be 'NotRequired' when `restartPolicy` is 'Never'")


def _restart_policy(path: str, container: Container) -> Iterator[FieldError]:
    if container.restartPolicy is None:
        if container.restartPolicyRules:
            yield required(f"{path}.restartPolicy", "must specify restartPolicy when restart rules are used")
    elif container.restartPolicy not in RESTART_POLICIES:
        yield not_supported(f"{path}.restartPolicy", container.restartPolicy, RESTART_POLICIES)
    rules = container.restartPolicyRules
    if len(rules) > MOST_RESTART_RULES:
        yield too_many(f"{path}.restartPolicyRules", len(rules), MOST_RESTART_RULES)
    for i, rule in enumerate(rules):
        at = f"{path}.restartPolicyRules[{i}]"
        if rule.action != "Restart":
            yield not_supported(f"{at}.action", rule.action, ("Restart",))
        if rule.exitCodes is None:
            yield required(f"{at}.exitCodes", "must be specified")
            continue
        if rule.exitCodes.operator not in RULE_OPERATORS:
            yield not_supported(f"{at}.exitCodes.operator", rule.exitCodes.operator, RULE_OPERATORS)
        if len(rule.exitCodes.values) > MOST_EXIT_CODES:
            yield too_many(f"{at}.exitCodes.values", len(rule.exitCodes.values), MOST_EXIT_CODES)


def validate_image_padding(path: str, container: Container | EphemeralContainer) -> Iterator[FieldError]:
    """Only of pods: templates have always been allowed to pad."""
    if container.image != container.image.strip():
        yield invalid(f"{path}.image", container.image, "must not have leading or trailing whitespace")
