"""What is allowed in a pod or a template but likely wrong: the texts of Warning headers.

https://kubernetes.io/docs/reference/using-api/deprecation-policy/#warnings
"""
from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from kubelet_lite.api import names
from kubelet_lite.api.core_v1 import (
    ContainerPort,
    NodeSelectorTerm,
    Pod,
    PodAffinity,
    PodAntiAffinity,
    PodSpec,
    PodTemplateSpec,
)
from kubelet_lite.api.quantities import canonical, read
from kubelet_lite.registry.kinds.pods.annotations import APP_ARMOR, SECCOMP_CONTAINER, SECCOMP_POD, app_armor_warnings
from kubelet_lite.registry.kinds.pods.memo import SpecMemo
from kubelet_lite.registry.kinds.pods.overlaps import overlapping_paths
from kubelet_lite.registry.kinds.pods.scheduling import PREFERRED_RULES, REQUIRED_RULES
from kubelet_lite.registry.kinds.pods.visiting import containers_with_paths

DEPRECATED_NODE_LABELS: Final = {
    "beta.kubernetes.io/arch": 'deprecated since v1.14; use "kubernetes.io/arch" instead',
    "beta.kubernetes.io/os": 'deprecated since v1.14; use "kubernetes.io/os" instead',
    "failure-domain.beta.kubernetes.io/region": 'deprecated since v1.17; use "topology.kubernetes.io/region" instead',
    "failure-domain.beta.kubernetes.io/zone": 'deprecated since v1.17; use "topology.kubernetes.io/zone" instead',
    "beta.kubernetes.io/instance-type": 'deprecated since v1.17; use "node.kubernetes.io/instance-type" instead',
    "app.kubernetes.io/created-by": "deprecated since v1.9",
    "scheduler.alpha.kubernetes.io/preferAvoidPods": "deprecated since v1.22; use Taints and Tolerations instead",
    "node-role.kubernetes.io/master": 'use "node-role.kubernetes.io/control-plane" instead',
}
DEPRECATED_ANNOTATIONS: Final = {
    "scheduler.alpha.kubernetes.io/critical-pod": 'non-functional in v1.16+; use the "priorityClassName" field instead',
    "security.alpha.kubernetes.io/sysctls": 'non-functional in v1.11+; use the "sysctls" field instead',
    "security.alpha.kubernetes.io/unsafe-sysctls": 'non-functional in v1.11+; use the "sysctls" field instead',
}
DEPRECATED_VOLUMES: Final = {
    "photonPersistentDisk": "deprecated in v1.11, non-functional in v1.16+",
    "gitRepo": "deprecated in v1.11, and disabled by default in v1.33+",
    "scaleIO": "deprecated in v1.16, non-functional in v1.22+",
    "flocker": "deprecated in v1.22, non-functional in v1.25+",
    "storageos": "deprecated in v1.22, non-functional in v1.25+",
    "quobyte": "deprecated in v1.22, non-functional in v1.25+",
    "glusterfs": "deprecated in v1.25, non-functional in v1.26+",
    "cephfs": "deprecated in v1.28, non-functional in v1.31+",
    "rbd": "deprecated in v1.28, non-functional in v1.31+",
}
_PATH_OF_VOLUME: Final = {"storageos": "storageOS"}
_BYTES: Final = ("memory", "ephemeral-storage")
_NULL_SELECTOR: Final = "a null labelSelector results in matching no pod"

_of_plain_pods: Final[SpecMemo[tuple[str, ...]]] = SpecMemo()


def pod_warnings(pod: Pod) -> Sequence[str]:
    annotations = pod.metadata.annotations
    if not any("kubernetes.io/" in key for key in annotations):
        return _of_plain_pods.get(pod.spec, lambda spec: tuple(_warnings("", spec, {})))
    return (*app_armor_warnings(pod), *_warnings("", pod.spec, annotations))


def template_warnings(path: str, template: PodTemplateSpec) -> Sequence[str]:
    return tuple(_warnings(f"{path}.", template.spec, template.metadata.annotations))


