"""A dump of a cluster as the beginning of a run: what `kubectl get -A -o json` prints, of one kind or several, in one file or several.

    setting = Setting(objects=load("nodes.json", "everything-else.json"))

UIDs, owners and statuses stay as they are and resource versions are new. The dump's nodes get fake kubelets that go on with its pods,
the clock begins right after whatever is newest in it, and so nothing happens unless something is wrong.
"""
from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import msgspec

from kubelet_lite.api import encoding, timestamps
from kubelet_lite.api.core_v1 import Namespace, NamespaceSpec, NamespaceStatus, Node, Pod
from kubelet_lite.api.errors import BadRequest
from kubelet_lite.api.meta_v1 import ObjectMeta
from kubelet_lite.api.reading import DecodingError
from kubelet_lite.api.resources import find_kind
from kubelet_lite.api.unstructured import Unstructured
from kubelet_lite.client import manifests
from kubelet_lite.simulation.stored_types import stored_type
from kubelet_lite.store.keys import Key
from kubelet_lite.store.store import Store, stamped

if TYPE_CHECKING:
    from kubelet_lite.kubelet.node_status import Machine
    from kubelet_lite.registry.registry import Registry

PAST: Final = frozenset((
    "acquireTime", "completionTime", "creationTimestamp", "eventTime", "finishedAt", "firstTimestamp", "lastHeartbeatTime", "lastObservedTime",
    "lastProbeTime", "lastScheduleTime", "lastSuccessfulTime", "lastTimestamp", "lastTransitionTime", "lastUpdateTime", "renewTime", "startTime",
    "startedAt", "time",
))
"""Members that say when something happened; others may lie in the future."""
CERTIFICATE_MAP: Final = "kube-root-ca.crt"
MISSING_SHOWN: Final = 5


class DumpError(ValueError):
    """The dump cannot be the beginning of a run; the message names the object and what is missing."""


def load(*sources: str | Path) -> tuple[dict[str, Any], ...]:
    """The objects of files and folders, or of JSON or YAML texts, for `Setting.objects`. Raises DumpError, OSError."""
    found: list[dict[str, Any]] = []
    if not sources:
        raise DumpError("load: sources: say at least one file, folder, or text")
    for source in sources:
        try:
            objects = manifests.read(source)
        except BadRequest as error:
            raise DumpError(f"{str(source)[:80]}: {error.message}") from error
        if not objects:
            raise DumpError(f"{str(source)[:80]}: there is no object in it")
        found += objects
    Dump(found).check()
    return tuple(found)


class Dump:
    """The objects of a dump, typed as a store holds them. Without any: a cluster that begins empty. Raises DumpError."""

    def __init__(self, values: Sequence[Mapping[str, Any]]) -> None:
        for number, value in enumerate(values):
            _check(number, value)
        definitions = dict(_definition(value) for value in values if value["kind"] == "CustomResourceDefinition")
        self._objects: dict[Key, Any] = {}
        for value in values:
            key, obj = _typed(value, definitions)
            self._objects[key] = obj
        self.begins = max((time for value in values for time in _times(value)), default=0.0)
        """The newest moment that it tells of, in Unix seconds."""

    @cached_property
    def nodes(self) -> Mapping[str, Node]:
        """By name."""
        return {key.name: obj for key, obj in self._objects.items() if key.resource == "nodes"}

    def pods_on(self, node: str) -> Sequence[Pod]:
        """Those of which something has been started there."""
        return [pod for pod in self._pods if pod.spec.nodeName == node and any(
            told.containerID or told.lastState.terminated is not None for told in (*pod.status.initContainerStatuses, *pod.status.containerStatuses)
        )]

    @property
    def pod_addresses(self) -> Sequence[str]:
        return [address.ip for pod in self._pods for address in pod.status.podIPs]

    @property
    def service_cidr(self) -> str:
        """Where its Services have their addresses; "" when it does not say."""
        for key, obj in self._objects.items():
            if key.resource == "servicecidrs.networking.k8s.io" and key.name == "kubernetes":
                return str(obj.spec.cidrs[0])
        service = self._objects.get(Key("services", "default", "kubernetes"))
        return f"{service.spec.clusterIP.rpartition('.')[0].rpartition('.')[0]}.0.0/16" if service is not None and "." in service.spec.clusterIP else ""

    @property
    def certificate(self) -> str:
        """What its pods verify the API server by."""
        found = next((obj for key, obj in self._objects.items() if key.resource == "configmaps" and key.name == CERTIFICATE_MAP), None)
        return str(found.data.get("ca.crt", "")) if found is not None else ""

    def machine(self, node: str) -> Machine:
        """What a node of it says that it stands on."""
        from kubelet_lite.kubelet.node_status import Machine

        status = self.nodes[node].status
        info = status.nodeInfo
        return Machine(
            capacity=status.allocatable, architecture=info.architecture, kernel=info.kernelVersion, os_image=info.osImage,
            machine_id=info.machineID, boot_id=info.bootID,
        )

    def address(self, node: str) -> str:
        return next((address.address for address in self.nodes[node].status.addresses if address.type == "InternalIP"), "")

    def check(self) -> None:
        """Raises DumpError where so much is missing that controllers would take what is there away."""
        kinds = {obj.kind for obj in self._objects.values()}
        missing = [
            f"{key} is owned by {reference.kind} {reference.name}" for key, obj in self._objects.items()
            for reference in obj.metadata.ownerReferences if reference.kind not in kinds
        ]
        missing += [f"{pod.metadata.namespace}/{pod.metadata.name} is on node {pod.spec.nodeName}" for pod in self._pods
                    if pod.spec.nodeName and not self.nodes]
        if missing:
            more = f" and {len(missing) - MISSING_SHOWN} more" if len(missing) > MISSING_SHOWN else ""
            raise DumpError(f"the dump has no objects of these kinds, dump them, too: {'; '.join(missing[:MISSING_SHOWN])}{more}")

    def store_in(self, registry: Registry) -> None:
        """Stores its objects, in an empty store, and the namespaces that they are in; those come first."""
        store = registry.store
        for key, obj in self._objects.items():
            if key.resource == "namespaces":
                _put(store, key, obj)
        for name in dict.fromkeys(key.namespace for key in self._objects if key.namespace):
            key = Key("namespaces", "", name)
            if key not in self._objects:
                metadata = ObjectMeta(
                    name=name, uid=registry.environment.uid(), creationTimestamp=timestamps.format_time(registry.environment.now()),
                    labels={"kubernetes.io/metadata.name": name},
                )
                spec, status = NamespaceSpec(finalizers=("kubernetes",)), NamespaceStatus(phase="Active")
                _put(store, key, Namespace(metadata=metadata, spec=spec, status=status))
        for key, obj in self._objects.items():
            if key.resource != "namespaces":
                _put(store, key, obj)

    @cached_property
    def _pods(self) -> Sequence[Pod]:
        return [obj for key, obj in self._objects.items() if key.resource == "pods"]


