"""What strategies generate is taken by the API server, and shrinks to something plain."""
import inspect

import pytest
from hypothesis import find, given, settings
from hypothesis import strategies as st

from kubelet_lite.api.core_v1 import ServiceAccount
from kubelet_lite.api.meta_v1 import ObjectMeta
from kubelet_lite.api.resources import RESOURCES
from kubelet_lite.simulation.live import LiveSimulation
from kubelet_lite.simulation.simulation import Setting
from kubelet_lite.testing import builders, strategies
from kubelet_lite.testing.strategies import objects

PLURALS = {resource.plural for resource in RESOURCES}
OF_OBJECTS = [name for name, function in inspect.getmembers(objects) if name in PLURALS and callable(function)]
WORKLOADS = {"pods", "deployments", "replicasets", "replicationcontrollers", "statefulsets", "daemonsets", "jobs", "cronjobs"}


@pytest.fixture(scope="module")
def live():
    """An API server in virtual time, and nothing else."""
    with LiveSimulation(Setting(nodes=0, components=("apiserver",))) as live:
        account = ServiceAccount(metadata=ObjectMeta(name="default", namespace="default"))
        live.call(lambda simulation: simulation.client.create(account))
        yield live


def test_every_workload_kind_has_a_strategy():
    assert set(OF_OBJECTS) >= WORKLOADS | {"services", "configmaps", "namespaces", "nodes", "resourcequotas", "limitranges"}


@pytest.mark.parametrize("kind", [*OF_OBJECTS, "workloads"])
def test_the_api_server_takes_what_is_generated(kind, live):
    @settings(max_examples=60, database=None)
    @given(getattr(strategies, kind)())
    def taken(obj):
        live.call(lambda simulation: simulation.client.create(obj, dry_run=True))

    taken()


@pytest.mark.parametrize("kind", OF_OBJECTS)
def test_a_name_may_be_chosen(kind):
    @settings(max_examples=5, database=None)
    @given(getattr(strategies, kind)(st.just("chosen")))
    def named(obj):
        assert obj.metadata.name == "chosen"

    named()


def test_a_workload_shrinks_to_the_plain_one():
    plain = find(strategies.deployments(), lambda deployment: deployment.spec.replicas >= 2, settings=settings(database=None, derandomize=True))
    assert plain == builders.deployment("a", 2, template=builders.pod(containers=[builders.container("c0")]))
