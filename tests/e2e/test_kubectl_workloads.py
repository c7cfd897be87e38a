"""What kubectl does with things that run: run, logs, expose, rollouts, wait, drain, and the cascades of delete."""
import re

import pytest

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("e2e")]
DEPLOYMENT = """
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  replicas: 2
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      terminationGracePeriodSeconds: 2
      containers:
      - name: web
        image: web:1
        env:
        - {name: POD_IP, valueFrom: {fieldRef: {fieldPath: status.podIP}}}
        - {name: POD_NAME, valueFrom: {fieldRef: {fieldPath: metadata.name}}}
        ports: [{containerPort: 8080}]
        readinessProbe: {httpGet: {path: /healthz, port: 8080}, periodSeconds: 1}
"""


@pytest.fixture
def web(kubectl):
    kubectl("apply -f -", DEPLOYMENT)
    kubectl("rollout status deployment/web --timeout=50s")
    return kubectl


def ready(kubectl, count):
    return kubectl.until("get deployment web -o jsonpath={.status.readyReplicas}", lambda answer: answer.out == str(count))


def test_run_and_logs_in_their_ways(kubectl):
    script = "for i in 1 2 3; do echo line $i; done; echo oops >&2; sleep 600"
    assert kubectl(f"run p --image=busybox --restart=Never --command -- sh -c '{script}'").out.strip() == "pod/p created"
    assert kubectl("wait --for=condition=Ready pod/p").out.strip() == "pod/p condition met"
    kubectl.until("logs p", lambda answer: len(answer.lines) == 4)
    assert sorted(kubectl("logs p").lines) == ["line 1", "line 2", "line 3", "oops"]
    assert len(kubectl("logs p --tail=1").lines) == 1
    assert len(kubectl("logs p --since=1h").lines) == 4
    assert len(kubectl("logs p -c p --limit-bytes=6").out) == 6
    assert re.match(r"\d{4}-\d\d-\d\dT\S+Z line 1", kubectl("logs p --timestamps").lines[0])
    assert "line 2" in kubectl("logs -l run=p").out
    assert kubectl("logs --prefix p --tail=1").out.startswith("[pod/p/p] ")
    assert kubectl.run("logs p -c nosuch").err.strip() == "error: container nosuch is not valid for pod p out of: p"
    following = kubectl.start("logs -f p")
    assert following.stdout is not None
    assert following.stdout.readline() == "line 1\n"
    kubectl("delete pod p --grace-period=1")
    following.communicate(timeout=30)
    assert following.returncode == 0


def test_logs_of_the_instance_before(kubectl):
    kubectl("run p --image=busybox --command -- sh -c 'echo once; exit 1'")
    kubectl.until("get pod p -o jsonpath={.status.containerStatuses[0].restartCount}", lambda answer: answer.out not in ("", "0"))
    assert kubectl("logs p --previous").out == "once\n"


def test_logs_of_several_containers(kubectl):
    kubectl("apply -f -", """
apiVersion: v1
kind: Pod
metadata: {name: two}
spec:
  restartPolicy: Never
  containers:
  - {name: a, image: busybox, command: [echo, from a]}
  - {name: b, image: busybox, command: [echo, from b]}
""")
    kubectl("wait --for=jsonpath={.status.phase}=Succeeded pod/two")
    first = kubectl("logs two")
    assert (first.out, first.err.strip()) == ("from a\n", "Defaulted container \"a\" out of: a, b")
    assert kubectl("logs two -c b").out == "from b\n"
    assert sorted(kubectl("logs two --all-containers").lines) == ["from a", "from b"]  # kubectl walks a map: either comes first
    assert kubectl.run("logs two -c b --previous").err.startswith('Error from server (BadRequest): previous terminated container "b" in pod "two" not found')


def test_an_image_that_nothing_stands_for_says_what_to_do(kubectl):
    kubectl("run p --image=absent.example.com/x:1")
    found = kubectl.until("get pod p", lambda answer: "ErrImagePull" in answer.out or "ImagePullBackOff" in answer.out)
    assert found.words[1][1] == "0/1"
    assert "--image absent.example.com/x:1=COMMAND" in kubectl("describe pod p").out
    waiting = kubectl.run("logs p")
    assert waiting.err.startswith('Error from server (BadRequest): container "p" in pod "p" is waiting to start: ')


def test_a_rollout_its_history_undo_pause_and_restart(web):
    assert web("rollout history deployment/web").words[1:] == [["REVISION", "CHANGE-CAUSE"], ["1", "<none>"]]
    assert web("set image deployment/web web=web:2").out.strip() == "deployment.apps/web image updated"
    assert web("rollout status deployment/web --timeout=50s").lines[-1] == 'deployment "web" successfully rolled out'
    assert [row[0] for row in web("rollout history deployment/web").words[2:]] == ["1", "2"]
    assert "web:2" in web("rollout history deployment/web --revision=2").out
    assert web("rollout undo deployment/web").out.strip() == "deployment.apps/web rolled back"
    web("rollout status deployment/web --timeout=50s")
    assert web("get deployment web -o jsonpath={.spec.template.spec.containers[0].image}").out == "web:1"
    assert web("rollout pause deployment/web").out.strip() == "deployment.apps/web paused"
    assert web.run("rollout pause deployment/web").err.strip() == 'error: deployments.apps "web" is already paused'
    web("set image deployment/web web=web:2")
    web.until("get deployment web", lambda answer: answer.words[1][2] == "0")
    assert web("rollout resume deployment/web").out.strip() == "deployment.apps/web resumed"
    web("rollout status deployment/web --timeout=50s")
    before = set(web("get pods -o name").lines)
    assert web("rollout restart deployment/web").out.strip() == "deployment.apps/web restarted"
    web("rollout status deployment/web --timeout=50s")
    web.until("get pods -o name", lambda answer: len(answer.lines) == 2 and not set(answer.lines) & before)


