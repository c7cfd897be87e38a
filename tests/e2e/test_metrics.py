"""kubectl top against real processes, in a cluster that serves metrics."""
import re
import sys

import pytest

from tests.conformance.servers import up

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("e2e")]
BUSY = """
apiVersion: v1
kind: Pod
metadata: {name: busy, labels: {app: spinning}}
spec:
  terminationGracePeriodSeconds: 0
  containers:
  - {name: spins, image: busybox, command: [PYTHON, -c, "while True: pass"]}
  - {name: sleeps, image: busybox, command: [sleep, "600"]}
---
apiVersion: v1
kind: Pod
metadata: {name: large, labels: {app: holding}}
spec:
  terminationGracePeriodSeconds: 0
  containers:
  - {name: holds, image: busybox, command: [PYTHON, -c, "held = bytearray(100 << 20); import time; time.sleep(600)"]}
""".replace("PYTHON", sys.executable)


@pytest.fixture(scope="module")
def server():
    with up("--nodes", "2", "--runtime", "subprocess", "--image", "busybox=", "--metrics") as running:
        yield running


def millicores(text):
    assert re.fullmatch(r"\d+m", text), text
    return int(text[:-1])


def mebibytes(text):
    assert re.fullmatch(r"\d+Mi", text), text
    return int(text[:-2])


@pytest.fixture
def pods(kubectl):
    kubectl("apply -f -", BUSY)
    kubectl("wait --for=condition=Ready pod/busy pod/large")
    kubectl.until("top pods", at_work)
    return kubectl


def at_work(answer):
    """Whether both pods have begun with what they are there for, and the large one is done with taking its memory."""
    used = {name: (millicores(cpu), mebibytes(memory)) for name, cpu, memory in answer.words[1:]}
    return len(used) == 2 and used["busy"][0] > 50 > used["large"][0] and used["large"][1] >= 100


def test_top_pods(pods):
    header, *rows = pods("top pods").words
    assert header == ["NAME", "CPU(cores)", "MEMORY(bytes)"]
    used = {name: (millicores(cpu), mebibytes(memory)) for name, cpu, memory in rows}
    assert used["busy"][0] > 50 > used["large"][0]
    assert used["large"][1] >= 100 > used["busy"][1]
    assert [row[0] for row in pods("top pods --sort-by=cpu").words[1:]] == ["busy", "large"]
    assert [row[0] for row in pods("top pods --sort-by=memory").words[1:]] == ["large", "busy"]
    assert [row[0] for row in pods("top pods -l app=holding").words[1:]] == ["large"]
    assert [row[0] for row in pods("top pods --field-selector metadata.name=busy").words[1:]] == ["busy"]
    assert pods("top pod large --no-headers").words[0][0] == "large"


def test_top_pods_by_container_and_everywhere(pods):
    header, *rows = pods("top pods --containers").words
    assert header == ["POD", "NAME", "CPU(cores)", "MEMORY(bytes)"]
    cpu = {(pod, name): millicores(used) for pod, name, used, _ in rows}
    assert set(cpu) == {("busy", "spins"), ("busy", "sleeps"), ("large", "holds")}
    assert cpu["busy", "spins"] > 50 > cpu["busy", "sleeps"]
    assert {(row[0], row[1]) for row in pods("top pods -A").words[1:]} >= {(pods.namespace, "busy"), (pods.namespace, "large")}
    assert re.fullmatch(r"\d+m\s+\d+Mi", pods("top pods --sum").lines[-1].strip())


def test_top_nodes_shows_the_machine(pods):
    header, *rows = pods("top nodes").words
    assert header == ["NAME", "CPU(cores)", "CPU(%)", "MEMORY(bytes)", "MEMORY(%)"]
    assert [row[0] for row in rows] == ["node-1", "node-2"]
    for _, cpu, share, memory, memory_share in rows:
        assert millicores(cpu) > 50
        assert 0 < int(share[:-1]) <= 101
        assert mebibytes(memory) > 100
        assert 0 < int(memory_share[:-1]) <= 100
    assert [row[0] for row in pods("top nodes -l kubernetes.io/hostname=node-2").words[1:]] == ["node-2"]
    assert pods("top node node-1 --no-headers").words[0][0] == "node-1"


def test_metrics_as_objects(pods):
    found = pods("get --raw /apis/metrics.k8s.io/v1beta1/nodes/node-1").json
    assert (found["kind"], found["apiVersion"], sorted(found["usage"])) == ("NodeMetrics", "metrics.k8s.io/v1beta1", ["cpu", "memory"])
    assert found["timestamp"].endswith("Z")
    assert re.fullmatch(r"(\d+m)?\d+(\.\d+)?s", found["window"])
    assert pods("get podmetrics").words[0] == ["NAME", "CPU", "MEMORY", "WINDOW"]
    assert pods("get pods.metrics.k8s.io busy -o name").lines == ["podmetrics.metrics.k8s.io/busy"]
    assert "<[]ContainerMetrics>" in pods("explain podmetrics").out
    assert {tuple(row) for row in pods("api-resources --api-group=metrics.k8s.io --no-headers").words} == {
        ("nodes", "metrics.k8s.io/v1beta1", "false", "NodeMetrics"), ("pods", "metrics.k8s.io/v1beta1", "true", "PodMetrics"),
    }


def test_what_has_no_metrics_is_not_found(kubectl):
    kubectl("apply -f -", "{apiVersion: v1, kind: Pod, metadata: {name: never}, spec: {containers: [{name: c, image: nosuch}]}}")
    assert kubectl.run("top pods").err.strip() == "error: metrics not available yet"
    assert kubectl.run("get podmetrics never").err.strip() == (
        f'Error from server (NotFound): podmetrics.metrics.k8s.io "{kubectl.namespace}/never" not found'
    )
    assert kubectl.run("top pod nosuch").err.strip() == 'Error from server (NotFound): pods "nosuch" not found'


def test_who_may_view_may_read_them(pods):
    pods(f"create rolebinding viewers --clusterrole=view --user=jane -n {pods.namespace}")
    assert pods.until("auth can-i list pods.metrics.k8s.io --as jane", lambda answer: answer.out.strip() == "yes")
    assert len(pods("top pods --as jane").words) == 3
    assert "nodes.metrics.k8s.io is forbidden" in pods.run("top nodes --as jane").err
