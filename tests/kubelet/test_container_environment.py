import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubelet_lite.api.core_v1 import (
    ConfigMap,
    ConfigMapEnvSource,
    ConfigMapKeySelector,
    Container,
    EnvFromSource,
    EnvVar,
    EnvVarSource,
    Node,
    ObjectFieldSelector,
    Pod,
    PodSpec,
    ResourceFieldSelector,
    ResourceRequirements,
    Secret,
    Service,
    ServicePort,
    ServiceSpec,
)
from kubelet_lite.api.meta_v1 import ObjectMeta
from kubelet_lite.kubelet.container_environment import ConfigError, Sources, environment, expand
from kubelet_lite.kubelet.pod_worker import hostname_of

MAPS = {"m": ConfigMap(data={"a": "1", "b": "2"})}
SECRETS = {"s": Secret(data={"k": b"hush"})}
SERVICE = Service(
    metadata=ObjectMeta(name="my-db"), spec=ServiceSpec(clusterIP="10.96.0.9", ports=(ServicePort(name="sql", port=5432, protocol="TCP"),))
)
SOURCES = Sources(config_map=MAPS.get, secret=SECRETS.get, node=Node(), services=(SERVICE,))
POD = Pod(metadata=ObjectMeta(name="p", namespace="ns", labels={"app": 'a"b'}), spec=PodSpec(nodeName="n"))


def made(*env, **more):
    return environment(POD, Container(name="c", env=env, **more), SOURCES)


def test_service_variables_have_both_forms():
    found = made()
    assert found["MY_DB_SERVICE_HOST"] == "10.96.0.9"
    assert found["MY_DB_SERVICE_PORT_SQL"] == "5432"
    assert found["MY_DB_PORT"] == found["MY_DB_PORT_5432_TCP"] == "tcp://10.96.0.9:5432"


def test_later_variables_refer_to_earlier_ones_and_literals_win_over_sources():
    found = made(
        EnvVar(name="A", value="x"), EnvVar(name="B", value="$(A)-$(C)-$$(A)-$(MY_DB_SERVICE_HOST)"), EnvVar(name="a", value="own"),
        envFrom=(EnvFromSource(configMapRef=ConfigMapEnvSource(name="m")),),
    )
    assert found["B"] == "x-$(C)-$(A)-10.96.0.9"
    assert (found["a"], found["b"]) == ("own", "2")


def test_fields_and_resources_of_the_pod():
    def field(path):
        return EnvVar(name="X", valueFrom=EnvVarSource(fieldRef=ObjectFieldSelector(fieldPath=path)))

    assert made(field("metadata.name"))["X"] == "p"
    assert made(field("metadata.labels['app']"))["X"] == 'a"b'
    limits = ResourceRequirements(limits={"cpu": "1500m", "memory": "64Mi"})
    cpu = EnvVar(name="X", valueFrom=EnvVarSource(resourceFieldRef=ResourceFieldSelector(resource="limits.cpu")))
    memory = EnvVar(name="Y", valueFrom=EnvVarSource(resourceFieldRef=ResourceFieldSelector(resource="limits.memory", divisor="1Mi")))
    found = made(cpu, memory, resources=limits)
    assert (found["X"], found["Y"]) == ("2", "64")


@pytest.mark.parametrize(
    ("source", "message"),
    [
        (ConfigMapKeySelector(name="no", key="a"), 'configmap "no" not found'),
        (ConfigMapKeySelector(name="m", key="z"), "couldn't find key z in ConfigMap ns/m"),
    ],
)
def test_what_is_missing_is_said_in_kubernetes_words(source, message):
    with pytest.raises(ConfigError) as error:
        made(EnvVar(name="X", valueFrom=EnvVarSource(configMapKeyRef=source)))
    assert str(error.value) == message


def test_what_is_missing_and_optional_is_left_out():
    source = ConfigMapKeySelector(name="no", key="a", optional=True)
    assert "X" not in made(EnvVar(name="X", valueFrom=EnvVarSource(configMapKeyRef=source)))


@pytest.mark.parametrize(
    ("spec", "hostname"),
    [
        (PodSpec(), "p"), (PodSpec(hostname="h"), "h"), (PodSpec(hostname="h", hostNetwork=True), "n"),
        (PodSpec(hostname="h", hostnameOverride="o"), "o"),
    ],
)
def test_the_hostname_of_a_pod(spec, hostname):
    assert hostname_of(Pod(metadata=ObjectMeta(name="p"), spec=spec), "n") == hostname


@given(st.text(alphabet="ab$()", max_size=12))
def test_without_variables_nothing_but_doubled_dollars_changes(text):
    assert expand(text.replace("$", "$$"), {}) == text
