"""What builders make is taken by the API server as it is."""
import inspect

import msgspec
import pytest

from kubelet_lite import Behaviour
from kubelet_lite.api.apps_v1 import Deployment
from kubelet_lite.api.core_v1 import Pod, ServiceAccount
from kubelet_lite.api.meta_v1 import ObjectMeta
from kubelet_lite.cluster import Cluster
from kubelet_lite.simulation.checked import WrongValue
from kubelet_lite.testing import builders

MADE = [
    builders.pod("p"),
    builders.pod("q", labels={"a": "b"}, containers=[builders.container(requests={"cpu": "1"}, limits={"cpu": "2"}, port=80, liveness=builders.probe())]),
    builders.deployment("d"),
    builders.deployment("e", 2, max_surge="25%", max_unavailable=0, labels={"x": "y"}, template=builders.pod(labels={"z": "1"})),
    builders.deployment("f", recreate=True, paused=True),
    builders.replicaset("r", 2),
    builders.replicationcontroller("rc", 2),
    builders.statefulset("s", 2, parallel=True),
    builders.daemonset("ds"),
    builders.job("j", completions=3, parallelism=2, backoff_limit=1, indexed=True),
    builders.cronjob("c", concurrency="Forbid"),
    builders.service("svc", type="NodePort"),
    builders.service("headless", headless=True, selector={"x": "y"}),
    builders.service("bare", selector={}),
    builders.configmap("cm", {"a": "b"}),
    builders.secret("sec", {"a": "b"}),
    builders.namespace("ns", labels={"a": "b"}),
    builders.node("n", labels={"zone": "a"}),
    builders.poddisruptionbudget("pdb", min_available="50%"),
    builders.horizontalpodautoscaler("h", 3, min_replicas=2),
    builders.resourcequota("quota", {"pods": "10"}),
    builders.limitrange("lr", default={"cpu": "1"}, default_request={"cpu": "100m"}, max={"cpu": "2"}, min={"cpu": "10m"}),
    builders.priorityclass("high", 1000),
]


async def test_an_api_server_takes_what_a_builder_makes():
    async with Cluster(nodes=0, components=("apiserver",)) as cluster:
        await cluster.client.create(ServiceAccount(metadata=ObjectMeta(name="default", namespace="default")))
        for obj in MADE:
            await cluster.client.create(obj)


def test_an_empty_selector_is_meant():
    assert builders.service("s", selector={}).spec.selector == {}
    assert builders.poddisruptionbudget("p", selector={}, max_unavailable=1).spec.selector.matchLabels == {}
    assert builders.service("s").spec.selector == {"app": "s"}


@pytest.mark.parametrize(("make", "message"), [
    (lambda: builders.deployment("d", recreate=True, max_surge=1), "deployment: with recreate there is no max_surge"),
    (lambda: builders.deployment("d", recreate=True, max_unavailable=0), "deployment: with recreate there is no max_surge"),
    (lambda: builders.pod("p", image="x:1", containers=[builders.container()]), "pod: say image or containers, not both"),
    (lambda: builders.poddisruptionbudget("p"), "poddisruptionbudget: say min_available or max_unavailable"),
])
def test_arguments_that_contradict_each_other_are_refused(make, message):
    with pytest.raises(ValueError, match=f"^{message}"):
        make()


def test_every_builder_of_an_object_is_tried():
    made = {type(obj).__name__.lower() for obj in MADE}
    offered = {name for name, function in inspect.getmembers(builders, inspect.isfunction) if function.__module__ == builders.__name__ and name[0] != "_"}
    assert offered - {"container", "probe"} == made


async def test_pods_of_a_template_behave_as_it_says():
    async with Cluster(nodes=1) as cluster:
        web = builders.deployment("web", 2, template=builders.pod(behaviour=Behaviour(ready_after_seconds=3600.0), labels={"own": "label"}))
        await cluster.client.create(web)
        await cluster.wait("deployment/web", "jsonpath={.status.replicas}=2")
        pods = (await cluster.client.list(Pod, namespace="default")).items
        assert [dict(pod.metadata.labels)["own"] for pod in pods] == ["label", "label"]
        assert (await cluster.client.get(Deployment, "web", namespace="default")).spec.template.metadata.labels["app"] == "web"


def test_a_behaviour_by_container_is_the_runtimes_annotation():
    made = builders.pod("p", behaviour={"app": Behaviour(run_seconds=1, exit_code=3)})
    (note,) = made.metadata.annotations.values()
    assert msgspec.json.decode(note) == {"app": {"run_seconds": 1, "exit_code": 3}}


def test_a_budget_has_one_bound():
    with pytest.raises(ValueError, match="one of them"):
        builders.poddisruptionbudget("b")


@pytest.mark.parametrize(("make", "words"), [
    (lambda: builders.deployment("web", "3"), "deployment: replicas='3': a whole number"), (lambda: builders.pod(5), "pod: name=5: a text"),
    (lambda: builders.deployment("web", template={}), "deployment: template={}: a Pod or None"), (lambda: builders.pod(labels={"a": 1}), r"pod: labels\['a'\]=1: a text"),
    (lambda: builders.pod(containers=builders.container()), "pod: containers=.*: a list"), (lambda: builders.container(command="sleep 1"), "command='sleep 1': a list"),
    (lambda: builders.pod(behaviour={"run_seconds": 1}), r"pod: behaviour\['run_seconds'\]=1: a Behaviour"),
])
def test_arguments_of_another_type_are_refused(make, words):
    with pytest.raises(WrongValue, match=words):
        make()
