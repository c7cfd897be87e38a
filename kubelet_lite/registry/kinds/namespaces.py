"""Namespaces: they carry their own name as a label and go only when their finalizers have emptied them.

https://kubernetes.io/docs/concepts/overview/working-with-objects/namespaces/
"""
from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Final

from msgspec.structs import replace

from kubelet_lite.api import names
from kubelet_lite.api.core_v1 import Namespace, NamespaceStatus
from kubelet_lite.api.errors import FieldError, invalid
from kubelet_lite.registry.kinds.ages import age
from kubelet_lite.registry.rules import KindRules, Selectable
from kubelet_lite.registry.validation.collected import collected

NAME_LABEL: Final = "kubernetes.io/metadata.name"
FINALIZER: Final = "kubernetes"
STANDARD_FINALIZERS: Final = ("kubernetes", "orphan", "foregroundDeletion")


def _default(namespace: Namespace) -> Namespace:
    name, labels = namespace.metadata.name, namespace.metadata.labels
    if not name or labels.get(NAME_LABEL) == name:
        return namespace
    return replace(namespace, metadata=replace(namespace.metadata, labels={**labels, NAME_LABEL: name}))


def _prepare_create(namespace: Namespace) -> Namespace:
    finalizers = namespace.spec.finalizers
    if FINALIZER not in finalizers:
        finalizers = (*finalizers, FINALIZER)
    return _default(replace(namespace, spec=replace(namespace.spec, finalizers=finalizers), status=NamespaceStatus(phase="Active")))


def _prepare_update(new: Namespace, old: Namespace) -> Namespace:
    return replace(new, spec=replace(new.spec, finalizers=old.spec.finalizers))


@collected
def _validate(namespace: Namespace) -> Iterator[FieldError]:
    for finalizer in namespace.spec.finalizers:
        yield from finalizer_name("spec.finalizers", finalizer)


def finalizer_name(path: str, value: str) -> Iterator[FieldError]:
    """A finalizer of a namespace's spec: fully qualified, or one that Kubernetes itself knows."""
    messages = names.qualified_name(value)
    for message in messages:
        yield invalid(path, value, message)
    if not messages and "/" not in value and value not in STANDARD_FINALIZERS:
        yield invalid(path, value, "name is neither a standard finalizer name nor is it fully qualified")


@collected
def validate_finalize(new: Namespace, old: Namespace) -> Iterator[FieldError]:
    """An update through the subresource `finalize`."""
    for i, finalizer in enumerate(new.spec.finalizers):
        yield from finalizer_name(f"spec.finalizers[{i}]", finalizer)


@collected
def _validate_status_update(new: Namespace, old: Namespace) -> Iterator[FieldError]:
    if new.metadata.deletionTimestamp is None:
        if new.status.phase != "Active":
            yield invalid("status.Phase", new.status.phase, "may only be 'Active' if `deletionTimestamp` is empty")
    elif new.status.phase != "Terminating":
        yield invalid("status.Phase", new.status.phase, "may only be 'Terminating' if `deletionTimestamp` is not empty")


def _begin_deletion(namespace: Namespace) -> Namespace:
    return replace(namespace, status=replace(namespace.status, phase="Terminating"))


def _row(namespace: Namespace, now: float) -> Sequence[Any]:
    return namespace.metadata.name, namespace.status.phase, age(namespace, now)


RULES: Final = KindRules(
    resource="namespaces", default=_default, prepare_create=_prepare_create, prepare_update=_prepare_update,
    validate=_validate, validate_status_update=_validate_status_update, name_errors=names.masked_prefix(names.dns1123_label),
    begin_deletion=_begin_deletion, holds_deletion=lambda namespace: bool(namespace.spec.finalizers),
    selectable=(Selectable("status.phase", lambda namespace: namespace.status.phase), Selectable("name", lambda namespace: namespace.metadata.name)),
    row=_row,
)
