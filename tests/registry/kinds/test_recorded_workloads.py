"""The rules of workloads against what a real API server answered to changes of one object; the floors may only rise."""
from __future__ import annotations

import pytest

from tests.registry.kinds import offline

FLOORS = {
    "pods-min": 100.0, "pods": 99.5, "podtemplates": 100.0, "replicasets": 100.0, "deployments": 98.5, "replicationcontrollers": 95.0,
    "daemonsets": 97.5, "statefulsets": 99.0, "jobs": 99.0, "cronjobs": 100.0, "controllerrevisions": 100.0, "pdb": 100.0, "hpa": 99.5,
    "hpa-v1": 100.0,
}


@pytest.mark.parametrize("name", FLOORS)
def test_rules_answer_as_recorded(name: str) -> None:
    same, compared, _ = offline.run(name, 0)
    assert 100 * same / compared >= FLOORS[name]
