"""The objects that exist from the start: system namespaces, RBAC roles and bindings, priority classes, flow control, `kubernetes`.

Facts as a Kubernetes 1.36 had them (_generated/bootstrap.json). They are stored as they are: nobody is there yet to be asked.
"""
from __future__ import annotations

import ipaddress
from functools import lru_cache
from importlib import resources as package_files
from typing import Any, Final

import msgspec

from kubelet_lite.api import timestamps
from kubelet_lite.api.core_v1 import EndpointAddress, EndpointPort, Endpoints, EndpointSubset
from kubelet_lite.api.discovery_v1 import Endpoint, EndpointConditions, EndpointSlice
from kubelet_lite.api.discovery_v1 import EndpointPort as SlicePort
from kubelet_lite.api.meta_v1 import ObjectMeta
from kubelet_lite.api.resources import Resource, find, resource_of
from kubelet_lite.registry.registry import Registry
from kubelet_lite.store import Key

SECURE_PORT: Final = 6443
"""What the `kubernetes` Service leads to until the API server listens somewhere."""
_OF_THE_ENDPOINT: Final = ("v1/endpoints", "discovery.k8s.io/v1/endpointslices")


def bootstrap(registry: Registry, *, service_cidr: str) -> None:
    """Stores those of them that are not there. Raises ValueError for a service range that is none."""
    store = registry.store
    for key, obj in _objects(service_cidr, timestamps.format_time(registry.environment.now())):
        if store.get(key) is not None:
            continue
        metadata = msgspec.structs.replace(obj.metadata, uid=registry.environment.uid(), resourceVersion=str(store.next_revision))
        store.put(key, msgspec.structs.replace(obj, metadata=metadata), expected=0)


@lru_cache(maxsize=1)
def _objects(service_cidr: str, now_text: str) -> tuple[tuple[Key, Any], ...]:
    """All of them but for uid and revision. Simulated clusters all begin at the same time: they share these values."""
    network = ipaddress.ip_network(service_cidr)
    first = str(network.network_address + 1)
    family = "IPv6" if network.version == 6 else "IPv4"
    chosen = {
        "v1/services": (("<ip>", first), ('"<port>"', str(SECURE_PORT)), ('"IPv4"', f'"{family}"')),
        "networking.k8s.io/v1/servicecidrs": (("<ip>/16", service_cidr),),
        "v1/configmaps": (("<today>", now_text[:10]),),
    }
    data = package_files.files("kubelet_lite.registry").joinpath("_generated/bootstrap.json").read_bytes().replace(b"<time>", now_text.encode())
    found: list[tuple[Key, Any]] = []
    for path, raw in msgspec.json.decode(data, type=dict[str, msgspec.Raw]).items():
        if path in _OF_THE_ENDPOINT:
            continue
        text = bytes(raw)
        for old, new in chosen.get(path, ()):
            text = text.replace(old.encode(), new.encode())
        resource = _resource(path)
        for obj in msgspec.json.decode(text, type=list[resource.type]):  # type: ignore[name-defined]
            metadata = msgspec.structs.replace(obj.metadata, creationTimestamp=now_text)
            found.append((Key(resource.qualified, metadata.namespace, metadata.name), msgspec.structs.replace(obj, metadata=metadata)))
    return tuple(found)


def publish_endpoint(registry: Registry, address: str, port: int) -> None:
    """Says where the API server listens: the endpoints of the Service `default/kubernetes`."""
    now = registry.environment.now()
    metadata = ObjectMeta(name="kubernetes", namespace="default", labels={"endpointslice.kubernetes.io/skip-mirror": "true"})
    subset = EndpointSubset(addresses=(EndpointAddress(ip=address),), ports=(EndpointPort(name="https", port=port, protocol="TCP"),))
    _store(registry, resource_of(Endpoints), Endpoints(metadata=metadata, subsets=(subset,)), now)
    metadata = ObjectMeta(name="kubernetes", namespace="default", generation=1, labels={"kubernetes.io/service-name": "kubernetes"})
    endpoint = Endpoint(addresses=(address,), conditions=EndpointConditions(ready=True))
    family = "IPv6" if ":" in address else "IPv4"
    ports = (SlicePort(name="https", protocol="TCP", port=port),)
    _store(registry, resource_of(EndpointSlice), EndpointSlice(metadata=metadata, addressType=family, endpoints=(endpoint,), ports=ports), now)


def store_missing(registry: Registry, obj: Any) -> None:
    """One more object that exists from the start, unless it is there."""
    resource = resource_of(type(obj))
    if registry.store.get(Key(resource.qualified, obj.metadata.namespace, obj.metadata.name)) is None:
        _store(registry, resource, obj, registry.environment.now())


def _resource(path: str) -> Resource:
    *group, version, plural = path.split("/")
    found = find(group[0] if group else "", version, plural)
    assert found is not None, path
    return found


def _store(registry: Registry, resource: Resource, obj: Any, now: float) -> None:
    store = registry.store
    metadata = msgspec.structs.replace(
        obj.metadata, uid=registry.environment.uid(), creationTimestamp=timestamps.format_time(now), resourceVersion=str(store.next_revision),
    )
    key = Key(resource.qualified, metadata.namespace, metadata.name)
    store.put(key, msgspec.structs.replace(obj, metadata=metadata), expected=store.mod_revision(key))
