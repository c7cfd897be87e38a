"""The scripts that were recorded from Kubernetes' controllers, for the families that must be the same to the last part."""
from __future__ import annotations

from typing import Any

import pytest

from tests.controllers.recorded import differing, played, scripts

SCRIPTS = scripts("^(deployment|replicaset|replicationcontroller)/")


@pytest.mark.parametrize("script", SCRIPTS, ids=[script["name"] for script in SCRIPTS])
def test_controllers_make_of_a_script_what_those_of_kubernetes_made(script: dict[str, Any]) -> None:
    _, wrong = differing(script, played(script))
    assert wrong == []
