"""Requests for devices and their parameters: what claims, their templates and device classes have in common.

https://kubernetes.io/docs/concepts/scheduling-eviction/dynamic-resource-allocation/
"""
from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Final, TypeVar

from msgspec.structs import replace

from kubelet_lite.api import device_expressions, names, semantic_versions
from kubelet_lite.api.errors import FieldError, duplicate, invalid, not_supported, required, too_long, too_many
from kubelet_lite.api.resource_v1 import (
    DeviceClaim,
    DeviceConstraint,
    DeviceRequest,
    DeviceSelector,
    DeviceSubRequest,
    ExactDeviceRequest,
    OpaqueDeviceConfiguration,
)
from kubelet_lite.registry.kinds.pods.volumes import validate_csi_driver_name
from kubelet_lite.registry.validation.named import dns_label, dns_subdomain, each

Request = TypeVar("Request", ExactDeviceRequest, DeviceSubRequest)
MODES: Final = ("All", "ExactCount")
MAX_REQUESTS: Final = 32
MAX_CONSTRAINTS: Final = 32
MAX_CONFIGS: Final = 32
MAX_SELECTORS: Final = 32
MAX_SUBREQUESTS: Final = 8
MAX_RESULTS: Final = 32
SOURCES: Final = ("FromClaim", "FromClass")
LONGEST_POOL_NAME: Final = 253
LONGEST_IDENTIFIER: Final = 32
LONGEST_EXPRESSION: Final = 10 * 1024
VERSION: Final = semantic_versions.PATTERN
_EMPTY_EXPRESSION: Final = ("compilation failed: ERROR: <input>:1:0: Syntax error: mismatched input '<EOF>' expecting {'[', '{', '(', '.', '-', '!', "
                            "'true', 'false', 'null', NUM_FLOAT, NUM_INT, NUM_UINT, STRING, BYTES, IDENTIFIER}")
NO_SUCH_REQUEST: Final = "must be the name of a request in the claim or the name of a request and a subrequest separated by '/'"
driver_name = validate_csi_driver_name


def default_claim(claim: DeviceClaim) -> DeviceClaim:
    if not claim.requests:
        return claim
    return replace(claim, requests=tuple(
        replace(
            request, exactly=request.exactly if request.exactly is None else _default_request(request.exactly),
            firstAvailable=tuple(_default_request(sub) for sub in request.firstAvailable),
        )
        for request in claim.requests
    ))


def _default_request(request: Request) -> Request:
    mode = request.allocationMode or "ExactCount"
    count = 1 if mode == "ExactCount" and not request.count else request.count
    return replace(request, allocationMode=mode, count=count)


def device_claim(path: str, claim: DeviceClaim) -> Iterator[FieldError]:
    if len(claim.requests) > MAX_REQUESTS:
        yield too_many(f"{path}.requests", len(claim.requests), MAX_REQUESTS)
    for i, request in enumerate(claim.requests):
        yield from _request(f"{path}.requests[{i}]", request)
        if any(other.name == request.name for other in claim.requests[:i]):
            yield duplicate(f"{path}.requests[{i}]", request.name)
    known = request_names(claim)
    if len(claim.constraints) > MAX_CONSTRAINTS:
        yield too_many(f"{path}.constraints", len(claim.constraints), MAX_CONSTRAINTS)
    for i, constraint in enumerate(claim.constraints):
        yield from _constraint(f"{path}.constraints[{i}]", constraint, known)
    if len(claim.config) > MAX_CONFIGS:
        yield too_many(f"{path}.config", len(claim.config), MAX_CONFIGS)
    for i, config in enumerate(claim.config):
        yield from _request_names(f"{path}.config[{i}].requests", config.requests, known)
        yield from opaque(f"{path}.config[{i}]", config.opaque)


def request_names(claim: DeviceClaim) -> Sequence[str]:
    """Those of the requests, and those of their alternatives."""
    return [request.name for request in claim.requests] + [f"{r.name}/{sub.name}" for r in claim.requests for sub in r.firstAvailable]


def _request(path: str, request: DeviceRequest) -> Iterator[FieldError]:
    yield from dns_label(f"{path}.name", request.name)
    if (request.exactly is None) == (not request.firstAvailable):
        yield required(path, "exactly one of `exactly` or `firstAvailable` is required")
        return
    if request.exactly is not None:
        yield from _details(f"{path}.exactly", request.exactly)
    if len(request.firstAvailable) > MAX_SUBREQUESTS:
        yield too_many(f"{path}.firstAvailable", len(request.firstAvailable), MAX_SUBREQUESTS)
    for i, sub in enumerate(request.firstAvailable):
        yield from dns_label(f"{path}.firstAvailable[{i}].name", sub.name)
        yield from _details(f"{path}.firstAvailable[{i}]", sub)
        if any(other.name == sub.name for other in request.firstAvailable[:i]):
            yield duplicate(f"{path}.firstAvailable[{i}]", sub.name)


