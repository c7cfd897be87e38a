"""The workloads of Kubernetes' scheduler_perf, as data: `CASE/WORKLOAD` → operations in order, with parameters and upstream's threshold.

https://github.com/kubernetes/kubernetes/tree/master/test/integration/scheduler_perf
"""
from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any, Final

import msgspec

from kubelet_lite.api import resources
from kubelet_lite.api.decoding import from_value

FILE: Final = Path(__file__).with_name("scheduler_perf.json")
NODE: Final = "templates/node-default.yaml"
POD: Final = "templates/pod-default.yaml"
Operation = Mapping[str, Any]


class Workload(msgspec.Struct, frozen=True):
    """One workload of one case."""

    name: str
    """CASE/WORKLOAD."""
    operations: Sequence[Operation]
    parameters: Mapping[str, Any]
    threshold: float
    """Pods a second below which Kubernetes' own CI fails; 0: it has none."""
    pod_template: str = POD

    @property
    def measured(self) -> int:
        """How many pods are measured; 0 where time says so."""
        return sum(self.number(operation, "count") for operation in self.operations if operation.get("collectMetrics") and operation["opcode"] == "createPods")

    def number(self, operation: Operation, name: str) -> int:
        """`count`, or the parameter that `countParam` names."""
        reference = operation.get(f"{name}Param")
        return int(self.parameters[reference.removeprefix("$")]) if reference else int(operation[name])


HUGE: Final = Workload(
    "Scale/5000Nodes_150000Pods",
    ({"opcode": "createNodes", "countParam": "$nodes"}, {"opcode": "createPods", "countParam": "$pods", "collectMetrics": True}),
    {"nodes": 5_000, "pods": 150_000}, 0, "templates/pod-small.yaml",
)
"""Kubernetes' own limits of scale; its pods ask for less, so that 30 fit on each node's 4 CPUs."""


def on_nodes(nodes: int) -> Workload:
    """The largest SchedulingBasic on another number of nodes."""
    basic = workloads()["SchedulingBasic/5000Nodes_10000Pods"]
    return msgspec.structs.replace(basic, name=f"SchedulingBasic/{nodes}Nodes_10000Pods", parameters={**basic.parameters, "initNodes": nodes}, threshold=0)


@cache
def workloads() -> Mapping[str, Workload]:
    found = {}
    for case in _data()["cases"]:
        for said in case["workloads"]:
            threshold = said["threshold"]
            name = f"{case['name']}/{said['name']}"
            found[name] = Workload(
                name, case["ops"], said["params"], threshold if not isinstance(threshold, dict) else next(iter(threshold.values())),
                case.get("defaultPodTemplate", POD),
            )
    return {**found, HUGE.name: HUGE}


@cache
def template(path: str) -> Any:
    """An object of the template; one and the same each time."""
    if path == "templates/pod-small.yaml":
        small = json.loads(json.dumps(_data()["templates"][POD]).replace('"100m"', '"10m"').replace("500Mi", "50Mi"))
        return _object(small)
    return _object(_data()["templates"][path])


def _object(value: Mapping[str, Any]) -> Any:
    kind = resources.find_kind(value["apiVersion"], value["kind"])
    assert kind is not None, value["kind"]
    return from_value(kind.type, value).object


@cache
def _data() -> Any:
    return json.loads(FILE.read_text())
