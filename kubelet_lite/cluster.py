"""Puts a cluster together: the only place that knows every part.

    async with Cluster(nodes=3, runtime="subprocess") as cluster:
        await cluster.apply("examples/guestbook.yaml")
        await cluster.wait("deployment/web", "condition=Available")

Nothing listens on a port unless its pods, their Services or `serve=True` ask for it. Leaving the block ends every task and process.
"""
from __future__ import annotations

import ipaddress
from collections.abc import Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, Literal, Self

import anyio

from kubelet_lite.actors.environment import Environment
from kubelet_lite.actors.supervisor import Supervisor
from kubelet_lite.api import identity
from kubelet_lite.api.identity import ADMIN
from kubelet_lite.client import manifests, waiting
from kubelet_lite.client.base import Client
from kubelet_lite.client.local import LocalClient
from kubelet_lite.registry.admission.chain import Admission
from kubelet_lite.registry.admission.plugin import World
from kubelet_lite.registry.authorization.authorizer import ClusterAuthorizer
from kubelet_lite.registry.authorization.reviews import Reviewer
from kubelet_lite.registry.authorization.tokens import ServiceAccountTokens
from kubelet_lite.registry.custom.actor import Definitions
from kubelet_lite.registry.registry import Registry
from kubelet_lite.registry.upkeep import Upkeep
from kubelet_lite.store import Store
from kubelet_lite.store.actor import StoreActor
from kubelet_lite.wire.service_account_key import ServiceAccountKey

if TYPE_CHECKING:
    from kubelet_lite.kubelet.kubelet import Kubelet
    from kubelet_lite.kubelet.node_status import Machine
    from kubelet_lite.runtimes.base import Runtime
    from kubelet_lite.runtimes.fake import BehaviourOf
    from kubelet_lite.runtimes.network.base import Network
    from kubelet_lite.scheduler.configuration import Source as SchedulerSource
    from kubelet_lite.scheduler.framework import Plugin as SchedulerPlugin
    from kubelet_lite.wire.certificates import CertificateAuthority

RuntimeName = Literal["fake", "subprocess"]
Component = Literal["apiserver", "controllers", "scheduler", "kubelet", "proxy"]
COMPONENTS: Final[tuple[Component, ...]] = ("apiserver", "controllers", "scheduler", "kubelet", "proxy")
LEAST_SERVICE_ADDRESSES: Final = 8
"""As of kube-apiserver's --service-cluster-ip-range; since 1.33 there is no most."""
READY_SECONDS: Final = 30.0
"""How long a cluster may take to become ready before entering it fails."""


