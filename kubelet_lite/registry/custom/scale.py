"""The scale subresource of a custom resource: replicas and selector stand where its definition says.

https://kubernetes.io/docs/tasks/extend-kubernetes/custom-resources/custom-resource-definitions/#scale-subresource
"""
from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from msgspec.structs import replace

from kubelet_lite.api import selectors
from kubelet_lite.api.apiextensions_v1 import CustomResourceSubresourceScale
from kubelet_lite.api.autoscaling_v1 import Scale, ScaleSpec, ScaleStatus
from kubelet_lite.api.errors import FieldError, InternalError, invalid
from kubelet_lite.api.unstructured import Unstructured
from kubelet_lite.registry.subresources import scale as workloads

_MAX_INT32: Final = 2**31 - 1
_NO_INTEGER: Final = "accessor error: {} is of the type {}, expected int64"
_GO_TYPES: Final = {str: "string", float: "float64", bool: "bool", list: "[]interface {}", dict: "map[string]interface {}", type(None): "<nil>"}


class ScalePaths:
    """Of one version of a definition."""

    def __init__(self, paths: CustomResourceSubresourceScale) -> None:
        self._paths = paths
        self._spec = _names(paths.specReplicasPath)
        self._status = _names(paths.statusReplicasPath)
        self._selector = _names(paths.labelSelectorPath or "")

    def show(self, obj: Unstructured) -> Scale:
        """Raises InternalError where the object does not say how many replicas it wants."""
        replicas = _at(obj.fields, self._spec)
        if replicas is None:
            raise InternalError(f'Internal error occurred: the spec replicas field "{self._paths.specReplicasPath}" does not exist')
        if not _is_integer(replicas):
            raise InternalError(f"Internal error occurred: {self._paths.specReplicasPath} {_no_integer(replicas)}")
        there = _at(obj.fields, self._status)
        selector = _at(obj.fields, self._selector) if self._selector else None
        return Scale(
            metadata=workloads.identity(obj.metadata), spec=ScaleSpec(replicas=replicas),
            status=ScaleStatus(replicas=there if _is_integer(there) else 0, selector=selector if isinstance(selector, str) else ""),
        )

    def scaled(self, obj: Unstructured, scale: Scale) -> Unstructured:
        """The object with the number of replicas that a Scale asks for. Raises Invalid."""
        workloads.check(scale, obj.metadata)
        meta = replace(obj.metadata, resourceVersion=scale.metadata.resourceVersion, uid=scale.metadata.uid)
        return replace(obj, metadata=meta, fields=_with(obj.fields, self._spec, scale.spec.replicas))

    def spec_errors(self, fields: Mapping[str, Any]) -> Iterator[FieldError]:
        yield from _count_errors(self._paths.specReplicasPath, _at(fields, self._spec))

    def status_errors(self, fields: Mapping[str, Any]) -> Iterator[FieldError]:
        yield from _count_errors(self._paths.statusReplicasPath, _at(fields, self._status))
        text = _at(fields, self._selector) if self._selector else None
        if not isinstance(text, str) or not text:
            return
        try:
            selectors.parse_labels(text)
        except selectors.SelectorError as error:
            yield invalid(self._paths.labelSelectorPath or "", text, str(error))


def _names(path: str) -> Sequence[str]:
    return tuple(path.strip(".").split(".")) if path else ()


def _at(fields: Any, names: Sequence[str]) -> Any:
    for name in names:
        if not isinstance(fields, Mapping):
            return None
        fields = fields.get(name)
    return fields


def _with(fields: Any, names: Sequence[str], value: Any) -> Any:
    if not names:
        return value
    inner = fields.get(names[0]) if isinstance(fields, Mapping) else None
    return {**(fields if isinstance(fields, Mapping) else {}), names[0]: _with(inner, names[1:], value)}


def _is_integer(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _no_integer(value: Any) -> str:
    return _NO_INTEGER.format(value, _GO_TYPES.get(type(value), type(value).__name__))


def _count_errors(path: str, value: Any) -> Iterator[FieldError]:
    if value is None:
        return
    if not _is_integer(value):
        yield invalid(path, value, _no_integer(value))
    elif value < 0:
        yield invalid(path, value, "should be a non-negative integer")
    elif value > _MAX_INT32:
        yield invalid(path, value, f"should be less than or equal to {_MAX_INT32}")