def _details(path: str, request: ExactDeviceRequest | DeviceSubRequest) -> Iterator[FieldError]:
    if not request.deviceClassName:
        yield required(f"{path}.deviceClassName")
    else:
        yield from dns_subdomain(f"{path}.deviceClassName", request.deviceClassName)
    yield from selectors(f"{path}.selectors", request.selectors)
    match request.allocationMode:
        case "All":
            if request.count:
                yield invalid(f"{path}.count", request.count, "must not be specified when allocationMode is 'All'")
        case "ExactCount":
            if request.count <= 0:
                yield invalid(f"{path}.count", request.count, "must be greater than zero")
        case unknown:
            yield not_supported(f"{path}.allocationMode", unknown, MODES)


def selectors(path: str, found: Sequence[DeviceSelector]) -> Iterator[FieldError]:
    if len(found) > MAX_SELECTORS:
        yield too_many(path, len(found), MAX_SELECTORS)
    for i, selector in enumerate(found):
        if selector.cel is None:
            yield required(f"{path}[{i}].cel")
        else:
            yield from _expression(f"{path}[{i}].cel.expression", selector.cel.expression)


def _expression(path: str, expression: str) -> Iterator[FieldError]:
    """Without the library of CEL expressions are not looked at here; the scheduler will say so."""
    if not expression:
        yield invalid(path, "", _EMPTY_EXPRESSION)
        return
    if len(expression) > LONGEST_EXPRESSION:
        yield too_long(path, LONGEST_EXPRESSION)
        return
    try:
        device_expressions.compiled(expression)
    except device_expressions.CelMissing:
        return
    except device_expressions.ExpressionError as error:
        yield invalid(path, expression, str(error))


def _constraint(path: str, constraint: DeviceConstraint, known: Sequence[str]) -> Iterator[FieldError]:
    yield from _request_names(f"{path}.requests", constraint.requests, known)
    if constraint.matchAttribute is not None:
        yield from attribute_name(f"{path}.matchAttribute", constraint.matchAttribute, full=True)
    elif constraint.distinctAttribute is not None:
        yield from attribute_name(f"{path}.distinctAttribute", constraint.distinctAttribute, full=True)
    else:
        yield required(path, 'exactly one of "matchAttribute" or "distinctAttribute" is required, but multiple fields are set')


def _request_names(path: str, requests: Sequence[str], known: Sequence[str]) -> Iterator[FieldError]:
    for i, name in enumerate(requests):
        if name in requests[:i]:
            yield duplicate(f"{path}[{i}]", name)
            continue
        for part in name.split("/", 1):
            yield from each(f"{path}[{i}]", part, names.dns1123_label(part))
        if name not in known:
            yield invalid(f"{path}[{i}]", name, NO_SUCH_REQUEST)


def pool_name(path: str, name: str) -> Iterator[FieldError]:
    if not name:
        yield required(path)
        return
    if len(name) > LONGEST_POOL_NAME:
        yield too_long(path, LONGEST_POOL_NAME)
    for part in name.split("/"):
        yield from dns_subdomain(path, part)


def unknown_source(path: str, source: str) -> FieldError:
    return not_supported(path, source, SOURCES) if source else required(path)


def attribute_name(path: str, name: str, *, full: bool = False) -> Iterator[FieldError]:
    """An identifier, perhaps (`full`: surely) with the domain of the driver before it."""
    domain, slash, identifier = name.rpartition("/")
    if slash:
        if not domain:
            yield required(path, "the domain must not be empty")
        else:
            yield from driver_name(path, domain)
    if slash and not identifier:
        yield required(path, "the name must not be empty")
    else:
        if len(identifier) > LONGEST_IDENTIFIER:
            yield too_long(path, LONGEST_IDENTIFIER)
        for message in names.c_identifier(identifier):
            yield invalid(path, identifier, message)
    if full and not slash:
        yield invalid(path, name, "a fully qualified name must be a domain and a name separated by a slash")


def opaque(path: str, configuration: OpaqueDeviceConfiguration | None) -> Iterator[FieldError]:
    if configuration is None:
        yield required(f"{path}.opaque")
        return
    yield from driver_name(f"{path}.opaque.driver", configuration.driver)
    parameters: Any = configuration.parameters
    if parameters is None:
        yield required(f"{path}.opaque.parameters")
    elif not isinstance(parameters, dict):
        yield invalid(f"{path}.opaque.parameters", "<value omitted>", "parameters must be a valid JSON object")
