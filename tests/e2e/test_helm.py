"""Real Helm 4 with the chart that `helm create` makes, its image mapped to a small web server."""
import json
import subprocess

import pytest

from tests.e2e.conftest import HELM

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("e2e")]


@pytest.fixture
def helm(kubectl):
    def run(arguments, timeout=120):
        environment = {**kubectl.environment, "HELM_CACHE_HOME": str(kubectl.folder), "HELM_DATA_HOME": str(kubectl.folder)}
        done = subprocess.run([HELM, *arguments.split()], capture_output=True, text=True, cwd=kubectl.folder, env=environment, timeout=timeout)
        assert done.returncode == 0, f"helm {arguments}\n{done.stdout}\n{done.stderr}"
        return done.stdout

    run("create shop")
    return run


def test_a_release_from_install_to_uninstall(helm, kubectl):
    values = (
        "--set image.repository=web,image.tag=1,service.port=8080,livenessProbe.httpGet.path=/healthz,readinessProbe.httpGet.path=/healthz "
        "--set livenessProbe.httpGet.port=8080,readinessProbe.httpGet.port=8080,readinessProbe.periodSeconds=1"
    )
    assert "STATUS: deployed" in helm(f"install shop shop --wait --timeout 60s {values}")
    assert json.loads(helm("status shop -o json"))["info"]["status"] == "deployed"
    assert kubectl("get deployment shop -o jsonpath={.status.readyReplicas}").out == "1"
    assert [row["name"] for row in json.loads(helm("list -o json"))] == ["shop"]
    assert "has been upgraded" in helm(f"upgrade shop shop --wait --timeout 60s {values} --set replicaCount=2")
    assert json.loads(helm("get values shop -o json"))["replicaCount"] == 2
    assert kubectl("get deployment shop -o jsonpath={.status.readyReplicas}").out == "2"
    assert "Rollback was a success" in helm("rollback shop 1 --wait --timeout 60s")
    assert kubectl("get deployment shop -o jsonpath={.spec.replicas}").out == "1"
    assert [row["revision"] for row in json.loads(helm("history shop -o json"))] == [1, 2, 3]
    assert "uninstalled" in helm("uninstall shop --wait")
    kubectl.until("get deployment,service,pod -o name", lambda answer: answer.out == "")