def _warnings(path: str, spec: PodSpec, annotations: Mapping[str, str]) -> Iterator[str]:
    """`path` ends in a dot, or is empty."""
    inside = f"{path}spec"
    yield from _node_labels(inside, spec)
    yield from _spread(f"{inside}.topologySpreadConstraints", spec)
    for key, message in DEPRECATED_ANNOTATIONS.items():
        if key in annotations:
            yield f"{path}metadata.annotations[{key}]: {message}"
    for i, volume in enumerate(spec.volumes):
        for kind, message in DEPRECATED_VOLUMES.items():
            if getattr(volume, kind) is not None:
                yield f"{inside}.volumes[{i}].{_PATH_OF_VOLUME.get(kind, kind)}: {message}"
        claim = volume.ephemeral.volumeClaimTemplate if volume.ephemeral is not None else None
        if claim is not None:
            storage = claim.spec.resources.requests.get("storage", "0")
            yield from _fractional(f"{inside}.volumes[{i}].ephemeral.volumeClaimTemplate.spec.resources.requests[storage]", storage)
    yield from overlapping_paths(spec.volumes)
    yield from _repeated(f"{inside}.hostAliases", "ip", [alias.ip for alias in spec.hostAliases])
    secrets = [secret.name for secret in spec.imagePullSecrets]
    yield from _repeated(f"{inside}.imagePullSecrets", "name", secrets)
    for i, name in enumerate(secrets):
        if not name:
            yield f'{inside}.imagePullSecrets[{i}].name: invalid empty name ""'
    for resource in _BYTES:
        yield from _fractional(f"{inside}.overhead[{resource}]", spec.overhead.get(resource, "0"))
    if SECCOMP_POD in annotations and (spec.securityContext is None or spec.securityContext.seccompProfile is None):
        yield f'{path}metadata.annotations[{SECCOMP_POD}]: non-functional in v1.27+; use the "seccompProfile" field instead'
    yield from _containers(path, spec, annotations)
    yield from _ports(inside, spec)
    if spec.terminationGracePeriodSeconds is not None and spec.terminationGracePeriodSeconds < 0:
        yield f"{inside}.terminationGracePeriodSeconds: must be >= 0; negative values are invalid and will be treated as 1"
    if spec.affinity is not None:
        yield from _null_selectors(f"{inside}.affinity.podAffinity", spec.affinity.podAffinity)
        yield from _null_selectors(f"{inside}.affinity.podAntiAffinity", spec.affinity.podAntiAffinity)
    for i, nameserver in enumerate(spec.dnsConfig.nameservers if spec.dnsConfig is not None else ()):
        yield from names.ip_address_warnings(f"{inside}.dnsConfig.nameservers[{i}]", nameserver)
    for i, alias in enumerate(spec.hostAliases):
        yield from names.ip_address_warnings(f"{inside}.hostAliases[{i}].ip", alias.ip)


def _node_labels(path: str, spec: PodSpec) -> Iterator[str]:
    for key in sorted(spec.nodeSelector):
        if message := DEPRECATED_NODE_LABELS.get(key):
            yield f"{path}.nodeSelector[{key}]: {message}"
    nodes = spec.affinity.nodeAffinity if spec.affinity is not None else None
    if nodes is None:
        return
    if nodes.requiredDuringSchedulingIgnoredDuringExecution is not None:
        for i, term in enumerate(nodes.requiredDuringSchedulingIgnoredDuringExecution.nodeSelectorTerms):
            yield from _node_term(f"{path}.affinity.nodeAffinity.{REQUIRED_RULES}.nodeSelectorTerms[{i}]", term)
    for i, preferred in enumerate(nodes.preferredDuringSchedulingIgnoredDuringExecution):
        at = f"{path}.affinity.nodeAffinity.{PREFERRED_RULES}[{i}].preference"
        yield from _node_term(at, preferred.preference)
        for j, expression in enumerate(preferred.preference.matchExpressions):
            for k, value in enumerate(expression.values):
                for message in names.label_value(value):
                    yield f"{at}.matchExpressions[{j}].values[{k}]: {value} is invalid, {message}"


def _node_term(path: str, term: NodeSelectorTerm) -> Iterator[str]:
    for i, expression in enumerate(term.matchExpressions):
        if message := DEPRECATED_NODE_LABELS.get(expression.key):
            yield f"{path}.matchExpressions[{i}].key: {expression.key} is {message}"


