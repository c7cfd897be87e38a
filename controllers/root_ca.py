"""Every namespace has a ConfigMap `kube-root-ca.crt` with the certificate by which pods know the API server.

https://kubernetes.io/docs/reference/access-authn-authz/service-accounts-admin/#bound-service-account-token-volume
"""
from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Final

import msgspec

from kubelet_lite.api.core_v1 import ConfigMap, Namespace
from kubelet_lite.api.meta_v1 import ObjectMeta
from kubelet_lite.client.cache import Change, Informers
from kubelet_lite.controllers.base import (
    NOTHING,
    Controller,
    Create,
    Enqueue,
    Failure,
    Key,
    Plan,
    Update,
    itself,
    on_change,
)

NAME: Final = "kube-root-ca.crt"
FILE: Final = "ca.crt"
DESCRIPTION: Final = "kubernetes.io/description"
ANNOTATIONS: Final = {
    DESCRIPTION: "Contains a CA bundle that can be used to verify the kube-apiserver when using internal endpoints such as the "
    "internal service IP or kubernetes.default.svc. No other usage is guaranteed across distributions of Kubernetes clusters.",
}


class View(msgspec.Struct, frozen=True):
    namespace: Namespace
    config_map: ConfigMap | None
    certificate: str


class RootCaPublisher(Controller[View]):
    """`certificate` is PEM text; "" where nobody serves HTTPS: the file is there, and empty."""

    name = "root-ca-cert-publisher"

    def __init__(self, informers: Informers, certificate: str = "") -> None:
        self.primary = informers.of(Namespace)
        self._maps = informers.of(ConfigMap)
        self._certificate = certificate

    def informers(self) -> Sequence[Any]:
        return self.primary, self._maps

    def connect(self, enqueue: Enqueue) -> None:
        on_change(self.primary, itself, enqueue)
        on_change(self._maps, _namespace_of, enqueue)

    def view(self, key: Key, failures: Sequence[Failure]) -> View | None:
        namespace = self.primary.get(key.name)
        return View(namespace, self._maps.get(NAME, key.name), self._certificate) if namespace is not None else None

    def plan(self, view: View, now: float) -> Plan:
        return plan(view)


def _namespace_of(change: Change[ConfigMap]) -> Iterator[Key]:
    if change.object.metadata.name == NAME and change.old is not None:
        yield Key("", change.object.metadata.namespace)


def plan(view: View) -> Plan:
    if view.namespace.metadata.deletionTimestamp is not None or view.namespace.status.phase == "Terminating":
        return NOTHING
    data = {FILE: view.certificate}
    if view.config_map is None:
        metadata = ObjectMeta(name=NAME, namespace=view.namespace.metadata.name, annotations=ANNOTATIONS)
        return Plan((Create(object=ConfigMap(metadata=metadata, data=data)),))
    if view.config_map.data != data or not view.config_map.metadata.annotations.get(DESCRIPTION):
        metadata = msgspec.structs.replace(view.config_map.metadata, annotations={**view.config_map.metadata.annotations, **ANNOTATIONS})
        return Plan((Update(object=msgspec.structs.replace(view.config_map, metadata=metadata, data=data)),))
    return NOTHING
