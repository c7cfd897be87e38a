"""StorageClasses. https://kubernetes.io/docs/concepts/storage/storage-classes/"""
from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from msgspec.structs import replace

from kubelet_lite.api import names
from kubelet_lite.api.core_v1 import TopologySelectorTerm
from kubelet_lite.api.errors import FieldError, duplicate, invalid, not_supported, required, too_long
from kubelet_lite.api.storage_v1 import StorageClass
from kubelet_lite.registry.kinds.ages import age
from kubelet_lite.registry.rules import KindRules
from kubelet_lite.registry.validation.collected import collected
from kubelet_lite.registry.validation.labels import label_name
from kubelet_lite.registry.validation.numbers import IMMUTABLE

DEFAULT_ANNOTATIONS: Final = ("storageclass.kubernetes.io/is-default-class", "storageclass.beta.kubernetes.io/is-default-class")
RECLAIM_POLICIES: Final = ("Delete", "Retain")
BINDING_MODES: Final = ("Immediate", "WaitForFirstConsumer")
MAX_PARAMETERS: Final = 512
MAX_PARAMETERS_BYTES: Final = 256 * 1024
_KEPT: Final = ("parameters", "provisioner", "reclaimPolicy", "volumeBindingMode")


def _default(found: StorageClass) -> StorageClass:
    if found.reclaimPolicy is not None and found.volumeBindingMode is not None:
        return found
    return replace(
        found, reclaimPolicy="Delete" if found.reclaimPolicy is None else found.reclaimPolicy,
        volumeBindingMode="Immediate" if found.volumeBindingMode is None else found.volumeBindingMode,
    )


@collected
def _validate(found: StorageClass) -> Iterator[FieldError]:
    yield from provisioner("provisioner", found.provisioner)
    yield from parameters("parameters", found.parameters)
    if found.reclaimPolicy and found.reclaimPolicy not in RECLAIM_POLICIES:
        yield not_supported("reclaimPolicy", found.reclaimPolicy, RECLAIM_POLICIES)
    if found.volumeBindingMode is None:
        yield required("volumeBindingMode")
    elif found.volumeBindingMode not in BINDING_MODES:
        yield not_supported("volumeBindingMode", found.volumeBindingMode, BINDING_MODES)
    yield from _topologies(found.allowedTopologies)


def provisioner(path: str, value: str) -> Iterator[FieldError]:
    if not value:
        yield required(path)
        return
    for message in names.qualified_name(value.lower()):
        yield invalid(path, value, message)


def parameters(path: str, values: Mapping[str, str]) -> Iterator[FieldError]:
    if len(values) > MAX_PARAMETERS:
        yield too_long(path, MAX_PARAMETERS)
        return
    for key in sorted(values):
        if not key:
            yield invalid(path, key, "field can not be empty.")
    if sum(len(key) + len(value) for key, value in values.items()) > MAX_PARAMETERS_BYTES:
        yield too_long(path, MAX_PARAMETERS_BYTES)


def _topologies(terms: Sequence[TopologySelectorTerm]) -> Iterator[FieldError]:
    """An empty term counts as the duplicate of nothing, as in Kubernetes."""
    seen: list[Mapping[str, frozenset[str]]] = [{} for _ in terms]
    for i, term in enumerate(terms):
        path = f"allowedTopologies[{i}].matchLabelExpressions"
        expressions: dict[str, frozenset[str]] = {}
        for j, expression in enumerate(term.matchLabelExpressions):
            at = f"{path}[{j}]"
            if not expression.values:
                yield required(f"{at}.values")
            for k, value in enumerate(expression.values):
                if value in expression.values[:k]:
                    yield duplicate(f"{at}.values[{k}]", value)
            yield from label_name(f"{at}.key", expression.key)
            if expression.key in expressions:
                yield duplicate(f"{at}.key", expression.key)
            expressions[expression.key] = frozenset(expression.values)
        for other in seen:
            if other == expressions:
                yield duplicate(path, "")
        seen.append(expressions)


@collected
def _validate_update(new: StorageClass, old: StorageClass) -> Iterator[FieldError]:
    for field in _KEPT:
        if getattr(new, field) != getattr(old, field):
            yield invalid(field, getattr(new, field), IMMUTABLE)


def _row(found: StorageClass, now: float) -> Sequence[Any]:
    default = any(found.metadata.annotations.get(annotation) == "true" for annotation in DEFAULT_ANNOTATIONS)
    return (
        f"{found.metadata.name} (default)" if default else found.metadata.name, found.provisioner, found.reclaimPolicy or "Delete",
        found.volumeBindingMode or "<unset>", bool(found.allowVolumeExpansion), age(found, now),
    )


RULES: Final = KindRules(
    resource="storageclasses.storage.k8s.io", default=_default, validate=_validate, validate_update=_validate_update, returns_deleted=True,
    row=_row,
)
