"""The data path's process dies: the actor crashes, and its next start sends every route again."""
import os
import signal

import anyio

from kubelet_lite.actors.environment import Environment
from kubelet_lite.actors.supervisor import Supervisor
from kubelet_lite.api.core_v1 import Service, ServicePort, ServiceSpec
from kubelet_lite.api.discovery_v1 import Endpoint, EndpointConditions, EndpointPort, EndpointSlice
from kubelet_lite.api.meta_v1 import ObjectMeta
from kubelet_lite.cluster import Cluster
from kubelet_lite.proxy.child import ChildDataPath
from kubelet_lite.proxy.proxy import Proxy
from tests.proxy.test_data_path import ask, backend

ADDRESS = "127.9.0.1"


async def test_a_service_answers_again_after_the_process_was_killed():
    environment = Environment.real()
    crashes = []
    async with Cluster(nodes=0, components=("apiserver",), service_cidr="127.9.128.0/17") as cluster, await backend(b"up ", ADDRESS) as server:
        port = environment.free_port("127.9.128.9")
        meta = ObjectMeta(name="web", namespace="default")
        await cluster.client.create(Service(metadata=meta, spec=ServiceSpec(ports=(ServicePort(port=port),), clusterIP="127.9.128.9")))
        await cluster.client.create(EndpointSlice(
            metadata=ObjectMeta(name="web-1", namespace="default", labels={"kubernetes.io/service-name": "web"}), addressType="IPv4",
            endpoints=(Endpoint(addresses=(ADDRESS,), conditions=EndpointConditions(ready=True)),),
            ports=(EndpointPort(port=server.sockets[0].getsockname()[1]),),
        ))
        path = ChildDataPath()
        async with Supervisor(environment, crashes.append) as supervisor:
            supervisor.start(Proxy(cluster.client, environment, path, node_addresses=()))
            with anyio.fail_after(60):
                assert await answer(port) == b"up hello"
                os.kill(path.pid, signal.SIGKILL)
                while not crashes:
                    await anyio.sleep(0.01)
                assert await answer(port) == b"up hello"
        assert len(crashes) == 1


async def answer(port):
    while True:
        try:
            return await ask(port, address="127.9.128.9")
        except OSError:
            await anyio.sleep(0.05)
