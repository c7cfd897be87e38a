"""Services, pods and slices in one line each, and what becomes of slices when a plan is carried out."""
from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import msgspec

from kubelet_lite.api.core_v1 import (
    Container,
    ContainerPort,
    Pod,
    PodCondition,
    PodIP,
    PodSpec,
    PodStatus,
    Service,
    ServicePort,
    ServiceSpec,
)
from kubelet_lite.api.discovery_v1 import EndpointSlice
from kubelet_lite.api.meta_v1 import ObjectMeta
from kubelet_lite.controllers.base import Create, Delete, Plan, Update
from kubelet_lite.controllers.endpoints import slices

replace = msgspec.structs.replace
TRIGGER = "endpoints.kubernetes.io/last-change-trigger-time"
HTTP = ServicePort(name="http", port=80, targetPort="web", protocol="TCP")


def service(*ports: ServicePort, selector: dict[str, str] | None = None, labels: dict[str, str] | None = None, uid: str = "s", **spec: Any) -> Service:
    return Service(
        metadata=ObjectMeta(name="web", namespace="ns", uid=uid, labels=labels or {}, creationTimestamp="2026-01-01T00:00:00Z"),
        spec=ServiceSpec(**{
            "selector": {"app": "web"} if selector is None else selector, "clusterIP": "10.96.0.1", "ipFamilies": ("IPv4",), "ports": ports or (HTTP,), **spec,
        }),
    )


def pod(
    number: int, ready: bool = True, deleted: bool = False, *, ports: dict[str, int] | None = None, node: str = "n", since: str = "2026-01-01T00:00:09Z",
    address: str | None = None, phase: str = "Running", **spec: Any,
) -> Pod:
    """Its ports: name → number."""
    condition = PodCondition(type="Ready", status="True" if ready else "False", lastTransitionTime=since)
    ip = f"10.0.{number // 250}.{number % 250 + 1}" if address is None else address
    container = Container(name="c", ports=tuple(ContainerPort(name=name, containerPort=at) for name, at in (ports or {"web": 8080}).items()))
    return Pod(
        metadata=ObjectMeta(
            name=f"p{number}", namespace="ns", uid=f"u{number}", labels={"app": "web"}, deletionTimestamp="2026-01-02T00:00:00Z" if deleted else None,
        ),
        spec=PodSpec(nodeName=node, containers=(container,), **spec),
        status=PodStatus(phase=phase, podIP=ip, podIPs=(PodIP(ip=ip),) if ip else (), conditions=(condition,)),
    )


def view(pods: Iterable[Pod], existing: Iterable[EndpointSlice] = (), of: Service | None = None, trigger: str = "") -> slices.View:
    return slices.View(of or service(), tuple(pods), tuple(existing), {"n": "zone-1", "bare": ""}, trigger)


def carried_out(existing: Sequence[EndpointSlice], plan: Plan, made_before: list[int]) -> tuple[EndpointSlice, ...]:
    """The slices after a plan."""
    found = {s.metadata.name: s for s in existing}
    for action in plan.actions:
        match action:
            case Create():
                made_before.append(0)
                name = f"web-{len(made_before)}"
                found[name] = replace(action.object, metadata=replace(action.object.metadata, name=name))
            case Update():
                assert found[action.object.metadata.name] != action.object
                found[action.object.metadata.name] = action.object
            case Delete():
                del found[action.object.metadata.name]
    return tuple(found.values())


def kinds(plan: Plan) -> list[str]:
    return [type(action).__name__ for action in plan.actions]