class Cluster:
    """A whole Kubernetes.

    `nodes`: how many (named node-1, node-2, …). `runtime`: fake (pods without processes) or subprocess. `images`: image name →
    command that stands for it (see runtimes/images.py). `network`: auto or loopback. `isolation`: auto or host. `serve`: whether the
    API is offered over HTTPS (on a simulated network HTTP), on `port` (0: a free one) of 127.0.0.1. `components`: which parts to start.
    `service_cidr`: where Services get their addresses ("": the network's own range). `behaviour`: for the fake runtime.
    `metrics`: whether metrics.k8s.io is served (`kubectl top`).
    `scheduler_config`: a KubeSchedulerConfiguration (a path, YAML text, plain values); `scheduler_plugins`: classes of scheduler plug-ins.
    Entering raises TimeoutError when the cluster does not become ready, ValueError for arguments that do not fit, OSError when
    `port` is taken.
    """

    def __init__(
        self, *, nodes: int = 1, runtime: RuntimeName = "fake", images: Mapping[str, str] | None = None, network: str = "auto",
        isolation: str = "auto", serve: bool = False, port: int = 0, components: Sequence[str] = COMPONENTS, service_cidr: str = "",
        behaviour: BehaviourOf | None = None, environment: Environment | None = None, on_ready: Callable[[str], None] = lambda part: None,
        proxy_in_child: bool = False, scheduler_config: SchedulerSource | None = None, scheduler_plugins: Sequence[type[SchedulerPlugin]] = (),
        metrics: bool = False,
    ) -> None:
        _check(nodes, port, runtime, network, isolation, components, service_cidr)
        self.environment = environment if environment is not None else Environment.real()
        self._nodes = nodes
        self._runtime: RuntimeName = runtime
        self._images = dict(images or {})
        self._serve = serve
        self._port = port
        self._components = tuple(components)
        self._service_cidr = service_cidr
        self._behaviour = behaviour
        self._scheduler_config = scheduler_config
        self._scheduler_plugins = tuple(scheduler_plugins)
        self._metrics = metrics
        self._on_ready = on_ready
        self._proxy_in_child = proxy_in_child
        self._stack = AsyncExitStack()
        self._outlives_actors: AsyncExitStack
        """Runtimes and their files: a kubelet whose runtime went first would see its pods vanish, and start them again."""
        self._authorizer: ClusterAuthorizer
        self._authority: CertificateAuthority | None = None
        """None without `serve`, and where there is no TLS."""
        self._key: ServiceAccountKey
        self.store: Store
        self.registry: Registry
        self.client: Client
        self.supervisor: Supervisor
        self.kubelets: dict[str, Kubelet] = {}
        """By node name."""
        self.url = ""
        """Of the API server; "" without `serve`."""
        self.token = ""
        """The admin's bearer token; "" without `serve`."""

    # ---- what a user does

    async def apply(self, source: manifests.Source, *, namespace: str = "default") -> tuple[Any, ...]:
        """Applies any Kubernetes manifest: a path, text, or objects. Returns what was applied. Raises ApiError, OSError."""
        return await manifests.apply(self.client, source, namespace=namespace)

    async def wait(self, what: str, condition: str, *, namespace: str = "default", timeout_seconds: float = 60.0) -> Any | None:
        """Waits as `kubectl wait` does: `wait("deployment/web", "condition=Available")`. Raises TimeoutError."""
        return await waiting.wait(self.client, what, condition, namespace=namespace, timeout_seconds=timeout_seconds)

    @property
    def kubeconfig(self) -> str:
        """The text of a kubeconfig for the admin. Needs `serve`."""
        if not self.url:
            raise RuntimeError("the cluster does not listen: Cluster(serve=True)")
        from kubelet_lite.client.kubeconfig import admin_kubeconfig

        return admin_kubeconfig(self.url, self.token, self._authority.certificate if self._authority is not None else None)

    # ---- what a simulation puts others in the place of

    def new_store(self) -> Store:
        return Store(now=self.environment.now)

    def new_registry(self, kind: type[Registry]) -> Registry:
        """Every request passes it, in process and over HTTP."""
        return kind(self.store, self.environment, connections=self.kubelets.get, health=self._health)

    def node_names(self) -> Sequence[str]:
        return [f"node-{number}" for number in range(1, self._nodes + 1)]

    def node_address(self, name: str, network: Network) -> str:
        return network.node_address

    def root_certificate(self) -> str:
        """What pods verify the API server by; "" where nobody serves HTTPS."""
        return self._authority.certificate.decode() if self._authority is not None else ""

    def machine(self, name: str) -> Machine:
        """What a node stands on."""
        from kubelet_lite.kubelet import node_status

        return node_status.FAKE_MACHINE if self._runtime == "fake" else node_status.this_machine()

    # ---- its life

    async def __aenter__(self) -> Self:
        try:
            await self._start()
        except BaseException:
            await self._stack.aclose()
            raise
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None) -> bool | None:
        return await self._stack.__aexit__(kind, error, traceback)

    async def _start(self) -> None:
        environment = self.environment
        self.store = self.new_store()
        network = self._open_network()
        self._api(self._service_cidr or network.service_cidr)
        self._outlives_actors = await self._stack.enter_async_context(AsyncExitStack())
        self.supervisor = await self._stack.enter_async_context(Supervisor(environment))
        self.supervisor.start(StoreActor(self.store, environment))
        self.supervisor.start(Upkeep(self.registry))
        self.supervisor.start(Definitions(self.registry))
        if self._serve:
            await self._start_server()
        self._on_ready("apiserver")
        ready: list[tuple[str, anyio.Event]] = []
        if "controllers" in self._components:
            ready += self._start_controllers()
        if "scheduler" in self._components:
            ready.append(self._start_scheduler())
        if "kubelet" in self._components:
            ready += await self._start_kubelets(network)
        if "proxy" in self._components and self._runtime != "fake":
            ready.append(self._start_proxy(network))
        with anyio.fail_after(READY_SECONDS):
            for part, event in ready:
                await event.wait()
                self._on_ready(part)

    def _api(self, service_cidr: str) -> None:
        """The registry with everything that stands in a request's way, and the objects that are there from the start."""
        from kubelet_lite.registry.bootstrap import bootstrap

        self.registry = self.new_registry(Registry)
        self._authorizer = self.registry.authorizer = ClusterAuthorizer(self.registry.view)
        bootstrap(self.registry, service_cidr=service_cidr)
        if self._metrics:
            from kubelet_lite.registry import metrics

            metrics.serve(self.registry)
        self.registry.admission = Admission(
            World(view=self.registry.view, environment=self.environment, authorizer=self._authorizer, write=self.registry.write)
        )
        self._key = ServiceAccountKey(secret_bits=self.environment.secret_bits)
        self.registry.tokens = accounts = ServiceAccountTokens(self._key, self.registry.view, self.environment)
        self.registry.reviewer = Reviewer(self._authorizer, self.environment, accounts.authenticate)
        self.client = LocalClient(self.registry, ADMIN, field_manager="kubelet-lite")

    def _health(self) -> Mapping[str, str]:
        """Per component of the control plane, what is wrong with it ("" for nothing). A part that crashes beyond its budget ends the
        cluster, so one that was started is well; one that was not says so. etcd-0 stands for the store."""
        parts = (("scheduler", "scheduler"), ("controller-manager", "controllers"), ("etcd-0", "apiserver"))
        return {name: "" if part in self._components else f"not started: {part} is not among the components of this cluster" for name, part in parts}

    async def _start_server(self) -> None:
        from kubelet_lite.apiserver.server import ApiServer
        from kubelet_lite.registry.bootstrap import publish_endpoint
        from kubelet_lite.wire.certificates import CertificateAuthority

        environment = self.environment
        if environment.offers_tls:
            self._authority = CertificateAuthority.create(environment.now(), secret_bits=environment.secret_bits)
        self.token = environment.token()
        server = ApiServer(
            self.registry, self._authorizer, authority=self._authority, tokens={self.token: ADMIN},
            key=self._key, port=self._port, statistics=self.supervisor.statistics,
        )
        self.supervisor.start(server)
        with anyio.fail_after(READY_SECONDS):
            await server.ready.wait()
        if server.failure is not None:
            raise server.failure
        self.url = server.url
        publish_endpoint(self.registry, server.url.rpartition("/")[2].partition(":")[0], server.port)

    def _open_network(self) -> Network:
        from kubelet_lite.runtimes.network.loopback import LoopbackNetwork, PretendNetwork

        network = PretendNetwork() if self._runtime == "fake" else LoopbackNetwork()
        self._stack.callback(network.close)
        return network

    def _start_controllers(self) -> Sequence[tuple[str, anyio.Event]]:
        from kubelet_lite import controllers

        return controllers.start(self.supervisor, self.client, self.environment.of("controllers"), root_certificate=self.root_certificate())

    def _start_proxy(self, network: Network) -> tuple[str, anyio.Event]:
        from kubelet_lite.proxy.child import ChildDataPath
        from kubelet_lite.proxy.data_path import DataPath, LoopDataPath
        from kubelet_lite.proxy.proxy import Proxy

        path: DataPath
        if self._proxy_in_child:
            path = ChildDataPath()
        else:
            path = LoopDataPath(self.environment.monotonic, lambda function, *arguments: proxy.spawn(function, *arguments))
        proxy = Proxy(
            self.client.acting_as(identity.component("kube-proxy")), self.environment.of("proxy"), path, node_addresses=(network.node_address,),
        )
        self.supervisor.start(proxy)
        return "proxy", proxy.ready

    def _start_scheduler(self) -> tuple[str, anyio.Event]:
        from kubelet_lite.scheduler.configuration import DEFAULT, load
        from kubelet_lite.scheduler.scheduler import Scheduler

        configuration = load(self._scheduler_config) if self._scheduler_config is not None else DEFAULT
        client = self.client.acting_as(identity.component("kube-scheduler"))
        scheduler = Scheduler(client, self.environment.of("scheduler"), configuration, self._scheduler_plugins)
        self.supervisor.start(scheduler)
        return "scheduler", scheduler.ready

    async def _start_kubelets(self, network: Network) -> Sequence[tuple[str, anyio.Event]]:
        from kubelet_lite.kubelet.kubelet import Kubelet

        folder = self._open_folder()
        for name in self.node_names():
            environment = self.environment.of(f"kubelet-{name}")
            runtime = self._new_runtime(environment, folder / name, network)
            self._outlives_actors.push_async_callback(runtime.close)
            kubelet = Kubelet(
                self.client, environment, runtime, node_name=name, node_address=self.node_address(name, network), folder=folder / name,
                machine=self.machine(name),
            )
            self.kubelets[name] = kubelet
            self.supervisor.start(kubelet)
        return [(name, kubelet.ready) for name, kubelet in self.kubelets.items()]

    def _open_folder(self) -> Path:
        """For the files of pods; those of the fake runtime have none."""
        if self._runtime == "fake":
            return Path()
        from kubelet_lite.runtimes.folders import Folder

        folder = Folder()
        self._outlives_actors.callback(folder.remove)
        return folder.path

    def _new_runtime(self, environment: Environment, folder: Path, network: Network) -> Runtime:
        if self._runtime == "fake":
            from kubelet_lite.runtimes.fake import FakeRuntime

            return FakeRuntime(environment, network, self._behaviour)
        from kubelet_lite.runtimes.images import ImageMap
        from kubelet_lite.runtimes.process import ProcessRuntime

        return ProcessRuntime(environment, folder / "containers", ImageMap(self._images), network)


