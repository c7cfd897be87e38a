"""Ingresses. https://kubernetes.io/docs/concepts/services-networking/ingress/"""
from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Final

from kubelet_lite.api import names
from kubelet_lite.api.core_v1 import TypedLocalObjectReference
from kubelet_lite.api.errors import FieldError, invalid, not_supported, required
from kubelet_lite.api.networking_v1 import (
    HTTPIngressPath,
    Ingress,
    IngressBackend,
    IngressClassParametersReference,
    IngressRule,
)
from kubelet_lite.registry.kinds.ages import NONE, age
from kubelet_lite.registry.rules import KindRules
from kubelet_lite.registry.validation.collected import collected
from kubelet_lite.registry.validation.named import (
    dns_label,
    dns_subdomain,
    ip_address,
    path_segment,
    wildcard_subdomain,
)
from kubelet_lite.registry.validation.ports import port_number, port_number_or_name

CLASS_ANNOTATION: Final = "kubernetes.io/ingress.class"
PATH_TYPES: Final = ("Exact", "ImplementationSpecific", "Prefix")
MOST_HOSTS_SHOWN: Final = 3
_FORBIDDEN_IN_PATHS: Final = ("//", "/./", "/../", "%2f", "%2F")
_FORBIDDEN_ENDS: Final = ("/..", "/.")


@collected
def _validate(ingress: Ingress) -> Iterator[FieldError]:
    spec = ingress.spec
    if not spec.rules and spec.defaultBackend is None:
        yield invalid("spec", None, "either `defaultBackend` or `rules` must be specified")
    if spec.defaultBackend is not None:
        yield from _backend("spec.defaultBackend", spec.defaultBackend)
    for i, rule in enumerate(spec.rules):
        yield from _rule(f"spec.rules[{i}]", rule)
    for i, tls in enumerate(spec.tls):
        for j, host in enumerate(tls.hosts):
            yield from _host(f"spec.tls[{i}].hosts[{j}]", host)
        if tls.secretName:
            yield from dns_subdomain(f"spec.tls[{i}].secretName", tls.secretName)
    if spec.ingressClassName is not None:
        yield from dns_subdomain("spec.ingressClassName", spec.ingressClassName)


def _host(path: str, host: str) -> Iterator[FieldError]:
    yield from wildcard_subdomain(path, host) if "*" in host else dns_subdomain(path, host)


def _rule(path: str, rule: IngressRule) -> Iterator[FieldError]:
    if rule.host:
        if names.address(rule.host) is not None:
            yield invalid(f"{path}.host", rule.host, "must be a DNS name, not an IP address")
        yield from _host(f"{path}.host", rule.host)
    if rule.http is None:
        return
    if not rule.http.paths:
        yield required(f"{path}.http.paths")
    for i, found in enumerate(rule.http.paths):
        yield from _path(f"{path}.http.paths[{i}]", found)


def _path(path: str, found: HTTPIngressPath) -> Iterator[FieldError]:
    match found.pathType:
        case None:
            yield required(f"{path}.pathType", "pathType must be specified")
            return
        case "Exact" | "Prefix":
            if not found.path.startswith("/"):
                yield invalid(f"{path}.path", found.path, "must be an absolute path")
            for part in _FORBIDDEN_IN_PATHS:
                if part in found.path:
                    yield invalid(f"{path}.path", found.path, f"must not contain '{part}'")
            for end in _FORBIDDEN_ENDS:
                if found.path.endswith(end):
                    yield invalid(f"{path}.path", found.path, f"cannot end with '{end}'")
        case "ImplementationSpecific":
            if found.path and not found.path.startswith("/"):
                yield invalid(f"{path}.path", found.path, "must be an absolute path")
        case unknown:
            yield not_supported(f"{path}.pathType", unknown, PATH_TYPES)
    yield from _backend(f"{path}.backend", found.backend)


def _backend(path: str, backend: IngressBackend) -> Iterator[FieldError]:
    service, resource = backend.service, backend.resource
    if service is not None and resource is not None:
        yield invalid(path, "", "cannot set both resource and service backends")
    elif resource is not None:
        yield from local_reference(f"{path}.resource", resource)
    elif service is not None:
        if not service.name:
            yield required(f"{path}.service.name")
        else:
            yield from dns_label(f"{path}.service.name", service.name)
        if service.port.name and service.port.number:
            yield invalid(path, "", "cannot set both port name & port number")
        elif service.port.name:
            yield from port_number_or_name(f"{path}.service.port.name", service.port.name)
        elif service.port.number:
            yield from port_number(f"{path}.service.port.number", service.port.number)
        else:
            yield required(path, "port name or number is required")
    else:
        yield invalid(path, "", "resource or service backend is required")


def local_reference(path: str, reference: TypedLocalObjectReference | IngressClassParametersReference) -> Iterator[FieldError]:
    if reference.apiGroup is not None:
        yield from dns_subdomain(f"{path}.apiGroup", reference.apiGroup)
    for field in ("kind", "name"):
        value = getattr(reference, field)
        if not value:
            yield required(f"{path}.{field}")
        else:
            yield from path_segment(f"{path}.{field}", value)


@collected
def _validate_creation(ingress: Ingress) -> Iterator[FieldError]:
    """What is asked of new objects alone."""
    yield from _validate(ingress)
    annotation, name = ingress.metadata.annotations.get(CLASS_ANNOTATION), ingress.spec.ingressClassName
    if annotation is not None and name is not None and annotation != name:
        yield invalid(f"annotations.{CLASS_ANNOTATION}", annotation, "must match `ingressClassName` when both are specified")


@collected
def _validate_update(new: Ingress, old: Ingress) -> Iterator[FieldError]:
    yield from _validate(new)


@collected
def _validate_status_update(new: Ingress, old: Ingress) -> Iterator[FieldError]:
    for i, ingress in enumerate(new.status.loadBalancer.ingress):
        path = f"status.loadBalancer.ingress[{i}]"
        if ingress.ip:
            yield from ip_address(f"{path}.ip", ingress.ip)
        if ingress.hostname:
            yield from dns_subdomain(f"{path}.hostname", ingress.hostname)
            if names.address(ingress.hostname) is not None:
                yield invalid(f"{path}.hostname", ingress.hostname, "must be a DNS name, not an IP address")


def _warnings(new: Ingress, old: Ingress | None) -> Sequence[str]:
    if old is not None or CLASS_ANNOTATION not in new.metadata.annotations:
        return ()
    return (f"annotation \"{CLASS_ANNOTATION}\" is deprecated, please use 'spec.ingressClassName' instead",)


def _row(ingress: Ingress, now: float) -> Sequence[Any]:
    spec = ingress.spec
    hosts = [rule.host for rule in spec.rules[:MOST_HOSTS_SHOWN] if rule.host]
    shown = ",".join(hosts) or "*"
    if len(spec.rules) > MOST_HOSTS_SHOWN:
        shown = f"{shown} + {len(spec.rules) - MOST_HOSTS_SHOWN} more..."
    addresses = ",".join(entry.ip or entry.hostname for entry in ingress.status.loadBalancer.ingress)
    return (
        ingress.metadata.name, NONE if spec.ingressClassName is None else spec.ingressClassName, shown, addresses,
        "80, 443" if spec.tls else "80", age(ingress, now),
    )


RULES: Final = KindRules(
    resource="ingresses.networking.k8s.io", validate=_validate_creation, validate_update=_validate_update, validate_on_update="never",
    validate_status_update=_validate_status_update, warnings=_warnings, generation=True, storage_path="/ingress", row=_row,
)
