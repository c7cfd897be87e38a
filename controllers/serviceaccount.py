"""Every namespace has a ServiceAccount `default`; one that is deleted is made again.

https://kubernetes.io/docs/reference/access-authn-authz/service-accounts-admin/#serviceaccount-controller
"""
from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Final

import msgspec

from kubelet_lite.api.core_v1 import Namespace, ServiceAccount
from kubelet_lite.api.meta_v1 import ObjectMeta
from kubelet_lite.client.cache import Change, Informers
from kubelet_lite.controllers.base import NOTHING, Controller, Create, Enqueue, Failure, Key, Plan, itself, on_change

DEFAULT: Final = "default"


class View(msgspec.Struct, frozen=True):
    namespace: Namespace
    exists: bool


class ServiceAccountController(Controller[View]):
    name = "service-account-controller"

    def __init__(self, informers: Informers) -> None:
        self.primary = informers.of(Namespace)
        self._accounts = informers.of(ServiceAccount)

    def informers(self) -> Sequence[Any]:
        return self.primary, self._accounts

    def connect(self, enqueue: Enqueue) -> None:
        on_change(self.primary, itself, enqueue)
        on_change(self._accounts, _namespace_of_gone, enqueue)

    def view(self, key: Key, failures: Sequence[Failure]) -> View | None:
        namespace = self.primary.get(key.name)
        return View(namespace, self._accounts.get(DEFAULT, key.name) is not None) if namespace is not None else None

    def plan(self, view: View, now: float) -> Plan:
        return plan(view)


def _namespace_of_gone(change: Change[ServiceAccount]) -> Iterator[Key]:
    if change.new is None and change.object.metadata.name == DEFAULT:
        yield Key("", change.object.metadata.namespace)


def plan(view: View) -> Plan:
    if view.exists or view.namespace.metadata.deletionTimestamp is not None or view.namespace.status.phase == "Terminating":
        return NOTHING
    return Plan((Create(object=ServiceAccount(metadata=ObjectMeta(name=DEFAULT, namespace=view.namespace.metadata.name))),))
