"""The operators of `examples/` against `kubelet-lite up`, as their files say: what runs in a simulation runs outside, and the same file."""
from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.conformance.servers import KUBECTL, ROOT, up

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("e2e")]
KOPF = str(Path(sys.executable).parent / "kopf")


@pytest.fixture(scope="module")
def environment() -> Iterator[dict[str, str]]:
    with up("--runtime", "fake") as running:
        yield {**os.environ, "KUBECONFIG": str(running.kubeconfig)}


@contextmanager
def running(environment: dict[str, str], *command: str) -> Iterator[None]:
    with subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        try:
            yield
            assert process.poll() is None, "it has ended by itself"
        finally:
            process.terminate()


def kubectl(environment: dict[str, str], *arguments: str, stdin: str = "") -> str:
    return subprocess.run([KUBECTL, *arguments], cwd=ROOT, env=environment, input=stdin, check=True, capture_output=True, text=True, timeout=90).stdout


def wait(environment: dict[str, str], what: str, value: str, *arguments: str) -> None:
    """Until there is such an object, and then until it is so."""
    kubectl(environment, "wait", what, "--for=create", "--timeout=60s", *arguments)
    kubectl(environment, "wait", what, f"--for={value}", "--timeout=60s", *arguments)


def test_the_kopf_operator(environment: dict[str, str]) -> None:
    kubectl(environment, "apply", "-f", "examples/website-crd.yaml")
    kubectl(environment, "wait", "crd/websites.examples.kubelet-lite.dev", "--for=condition=Established")
    with running(environment, KOPF, "run", "--all-namespaces", "examples/operator_kopf.py"):
        kubectl(environment, "apply", "-f", "examples/website.yaml")
        wait(environment, "website/hello", "jsonpath={.status.readyReplicas}=2")
        assert kubectl(environment, "get", "configmap/hello-page", "-o", "jsonpath={.data.index\\.html}") == "<h1>Hello</h1>"
        assert kubectl(environment, "get", "web").split() == ["NAME", "REPLICAS", "READY", "hello", "2", "2"]
        kubectl(environment, "delete", "website/hello", "--cascade=foreground")
        assert kubectl(environment, "get", "deployments,configmaps", "-o", "name").split() == ["configmap/kube-root-ca.crt"]


def test_the_kr8s_controller(environment: dict[str, str]) -> None:
    with running(environment, sys.executable, "-W", "ignore", "examples/controller_kr8s.py"):
        kubectl(environment, "create", "namespace", "copies")
        kubectl(environment, "label", "namespace", "copies", "team=")
        kubectl(environment, "create", "configmap", "logo", "--from-literal=a=1")
        kubectl(environment, "label", "configmap", "logo", "copy-to=team")
        wait(environment, "configmap/logo", "jsonpath={.data.a}=1", "-n", "copies")
        kubectl(environment, "delete", "configmap", "logo", "-n", "copies")
        wait(environment, "configmap/logo", "jsonpath={.data.a}=1", "-n", "copies")
        kubectl(environment, "delete", "configmap", "logo")
        kubectl(environment, "wait", "configmap/logo", "--for=delete", "-n", "copies", "--timeout=60s")
