"""A container's environment: literals, references, service variables, and `$(VAR)` in commands and arguments. Pure.

https://kubernetes.io/docs/tasks/inject-data-application/define-interdependent-environment-variables/
"""
from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Final

import msgspec

from kubelet_lite.api import quantities
from kubelet_lite.api.core_v1 import (
    ConfigMap,
    Container,
    EnvVarSource,
    Node,
    ObjectFieldSelector,
    Pod,
    ResourceFieldSelector,
    Secret,
    Service,
)

_REFERENCE: Final = re.compile(r"\$(?:\$|\(([^)]*)\))")
_SUBSCRIPT: Final = re.compile(r"metadata\.(annotations|labels)\['(.*)'\]")


class ConfigError(Exception):
    """What a container refers to is not there: CreateContainerConfigError with this message."""


class Sources(msgspec.Struct, frozen=True):
    """What references may lead to. The functions return None for what does not exist."""

    config_map: Callable[[str], ConfigMap | None]
    secret: Callable[[str], Secret | None]
    node: Node
    services: tuple[Service, ...]
    """Those of the pod's namespace (where it wants links) and `default/kubernetes`."""


def environment(pod: Pod, container: Container, sources: Sources) -> dict[str, str]:
    """Raises ConfigError. What comes later wins; a variable may refer to those before it and to service variables."""
    found = dict(_service_variables(sources.services))
    values: dict[str, str] = {}
    for source in container.envFrom:
        if source.configMapRef is not None:
            config_map = sources.config_map(source.configMapRef.name)
            if config_map is None and not source.configMapRef.optional:
                raise ConfigError(f'configmap "{source.configMapRef.name}" not found')
            values.update({source.prefix + key: value for key, value in (config_map.data if config_map is not None else {}).items()})
        if source.secretRef is not None:
            secret = sources.secret(source.secretRef.name)
            if secret is None and not source.secretRef.optional:
                raise ConfigError(f'secret "{source.secretRef.name}" not found')
            data = secret.data if secret is not None else {}
            values.update({source.prefix + key: value.decode("utf-8", "replace") for key, value in data.items()})
    for variable in container.env:
        if variable.valueFrom is not None:
            resolved = _resolve(pod, container, variable.valueFrom, sources)
            if resolved is not None:
                values[variable.name] = resolved
        else:
            values[variable.name] = expand(variable.value, {**found, **values})
    return {**found, **values}


def expand(text: str, variables: Mapping[str, str]) -> str:
    """`$(NAME)` becomes the variable's value where there is one; `$$` stands for `$`."""
    def replaced(match: re.Match[str]) -> str:
        if match[0] == "$$":
            return "$"
        return variables.get(match[1], match[0])

    return _REFERENCE.sub(replaced, text) if "$" in text else text


def _resolve(pod: Pod, container: Container, source: EnvVarSource, sources: Sources) -> str | None:
    if source.fieldRef is not None:
        return field_value(pod, source.fieldRef, sources.node)
    if source.resourceFieldRef is not None:
        return resource_value(pod, container, source.resourceFieldRef, sources.node)
    if source.configMapKeyRef is not None:
        reference = source.configMapKeyRef
        config_map = sources.config_map(reference.name)
        if config_map is None:
            return _absent(reference.optional, f'configmap "{reference.name}" not found')
        if reference.key not in config_map.data:
            return _absent(reference.optional, f"couldn't find key {reference.key} in ConfigMap {pod.metadata.namespace}/{reference.name}")
        return config_map.data[reference.key]
    if source.secretKeyRef is not None:
        key = source.secretKeyRef
        secret = sources.secret(key.name)
        if secret is None:
            return _absent(key.optional, f'secret "{key.name}" not found')
        if key.key not in secret.data:
            return _absent(key.optional, f"couldn't find key {key.key} in Secret {pod.metadata.namespace}/{key.name}")
        return secret.data[key.key].decode("utf-8", "replace")
    raise ConfigError("environment variables from files are not offered")


def _absent(optional: bool | None, message: str) -> str | None:
    if not optional:
        raise ConfigError(message)
    return None


def field_value(pod: Pod, selector: ObjectFieldSelector, node: Node) -> str:
    """A field of the pod, as fieldRef and the downward API name them."""
    path, meta = selector.fieldPath, pod.metadata
    subscript = _SUBSCRIPT.fullmatch(path)
    if subscript is not None:
        return getattr(meta, subscript[1]).get(subscript[2], "")  # type: ignore[no-any-return]
    address = next((a.address for a in node.status.addresses if a.type == "InternalIP"), "")
    values = {
        "metadata.name": meta.name, "metadata.namespace": meta.namespace, "metadata.uid": meta.uid,
        "metadata.labels": _lines(meta.labels), "metadata.annotations": _lines(meta.annotations),
        "spec.nodeName": pod.spec.nodeName, "spec.serviceAccountName": pod.spec.serviceAccountName,
        "status.hostIP": pod.status.hostIP or address, "status.hostIPs": ",".join(ip.ip for ip in pod.status.hostIPs) or address,
        "status.podIP": pod.status.podIP, "status.podIPs": ",".join(ip.ip for ip in pod.status.podIPs),
    }
    if path not in values:
        raise ConfigError(f"unsupported fieldPath: {path}")
    return values[path]


def _lines(values: Mapping[str, str]) -> str:
    return "\n".join(f"{key}={_quoted(value)}" for key, value in sorted(values.items()))


def _quoted(value: str) -> str:
    escaped = value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n").replace("\t", "\\t")
    return f'"{escaped}"'


def resource_value(pod: Pod, container: Container, selector: ResourceFieldSelector, node: Node) -> str:
    """A request or limit in units of the divisor, rounded up; a limit that is not set is what the node has."""
    if selector.containerName:
        container = next((c for c in (*pod.spec.containers, *pod.spec.initContainers) if c.name == selector.containerName), container)
    kind, _, resource = selector.resource.partition(".")
    amounts = container.resources.limits if kind == "limits" else container.resources.requests
    amount = amounts.get(resource) or (container.resources.limits.get(resource) if kind == "requests" else node.status.allocatable.get(resource)) or "0"
    divisor = selector.divisor if selector.divisor not in ("", "0") else "1"
    return str(-(-quantities.parse(amount) // quantities.parse(divisor)))


def _service_variables(services: Iterable[Service]) -> Iterable[tuple[str, str]]:
    """NAME_SERVICE_HOST and the Docker-link form. https://kubernetes.io/docs/concepts/services-networking/service/#environment-variables"""
    for service in services:
        address = service.spec.clusterIP
        if address in ("", "None") or not service.spec.ports:
            continue
        prefix = service.metadata.name.upper().replace("-", "_")
        first = service.spec.ports[0]
        yield f"{prefix}_SERVICE_HOST", address
        yield f"{prefix}_SERVICE_PORT", str(first.port)
        for port in service.spec.ports:
            if port.name:
                yield f"{prefix}_SERVICE_PORT_{port.name.upper().replace('-', '_')}", str(port.port)
        yield f"{prefix}_PORT", f"{first.protocol.lower()}://{_joined(address, first.port)}"
        for port in service.spec.ports:
            link = f"{prefix}_PORT_{port.port}_{port.protocol.upper()}"
            yield link, f"{port.protocol.lower()}://{_joined(address, port.port)}"
            yield f"{link}_PROTO", port.protocol.lower()
            yield f"{link}_PORT", str(port.port)
            yield f"{link}_ADDR", address


def _joined(address: str, port: int) -> str:
    return f"[{address}]:{port}" if ":" in address else f"{address}:{port}"
