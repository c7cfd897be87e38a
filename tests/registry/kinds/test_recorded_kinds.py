"""The rules of all kinds but workloads against what a real API server answered to changes of one object; the floors may only rise."""
from __future__ import annotations

from contextlib import closing
from typing import Any

import pytest

from tests.registry.in_process import RECORDED, InProcess, replay

WORKLOADS = frozenset({
    "pods-min", "pods", "podtemplates", "replicasets", "deployments", "replicationcontrollers", "daemonsets", "statefulsets", "jobs", "cronjobs",
    "controllerrevisions", "pdb", "hpa", "hpa-v1",
})
FLOORS = {
    "certificatesigningrequests": 98.2, "customresourcedefinitions": 87.1, "persistentvolumes": 97.3, "resourceclaims": 97.2,
    "resourcequotas": 98.6, "servicecidrs": 96.9, "validatingadmissionpolicies": 86.0, "validatingwebhookconfigurations": 98.9,
}
"""All others answer every change as recorded."""
NAMES = sorted(path.stem for path in (RECORDED / "mutations").glob("*.jsonl") if path.stem not in WORKLOADS)


@pytest.mark.parametrize("name", NAMES)
def test_rules_answer_as_recorded(name: str) -> None:
    answers: list[bool] = []

    def report(group: str, label: str, found: Any) -> None:
        answers.append(not found)

    with closing(InProcess()) as server:
        replay.replay_mutations(server, RECORDED / "mutations" / f"{name}.jsonl", report, "")
    assert 100 * sum(answers) / len(answers) >= FLOORS.get(name, 100.0)
