import pytest

from kubelet_lite.api import core_v1, discovery_v1
from kubelet_lite.api.core_v1 import Container, ContainerPort, Pod, PodSpec, ServicePort
from kubelet_lite.controllers.endpoints import ports

DNS = (("dns", 53, "UDP"), ("dns-tcp", 53, "TCP"), ("metrics", 9153, "TCP"))


def test_ports_stand_in_the_order_in_which_kubernetes_writes_them():
    slice_ports = [discovery_v1.EndpointPort(name=name, port=port, protocol=protocol) for name, port, protocol in reversed(DNS)]
    assert [port.name for port in ports.of_slice(slice_ports)] == ["dns", "dns-tcp", "metrics"]
    subset_ports = [core_v1.EndpointPort(name=name, port=port, protocol=protocol) for name, port, protocol in DNS]
    assert [port.name for port in ports.of_subset(subset_ports)] == ["metrics", "dns-tcp", "dns"]


@pytest.mark.parametrize(
    ("target", "protocol", "number"),
    [(8080, "TCP", 8080), (None, "TCP", 80), (0, "TCP", 80), ("web", "TCP", 8001), ("web", "UDP", 8002), ("side", "TCP", 8003), ("once", "TCP", None), ("none", "TCP", None)],
)
def test_a_target_is_a_number_or_the_name_of_a_port_of_a_running_container(target, protocol, number):
    main = Container(name="c", ports=(ContainerPort(name="web", containerPort=8002, protocol="UDP"), ContainerPort(name="web", containerPort=8001)))
    sidecar = Container(name="s", restartPolicy="Always", ports=(ContainerPort(name="side", containerPort=8003),))
    init = Container(name="i", ports=(ContainerPort(name="once", containerPort=8004),))
    pod = Pod(spec=PodSpec(containers=(main,), initContainers=(init, sidecar)))
    assert ports.target_port(pod, ServicePort(port=80, targetPort=target, protocol=protocol)) == number