def _spread(path: str, spec: PodSpec) -> Iterator[str]:
    for i, constraint in enumerate(spec.topologySpreadConstraints):
        if message := DEPRECATED_NODE_LABELS.get(constraint.topologyKey):
            yield f"{path}[{i}].topologyKey: {constraint.topologyKey} is {message}"
        if constraint.labelSelector is None:
            yield f"{path}[{i}].labelSelector: {_NULL_SELECTOR}"


def _repeated(path: str, field: str, values: list[str]) -> Iterator[str]:
    seen: set[str] = set()
    for i, value in enumerate(values):
        if value in seen:
            yield f'{path}[{i}].{field}: duplicate {field} "{value}"'
        seen.add(value)


def _fractional(path: str, quantity: str) -> Iterator[str]:
    if read(quantity).nanos % 10 ** 9:
        yield f'{path}: fractional byte value "{canonical(quantity)}" is invalid, must be an integer'


def _containers(path: str, spec: PodSpec, annotations: Mapping[str, str]) -> Iterator[str]:
    of_pod = spec.securityContext
    for at, container in containers_with_paths(f"{path}spec", spec):
        context, key = container.securityContext, SECCOMP_CONTAINER + container.name
        if key in annotations and (context is None or context.seccompProfile is None):
            yield f'{path}metadata.annotations[{key}]: non-functional in v1.27+; use the "seccompProfile" field instead'
        key = APP_ARMOR + container.name
        profiles = (of_pod.appArmorProfile if of_pod is not None else None, context.appArmorProfile if context is not None else None)
        if path and key in annotations and not any(profiles):  # of a pod itself `app_armor_warnings` says so
            yield f'{path}metadata.annotations[{key}]: deprecated since v1.30; use the "appArmorProfile" field instead'
        for resource in _BYTES:
            yield from _fractional(f"{at}.resources.limits[{resource}]", container.resources.limits.get(resource, "0"))
            yield from _fractional(f"{at}.resources.requests[{resource}]", container.resources.requests.get(resource, "0"))
        seen: set[str] = set()
        for i, variable in enumerate(container.env):
            if variable.name in seen:
                reference = f"$({variable.name})"
                if variable.valueFrom is not None or variable.value == reference or reference not in variable.value:
                    yield f'{at}.env[{i}]: hides previous definition of "{variable.name}", which may be dropped when using apply'
            seen.add(variable.name)


def _ports(path: str, spec: PodSpec) -> Iterator[str]:
    seen: dict[tuple[int, str], list[tuple[str, ContainerPort]]] = {}
    for container_path, container in containers_with_paths(path, spec):
        for i, port in enumerate(container.ports):
            at = f"{container_path}.ports[{i}]"
            if port.hostIP and not port.hostPort:
                shown = f"Name:{port.name} HostPort:{port.hostPort} ContainerPort:{port.containerPort} Protocol:{port.protocol} HostIP:{port.hostIP}"
                yield f"{at}: hostIP set without hostPort: {{{shown}}}"
            same = seen.setdefault((port.containerPort, port.protocol), [])
            for other_path, other in same:
                if (port.hostIP, port.hostPort) == (other.hostIP, other.hostPort):
                    yield f"{at}: duplicate port definition with {other_path}"
                elif not port.hostPort or not other.hostPort:
                    yield f"{at}: overlapping port definition with {other_path}"
                elif port.hostPort == other.hostPort and bool(port.hostIP) != bool(other.hostIP):
                    yield f"{at}: dangerously ambiguous port definition with {other_path}"
            same.append((at, port))


def _null_selectors(path: str, affinity: PodAffinity | PodAntiAffinity | None) -> Iterator[str]:
    if affinity is None:
        return
    for i, term in enumerate(affinity.requiredDuringSchedulingIgnoredDuringExecution):
        if term.labelSelector is None:
            yield f"{path}.{REQUIRED_RULES}[{i}].labelSelector: {_NULL_SELECTOR}"
    for i, weighted in enumerate(affinity.preferredDuringSchedulingIgnoredDuringExecution):
        if weighted.podAffinityTerm.labelSelector is None:
            yield f"{path}.{PREFERRED_RULES}[{i}].podAffinityTerm.labelSelector: {_NULL_SELECTOR}"
