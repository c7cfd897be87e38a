"""What kubectl shows: versions, discovery, get in all its forms, describe, explain, events, watch."""
import json

import pytest

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("e2e")]
POD = """
apiVersion: v1
kind: Pod
metadata: {name: web, labels: {app: web}}
spec:
  terminationGracePeriodSeconds: 1
  containers:
  - {name: c, image: busybox, command: [sleep, "600"]}
"""


@pytest.fixture
def pod(kubectl):
    kubectl("apply -f -", POD)
    kubectl("wait --for=condition=Ready pod/web")
    return kubectl


def test_version_and_cluster_info(kubectl):
    assert "Server Version: v1.36.0" in kubectl("version").lines
    assert kubectl("version -o json").json["serverVersion"]["minor"] == "36"
    assert kubectl("cluster-info").lines[0] == f"Kubernetes control plane is running at {kubectl.server.url}"


def test_api_resources_and_versions(kubectl):
    rows = {words[0]: words[1:] for words in kubectl("api-resources").words}
    assert rows["deployments"] == ["deploy", "apps/v1", "true", "Deployment"]
    assert rows["nodes"] == ["no", "v1", "false", "Node"]
    versions = kubectl("api-versions").lines
    assert {"v1", "apps/v1", "rbac.authorization.k8s.io/v1"} <= set(versions)
    assert "pods" in kubectl("api-resources --namespaced=true -o name").lines
    assert kubectl("api-resources --api-group=apps").words[0] == ["NAME", "SHORTNAMES", "APIVERSION", "NAMESPACED", "KIND"]
    assert len(kubectl("api-resources --api-group=apps -o wide").lines) == 6


def test_get_in_every_form(pod):
    assert pod("get pods").words[0] == ["NAME", "READY", "STATUS", "RESTARTS", "AGE"]
    assert pod("get pods").words[1][:4] == ["web", "1/1", "Running", "0"]
    assert pod("get pods -o wide").words[0][5:] == ["IP", "NODE", "NOMINATED NODE", "READINESS GATES"]
    assert pod("get pod web -o json").json["status"]["phase"] == "Running"
    assert "phase: Running" in pod("get pod web -o yaml").out
    assert pod("get pods -o name").lines == ["pod/web"]
    assert pod("get pods -o jsonpath={.items[0].spec.containers[0].image}").out == "busybox"
    assert pod("get pods -o custom-columns=N:.metadata.name,P:.status.phase").words == [["N", "P"], ["web", "Running"]]
    assert pod("get pods -l app=web -o name").lines == ["pod/web"]
    assert "No resources found" in pod("get pods -l app=other").err
    assert pod("get pods --field-selector status.phase=Running -o name").lines == ["pod/web"]
    assert "No resources found" in pod("get pods --field-selector status.phase=Failed").err
    assert any(row[:2] == [pod.namespace, "web"] for row in pod("get pods -A").words)
    assert pod("get pods --show-labels").words[1][-1] == "app=web"
    assert pod("get pods -o 'go-template={{(index .items 0).metadata.name}}'").out == "web"
    assert pod("get pods --sort-by=.metadata.name --no-headers").words[0][0] == "web"
    assert pod("get pods -L app").words[0][-1] == "APP"
    assert pod("get all -o name").lines == ["pod/web"]
    assert pod.run("get nosuch").err.strip() == 'error: the server doesn\'t have a resource type "nosuch"'
    assert pod.run("get pods nosuch").err.strip() == 'Error from server (NotFound): pods "nosuch" not found'


def test_watch_shows_changes_as_they_come(pod):
    watching = pod.start("get pods -w")
    assert watching.stdout is not None
    watching.stdout.readline()
    assert watching.stdout.readline().split()[:3] == ["web", "1/1", "Running"]
    pod("label pod web seen=yes")
    pod("delete pod web --wait=false")
    seen = []
    while "Terminating" not in seen and "Completed" not in seen and "Error" not in seen:
        seen.append(watching.stdout.readline().split()[2])
    watching.terminate()
    watching.communicate()
    assert seen[0] == "Running"


def test_describe_tells_the_story_of_a_pod(pod):
    text = pod("describe pod web").out
    for line in ("Name:             web", "Status:           Running", "    Image:         busybox", "  Normal  Scheduled", "  Normal  Started"):
        assert line in text
    assert "Container started" in text


def test_describe_node_shows_what_runs_on_it(pod):
    node = pod("get pod web -o jsonpath={.spec.nodeName}").out
    text = pod(f"describe node {node}").out
    assert "Ready" in text
    assert pod.namespace in text
    assert "Allocated resources" in text


def test_explain_walks_the_types(kubectl):
    text = kubectl("explain pod.spec.containers.image").out
    assert "FIELD: image <string>" in text
    assert "replicas\t<integer>" in kubectl("explain deployment.spec").out
    assert "terminationGracePeriodSeconds" in kubectl("explain pod --recursive").out
    assert kubectl.run("explain pod.spec.nosuch").err.strip() == 'error: field "nosuch" does not exist'
    assert kubectl("explain deployment --api-version=apps/v1").lines[:3] == ["GROUP:      apps", "KIND:       Deployment", "VERSION:    v1"]


def test_events_of_a_pod(pod):
    rows = pod("events --for pod/web").words
    assert rows[0] == ["LAST SEEN", "TYPE", "REASON", "OBJECT", "MESSAGE"]
    assert {row[2] for row in rows[1:]} >= {"Scheduled", "Pulled", "Created", "Started"}
    assert pod("get events --field-selector reason=Scheduled").words[1][1:4] == ["Normal", "Scheduled", "pod/web"]
    assert pod("events --types=Warning").err.strip() == f"No events found in {pod.namespace} namespace."


def test_raw_paths_and_health(kubectl):
    assert kubectl("get --raw /readyz").out == "ok"
    assert json.loads(kubectl("get --raw /version").out)["gitVersion"] == "v1.36.0"
    assert kubectl("get --raw /api/v1/namespaces/default").json["metadata"]["name"] == "default"


def test_auth_questions(kubectl):
    assert kubectl("auth can-i create pods").out.strip() == "yes"
    denied = kubectl.run(f"auth can-i create pods --as system:serviceaccount:{kubectl.namespace}:default")
    assert (denied.out.strip(), denied.code) == ("no", 1)
    assert kubectl("auth can-i --list").words[0] == ["Resources", "Non-Resource URLs", "Resource Names", "Verbs"]
    assert kubectl("auth whoami").words[:2] == [["ATTRIBUTE", "VALUE"], ["Username", "admin"]]
    assert ["Groups", "[devs system:authenticated]"] in kubectl("auth whoami --as jane --as-group devs").words
    refused = kubectl.run("get secrets --as jane")
    assert refused.err.strip() == (
        'Error from server (Forbidden): secrets is forbidden: User "jane" cannot list resource "secrets" in API group "" '
        f'in the namespace "{kubectl.namespace}"'
    )
    assert kubectl.run("get pods --token=wrong").err.strip() == "error: You must be logged in to the server (Unauthorized)"


def test_the_health_of_the_control_plane(kubectl):
    rows = kubectl("get componentstatuses").words
    assert rows[0] == ["NAME", "STATUS", "MESSAGE", "ERROR"]
    assert sorted(row[:3] for row in rows[1:]) == [[name, "Healthy", "ok"] for name in ("controller-manager", "etcd-0", "scheduler")]


def test_without_metrics_top_says_so(kubectl):
    for what in ("nodes", "pods"):
        assert kubectl.run(f"top {what}").err.strip() == "error: Metrics API not available"