def test_scale_up_and_down(web):
    assert web("scale deployment/web --replicas=4").out.strip() == "deployment.apps/web scaled"
    ready(web, 4)
    web("scale deployment/web --replicas=1 --current-replicas=4")
    web.until("get pods -o name", lambda answer: len(answer.lines) == 1)
    assert "expected replicas" in web.run("scale deployment/web --replicas=3 --current-replicas=4").err.lower()


def test_expose_makes_a_service_that_answers(web):
    import urllib.request

    assert web("expose deployment web --port=80 --target-port=8080").out.strip() == "service/web exposed"
    address = web("get service web -o jsonpath={.spec.clusterIP}").out
    web.until("get endpointslices -o jsonpath={.items[*].endpoints[*].addresses}", lambda answer: len(answer.out.split()) == 2)
    names = set()
    for _ in range(8):
        with urllib.request.urlopen(f"http://{address}/", timeout=10) as answer:
            names.add(answer.read())
    assert len(names) == 2
    assert web("get endpoints web").words[1][0] == "web"


@pytest.mark.parametrize("cascade", ["background", "foreground", "orphan"])
def test_delete_in_every_cascade(web, cascade):
    gone = f'deployment.apps "web" deleted from {web.namespace} namespace'
    assert web(f"delete deployment web --cascade={cascade} --wait=true").out.strip() == gone
    if cascade == "orphan":
        assert len(web("get replicasets -o name").lines) == 1
        assert web("get replicasets -o jsonpath={.items[0].metadata.ownerReferences}").out == ""
        web("delete replicasets --all")
    web.until("get replicasets,pods -o name", lambda answer: answer.out == "")


def test_delete_by_force_does_not_wait(kubectl):
    kubectl("run p --image=busybox --command -- sh -c \"trap '' TERM; sleep 600 & wait; sleep 600\"")
    kubectl("wait --for=condition=Ready pod/p")
    gone = kubectl("delete pod p --grace-period=0 --force", timeout=10)
    assert gone.out.strip() == f'pod "p" force deleted from {kubectl.namespace} namespace'
    assert gone.err.startswith("Warning: Immediate deletion does not wait for confirmation")
    assert kubectl.run("get pod p").code == 1


def test_wait_for_a_condition_a_path_and_a_deletion(kubectl):
    kubectl("run p --image=busybox --restart=Never --command -- sh -c 'sleep 1'")
    assert kubectl("wait --for=jsonpath={.status.phase}=Succeeded pod/p --timeout=30s").out.strip() == "pod/p condition met"
    kubectl("delete pod p --wait=false")
    kubectl.run("wait --for=delete pod/p --timeout=30s")
    assert kubectl.run("get pod p").code == 1
    assert kubectl.run("wait --for=condition=Ready pod/p --timeout=1s").err.strip() == 'Error from server (NotFound): pods "p" not found'
    kubectl("create configmap c --from-literal=a=b")
    assert kubectl.run("wait --for=jsonpath={.data.a}=c cm/c --timeout=1s").err.strip() == "error: timed out waiting for the condition on configmaps/c"


def test_cordon_taint_and_drain(web):
    node = "node-2"
    try:
        assert web(f"cordon {node}").out.strip() == f"node/{node} cordoned"
        assert web(f"cordon {node}").out.strip() == f"node/{node} already cordoned"
        assert web(f"get node {node}").words[1][1] == "Ready,SchedulingDisabled"
        drained = web(f"drain {node} --ignore-daemonsets --force --delete-emptydir-data --grace-period=1 --timeout=50s --pod-selector=app=web")
        assert drained.lines[0] == f"node/{node} already cordoned"
        assert drained.lines[-1] == f"node/{node} drained"
        assert all(re.fullmatch(r"evicting pod \S+|pod/web-\S+ evicted", line) for line in drained.lines[1:-1])
        ready(web, 2)
        assert set(web("get pods -o jsonpath={.items[*].spec.nodeName}").out.split()) == {"node-1"}
        assert web(f"taint nodes {node} key=value:NoSchedule").out.strip() == f"node/{node} tainted"
        assert "key=value:NoSchedule" in web(f"describe node {node}").out
        assert web(f"taint nodes {node} key=value:NoSchedule-").out.strip() == f"node/{node} untainted"
    finally:
        web.run(f"taint nodes {node} key=value:NoSchedule-")
        freed = web(f"uncordon {node}").out.strip()
    assert freed == f"node/{node} uncordoned"


@pytest.mark.parametrize(
    ("command", "subresource"),
    [("exec {} -- true", "exec"), ("attach {}", "attach"), ("port-forward {} 0:8080", "portforward"), ("cp {}:/etc/hostname there", "exec")],
)
def test_streams_say_that_they_come_later(kubectl, command, subresource):
    kubectl("run p --image=busybox --restart=Never --command -- sleep 600")
    kubectl("wait --for=condition=Ready pod/p")
    refused = kubectl.run(command.format("p"))
    assert f"pods/{subresource} is not served yet: streams to containers come with a later version of kubelet-lite" in refused.err
    assert refused.code == 1
    kubectl("delete pod p --grace-period=0 --force")