def _check(nodes: int, port: int, runtime: str, network: str, isolation: str, components: Sequence[str], service_cidr: str) -> None:
    """Raises ValueError for what is not offered."""
    for number_name, number in (("nodes", nodes), ("port", port)):
        if type(number) is not int or number < 0:
            raise ValueError(f"{number_name}={number!r}: a whole number from 0 on is wanted")
    if isinstance(components, str):
        raise ValueError(f"components={components!r}: a list of names is wanted")
    for name, value, offered in (
        ("runtime", runtime, ("fake", "subprocess")), ("network", network, ("auto", "loopback")), ("isolation", isolation, ("auto", "host")),
    ):
        if value not in offered:
            raise ValueError(f"{name}={value!r} is not offered: say one of {', '.join(offered)}")
    unknown = [c for c in components if c not in COMPONENTS]
    if unknown:
        raise ValueError(f"components: {', '.join(unknown)}: say some of {', '.join(COMPONENTS)}")
    if "apiserver" not in components:
        raise ValueError("components: without apiserver there is no cluster")
    if service_cidr:
        try:
            addresses = ipaddress.ip_network(service_cidr).num_addresses
        except ValueError as error:
            raise ValueError(f"service_cidr={service_cidr!r}: {error}") from None
        if addresses < LEAST_SERVICE_ADDRESSES:
            raise ValueError(f"service_cidr={service_cidr!r} has {addresses} addresses: Services need at least {LEAST_SERVICE_ADDRESSES}, as 10.96.0.0/29 has")
