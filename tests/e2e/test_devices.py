"""`examples/devices.yaml` with real kubectl: pods get devices, wait for devices, and are told why."""
from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator

import pytest

from tests.conformance.servers import KUBECTL, ROOT, up

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("e2e")]


@pytest.fixture(scope="module")
def environment() -> Iterator[dict[str, str]]:
    with up("--nodes", "2", "--runtime", "fake") as running:
        yield {**os.environ, "KUBECONFIG": str(running.kubeconfig)}


def kubectl(environment: dict[str, str], *arguments: str) -> str:
    return subprocess.run([KUBECTL, *arguments], cwd=ROOT, env=environment, check=True, capture_output=True, text=True, timeout=90).stdout


def test_pods_share_two_devices_in_turn(environment: dict[str, str]) -> None:
    kubectl(environment, "apply", "-f", "examples/devices.yaml")
    kubectl(environment, "wait", "pod/large", "pod/either", "--for=condition=Ready", "--timeout=60s")
    lines = kubectl(environment, "get", "resourceclaims", "--no-headers").splitlines()
    states = {line.split()[0].rsplit("-", 1)[0]: line.split()[1] for line in lines}
    assert states == {"large-gpu": "allocated,reserved", "larger-gpu": "pending", "either-gpu": "allocated,reserved"}
    kubectl(environment, "wait", "pod/larger", "--for=condition=PodScheduled=False", "--timeout=60s")
    assert "0/2 nodes are available: 2 cannot allocate all claims." in kubectl(environment, "describe", "pod/larger")
    kubectl(environment, "delete", "pod/large")
    kubectl(environment, "wait", "pod/larger", "--for=condition=Ready", "--timeout=60s")
    kubectl(environment, "delete", "-f", "examples/devices.yaml", "--ignore-not-found")
    kubectl(environment, "wait", "resourceclaims", "--all", "--for=delete", "--timeout=60s")