def _put(store: Store, key: Key, obj: Any) -> None:
    store.put(key, stamped(obj, store.next_revision), expected=0)


def _check(number: int, value: Mapping[str, Any]) -> None:
    wanted = {"apiVersion": str, "kind": str, "metadata": Mapping}
    missing = [name for name, kind in wanted.items() if not isinstance(value.get(name), kind) or not value[name]]
    if missing:
        raise DumpError(f"objects[{number}]: an object has apiVersion, kind and metadata, there is no {' and no '.join(missing)}: {str(value)[:120]}")


def _definition(value: Mapping[str, Any]) -> tuple[tuple[str, str], str]:
    """The group and kind that a CustomResourceDefinition defines, and the name of its resource."""
    spec = _typed(value, {})[1].spec
    if not (spec.group and spec.names.kind and spec.names.plural):
        raise DumpError(f"CustomResourceDefinition {value['metadata']['name']}: a definition has spec.group, spec.names.kind and spec.names.plural")
    return (spec.group, spec.names.kind), f"{spec.names.plural}.{spec.group}"


def _typed(value: Mapping[str, Any], definitions: Mapping[tuple[str, str], str]) -> tuple[Key, Any]:
    from kubelet_lite.registry.conversion import CONVERSIONS

    api_version, kind, metadata = str(value["apiVersion"]), str(value["kind"]), value["metadata"]
    what = f"{kind} {metadata.get('namespace', '')}/{metadata.get('name', '')}"
    resource = find_kind(api_version, kind)
    if resource is None:
        group = api_version.rpartition("/")[0]
        if (group, kind) not in definitions:
            raise DumpError(f"{what}: nobody defines {kind} of {api_version}: dump customresourcedefinitions, too")
        qualified, type_ = definitions[group, kind], Unstructured
    else:
        qualified, type_ = resource.qualified, resource.type
    try:
        obj = encoding.from_json(type_, value)
    except (DecodingError, msgspec.MsgspecError) as error:
        raise DumpError(f"{what}: {error}") from error
    conversion = CONVERSIONS.get((api_version, resource.plural)) if resource is not None else None
    if conversion is not None:
        obj, qualified = conversion.to_stored(obj), conversion.stored.qualified
    assert isinstance(obj, stored_type(qualified)), what
    if not obj.metadata.name or not obj.metadata.uid:
        raise DumpError(f"{what}: an object of a cluster has metadata.name and metadata.uid")
    return Key(qualified, obj.metadata.namespace, obj.metadata.name), obj


def _times(value: Any) -> Iterator[float]:
    if isinstance(value, Mapping):
        for name, member in value.items():
            if name in PAST and isinstance(member, str):
                with suppress(ValueError):
                    yield timestamps.parse_time(member)
            else:
                yield from _times(member)
    elif isinstance(value, list):
        for item in value:
            yield from _times(item)
