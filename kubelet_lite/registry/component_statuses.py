"""ComponentStatuses: the health of the control plane as an API of old, made up at each read.

https://kubernetes.io/docs/reference/kubernetes-api/cluster-resources/component-status-v1/
"""
from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from kubelet_lite.api.core_v1 import ComponentCondition, ComponentStatus
from kubelet_lite.api.errors import NotFound
from kubelet_lite.api.meta_v1 import ObjectMeta
from kubelet_lite.api.requests import ListOptions, ListResult
from kubelet_lite.api.resources import find
from kubelet_lite.registry.rules import KindRules
from kubelet_lite.registry.stored import Stored

NAME: Final = "componentstatuses"
DEPRECATION: Final = "v1 ComponentStatus is deprecated in v1.19+"


class ComponentStatuses:
    """`health`: what is wrong with each component, empty when nothing is."""

    def __init__(self, health: Callable[[], Mapping[str, str]]) -> None:
        self._health = health

    @property
    def shown(self) -> Stored:
        return _SHOWN

    async def get(self, namespace: str, name: str) -> ComponentStatus:
        wrong = self._health().get(name)
        if wrong is None:
            raise NotFound.of("", NAME, name)
        return _status(name, wrong)

    async def list(self, namespace: str, options: ListOptions) -> ListResult:
        return ListResult(items=tuple(_status(name, wrong) for name, wrong in self._health().items()), resource_version="")


def _status(name: str, wrong: str) -> ComponentStatus:
    condition = ComponentCondition(type="Healthy", status="False" if wrong else "True", message=wrong or "ok")
    return ComponentStatus(metadata=ObjectMeta(name=name), conditions=(condition,))


def _row(status: ComponentStatus, now: float) -> Sequence[Any]:
    (condition,) = status.conditions
    return status.metadata.name, "Healthy" if condition.status == "True" else "Unhealthy", condition.message, condition.error


def _shown() -> Stored:
    resource = find("", "v1", NAME)
    assert resource is not None
    return Stored(resource, {NAME: KindRules(resource=NAME, row=_row)})


_SHOWN: Final = _shown()
