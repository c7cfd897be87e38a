"""What runs on the nodes, noted for invariants beside what the API answers: every sandbox of a pod that begins or ends, every container that is made and started."""
from __future__ import annotations

from typing import Any

import msgspec

from kubelet_lite.actors.actor import current_actor
from kubelet_lite.actors.environment import Environment
from kubelet_lite.runtimes.base import ContainerSpec, Sandbox, SandboxSpec
from kubelet_lite.runtimes.fake import BehaviourOf, FakeRuntime
from kubelet_lite.runtimes.network.base import Network
from kubelet_lite.simulation.answers import NotingStore
from kubelet_lite.simulation.dump import Dump


class SandboxBegan(msgspec.Struct, frozen=True, gc=False):
    """`kubelet`: the name of the actor that began it; `at`: the store's revision."""

    at: int
    kubelet: str
    namespace: str
    name: str
    uid: str
    id: str


class SandboxEnded(msgspec.Struct, frozen=True, gc=False):
    at: int
    id: str


class ContainerMade(msgspec.Struct, frozen=True, gc=False):
    """`uid`: the pod's."""

    at: int
    uid: str
    container: str


class ContainerBegan(msgspec.Struct, frozen=True, gc=False):
    """It was started, and runs."""

    at: int
    uid: str
    container: str


class NotingRuntime(FakeRuntime):
    """One node's pretended containers, each sandbox and container noted. `store`: where the archive is found, and the revision."""

    def __init__(self, environment: Environment, network: Network, behaviour: BehaviourOf | None, store: NotingStore) -> None:
        super().__init__(environment, network, behaviour)
        self._store = store

    def take_over(self, dump: Dump, node: str) -> None:
        """Goes on with what a dump says that runs on this node."""
        if node in dump.nodes:
            status = dump.nodes[node].status
            name, separator, version = status.nodeInfo.containerRuntimeVersion.partition("://")
            if separator:
                self.name, self.version = name, version
            for image in status.images:
                self.adopt_image(image.names, image.sizeBytes)
        for pod in dump.pods_on(node):
            meta = pod.metadata
            self._note(SandboxBegan(self._store.revision, f"kubelet-{node}", meta.namespace, meta.name, meta.uid, self.adopt(pod)))

    async def run_sandbox(self, spec: SandboxSpec) -> Sandbox:
        sandbox = await super().run_sandbox(spec)
        self._note(SandboxBegan(self._store.revision, current_actor(), spec.namespace, spec.name, spec.uid, sandbox.id))
        return sandbox

    async def create_container(self, sandbox_id: str, spec: ContainerSpec) -> str:
        id = await super().create_container(sandbox_id, spec)
        self._note(ContainerMade(self._store.revision, self._owners[id], spec.name))
        return id

    async def start_container(self, container_id: str) -> None:
        await super().start_container(container_id)
        self._note(ContainerBegan(self._store.revision, self._owners[container_id], self._known(container_id).spec.name))

    async def stop_sandbox(self, sandbox_id: str) -> None:
        await super().stop_sandbox(sandbox_id)
        self._note(SandboxEnded(self._store.revision, sandbox_id))

    def power_off(self) -> None:
        for sandboxes in self._sandboxes.values():
            for sandbox_id in sandboxes:
                self._note(SandboxEnded(self._store.revision, sandbox_id))
        super().power_off()

    def _note(self, what: Any) -> None:
        if self._store.archive.answers is not None:
            self._store.archive.answers.append(what)
