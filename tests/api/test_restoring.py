"""Values of the wrong type, in the words of Go's decoder and of its restoring from plain values."""
import pytest

from kubelet_lite.api.apps_v1 import Deployment
from kubelet_lite.api.core_v1 import ConfigMap, Pod
from kubelet_lite.api.decoding import from_value
from kubelet_lite.api.reading import DecodingError
from kubelet_lite.api.restoring import misfit


@pytest.mark.parametrize(
    ("kind", "value", "decoding", "restoring"),
    [
        (
            Deployment, {"spec": {"replicas": "x"}},
            "json: cannot unmarshal string into Go struct field DeploymentSpec.spec.replicas of type int32", "unrecognized type: int32",
        ),
        (
            Deployment, {"spec": {"replicas": 1.5}},
            "json: cannot unmarshal number 1.5 into Go struct field DeploymentSpec.spec.replicas of type int32", "cannot convert float64 to int32",
        ),
        (
            ConfigMap, {"data": {"a": 1}},
            "json: cannot unmarshal number into Go struct field ConfigMap.data of type string", "cannot convert int64 to string",
        ),
        (
            ConfigMap, {"data": {"a": True}},
            "json: cannot unmarshal bool into Go struct field ConfigMap.data of type string", "unrecognized type: string",
        ),
        (
            ConfigMap, {"data": ["a"]},
            "json: cannot unmarshal array into Go struct field ConfigMap.data of type map[string]string", "cannot restore map from slice",
        ),
        (
            Pod, {"spec": {"containers": {"name": "c"}}},
            "json: cannot unmarshal object into Go struct field PodSpec.spec.containers of type []v1.Container", "cannot restore slice from map",
        ),
        (
            Pod, {"spec": {"containers": [{"ports": [{"containerPort": "80"}]}]}},
            "json: cannot unmarshal string into Go struct field ContainerPort.spec.containers.ports.containerPort of type int32",
            "unrecognized type: int32",
        ),
        (Pod, {"spec": 1}, "json: cannot unmarshal number into Go struct field Pod.spec of type v1.PodSpec", "cannot restore struct from: int64"),
        (
            Pod, {"spec": {"containers": [{"livenessProbe": {"httpGet": {"port": True}}}]}},
            "json: cannot unmarshal bool into Go value of type int32", "",
        ),
        (Pod, {"metadata": {"creationTimestamp": 1}}, "json: cannot unmarshal number into Go value of type string", ""),
    ],
)
def test_a_value_of_the_wrong_type(kind, value, decoding, restoring):
    with pytest.raises(DecodingError) as refused:
        from_value(kind, value)
    assert str(refused.value) == decoding
    assert misfit(kind, value) == restoring


def test_what_fits_is_no_misfit():
    assert misfit(Pod, {"spec": {"containers": [{"name": "c", "env": None}], "terminationGracePeriodSeconds": 5.0}}) == ""
