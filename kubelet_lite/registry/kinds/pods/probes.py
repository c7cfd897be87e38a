"""Validation of probes and lifecycle hooks.

https://kubernetes.io/docs/concepts/workloads/pods/pod-lifecycle/#container-probes
"""
from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from kubelet_lite.api import names
from kubelet_lite.api.core_v1 import HTTPGetAction, Lifecycle, LifecycleHandler, PodSpec, Probe
from kubelet_lite.api.errors import FieldError, forbidden, invalid, not_supported, required
from kubelet_lite.registry.validation.numbers import nonnegative
from kubelet_lite.registry.validation.ports import port_number, port_number_or_name

HTTP_SCHEMES: Final = ("HTTP", "HTTPS")
WINDOWS_SIGNALS: Final = ("SIGKILL", "SIGTERM")
LINUX_SIGNALS: Final = tuple(sorted((
    *(f"SIG{name}" for name in ["ABRT", "ALRM", "BUS", "CHLD", "CLD", "CONT", "FPE", "HUP", "ILL", "INT", "IO", "IOT", "KILL", "PIPE", "POLL", "PROF", "PWR", "QUIT", "SEGV", "STKFLT", "STOP", "SYS", "TERM", "TRAP", "TSTP", "TTIN", "TTOU", "URG", "USR1", "USR2", "VTALRM", "WINCH", "XCPU", "XFSZ", "RTMIN", "RTMAX"]),
    *(f"SIGRTMIN+{i}" for i in range(1, 16)), *(f"SIGRTMAX-{i}" for i in range(1, 15)),
)))


def validate_probes(path: str, liveness: Probe | None, readiness: Probe | None, startup: Probe | None) -> Iterator[FieldError]:
    if liveness is not None:
        yield from _probe(f"{path}.livenessProbe", liveness)
        yield from _succeeds_once(f"{path}.livenessProbe", liveness)
    if readiness is not None:
        yield from _probe(f"{path}.readinessProbe", readiness)
        if readiness.terminationGracePeriodSeconds is not None:
            yield invalid(f"{path}.readinessProbe.terminationGracePeriodSeconds", readiness.terminationGracePeriodSeconds,
                          "must not be set for readinessProbes")
    if startup is not None:
        yield from _probe(f"{path}.startupProbe", startup)
        yield from _succeeds_once(f"{path}.startupProbe", startup)


def _succeeds_once(path: str, probe: Probe) -> Iterator[FieldError]:
    if probe.successThreshold != 1:
        yield invalid(f"{path}.successThreshold", probe.successThreshold, "must be 1")


def _probe(path: str, probe: Probe) -> Iterator[FieldError]:
    yield from _handler(path, probe, None)
    for field in ("initialDelaySeconds", "timeoutSeconds", "periodSeconds", "successThreshold", "failureThreshold"):
        yield from nonnegative(f"{path}.{field}", getattr(probe, field))
    if probe.terminationGracePeriodSeconds is not None and probe.terminationGracePeriodSeconds <= 0:
        yield invalid(f"{path}.terminationGracePeriodSeconds", probe.terminationGracePeriodSeconds, "must be greater than 0")


def validate_lifecycle(path: str, lifecycle: Lifecycle, spec: PodSpec) -> Iterator[FieldError]:
    grace_period = spec.terminationGracePeriodSeconds
    if lifecycle.postStart is not None:
        yield from _handler(f"{path}.postStart", lifecycle.postStart, grace_period)
    if lifecycle.preStop is not None:
        yield from _handler(f"{path}.preStop", lifecycle.preStop, grace_period)
    if lifecycle.stopSignal is not None:
        yield from _stop_signal(f"{path}.stopSignal", lifecycle.stopSignal, spec.os.name if spec.os is not None else "")


def _stop_signal(path: str, signal: str, os: str) -> Iterator[FieldError]:
    if not os:
        yield forbidden(path, "may not be set for containers with empty `spec.os.name`")
        return
    signals = WINDOWS_SIGNALS if os == "windows" else LINUX_SIGNALS
    if signal not in signals:
        yield not_supported(path, signal, signals)


def _handler(path: str, handler: Probe | LifecycleHandler, grace_period: int | None) -> Iterator[FieldError]:
    """Exactly one of exec, httpGet, tcpSocket, grpc (probes) and sleep (hooks)."""
    count = 0
    for kind in ("exec", "httpGet", "tcpSocket", "grpc", "sleep"):
        action = getattr(handler, kind, None)
        if action is None:
            continue
        count += 1
        at = f"{path}.{kind}"
        if count > 1:
            yield forbidden(at, "may not specify more than 1 handler type")
        elif kind == "exec":
            if not action.command:
                yield required(f"{at}.command")
        elif kind == "httpGet":
            yield from _http_get(at, action)
        elif kind == "tcpSocket":
            yield from port_number_or_name(f"{at}.port", action.port)
        elif kind == "grpc":
            yield from port_number(f"{at}.port", action.port)
        elif grace_period is not None and not 0 <= action.seconds <= grace_period:
            yield invalid(at, action.seconds, f"must be non-negative and less than terminationGracePeriodSeconds ({grace_period})")
    if not count:
        yield required(path, "must specify a handler type")


def _http_get(path: str, action: HTTPGetAction) -> Iterator[FieldError]:
    if not action.path:
        yield required(f"{path}.path")
    yield from port_number_or_name(f"{path}.port", action.port)
    if action.scheme not in HTTP_SCHEMES:
        yield not_supported(f"{path}.scheme", action.scheme, HTTP_SCHEMES)
    for header in action.httpHeaders:
        for message in names.http_header_name(header.name):
            yield invalid(f"{path}.httpHeaders", header.name, message)
