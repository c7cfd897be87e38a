"""Objects as Tables (what `kubectl get` prints) and as their metadata alone.

https://kubernetes.io/docs/reference/using-api/api-concepts/#receiving-resources-as-tables
"""
from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any, Final, Literal

import msgspec

from kubelet_lite.api import encoding
from kubelet_lite.api.autoscaling_v1 import Scale
from kubelet_lite.api.core_v1 import Pod
from kubelet_lite.api.errors import ApiError, BadRequest, NotAcceptable
from kubelet_lite.api.meta_v1 import ListMeta
from kubelet_lite.api.resources import Column, Resource
from kubelet_lite.apiserver import query
from kubelet_lite.registry.kinds.ages import age, name_and_creation
from kubelet_lite.registry.registry import Registry

IncludeObject = Literal["Metadata", "Object", "None"]
DEFAULT_COLUMNS: Final = (Column("Name", "string", "name", 0), Column("Created At", "date", "", 0))
SCALE_COLUMNS: Final = (
    Column("Name", "string", "", 0), Column("Desired", "integer", "", 0), Column("Available", "integer", "", 0), Column("Age", "string", "", 0),
)


def include_object(values: Mapping[str, Sequence[str]]) -> IncludeObject:
    """How much of each object a row carries. Raises BadRequest."""
    wanted = query.text(values, "includeObject")
    match wanted:
        case "" | "Metadata":
            return "Metadata"
        case "Object":
            return "Object"
        case "None":
            return "None"
    raise BadRequest(
        f'Unable to convert to Table as requested: includeObject: Invalid value: "{wanted}": must be \'Metadata\', \'Object\', \'None\', or empty'
    )


class TableForm(msgspec.Struct, frozen=True, kw_only=True):
    """How one request wants its Tables."""

    registry: Registry
    resource: Resource
    version: str
    """Of the group meta.k8s.io."""
    include: IncludeObject
    kind: Any = None
    """The type of the objects where they are of another kind than the resource (a Scale)."""

    def head(self, metadata: bytes, *, columns: bool = True) -> bytes:
        """A Table up to its first row."""
        definitions = _column_definitions(self._columns()) if columns else b"null"
        return b'{"kind":"Table","apiVersion":"meta.k8s.io/%b","metadata":%b,"columnDefinitions":%b,"rows":[' % (
            self.version.encode(), metadata, definitions,
        )

    def row(self, obj: Any, now: float) -> bytes:
        """One object's row."""
        if self.include == "None":
            shown = b"null"
        elif self.include == "Object":
            shown = encoding.encode(obj)
        else:
            shown = partial(obj, self.version)
        conditions = _pod_conditions(obj) if isinstance(obj, Pod) else b""
        return b'{"cells":%b%b,"object":%b}' % (encoding.encode_value(self._cells(obj, now)), conditions, shown)

    def table(self, obj: Any, now: float, *, columns: bool = True) -> bytes:
        """A Table of one object."""
        metadata = encoding.encode_value(ListMeta(resourceVersion=obj.metadata.resourceVersion))
        return b"%b%b]}" % (self.head(metadata, columns=columns), self.row(obj, now))

    def _columns(self) -> tuple[Column, ...]:
        if self.kind is Scale:
            return SCALE_COLUMNS
        return (self.resource.columns if self.kind is None else ()) or DEFAULT_COLUMNS

    def _cells(self, obj: Any, now: float) -> Sequence[Any]:
        if isinstance(obj, Scale):
            return obj.metadata.name, obj.spec.replicas, obj.status.replicas, age(obj, now)
        cells = self.registry.row(self.resource, obj, now) if self.kind is None else None
        return name_and_creation(obj, now) if cells is None else cells


@lru_cache(maxsize=512)
def _column_definitions(columns: tuple[Column, ...]) -> bytes:
    return msgspec.json.encode([
        {"name": c.name, "type": c.type, "format": c.format, "description": "", "priority": c.priority} for c in columns
    ])


_DONE: Final = b',"conditions":[{"type":"Completed","status":"True","reason":"%b","message":"%b"}]'
_POD_CONDITIONS: Final = {
    "Succeeded": _DONE % (b"Succeeded", b"The pod has completed successfully."),
    "Failed": _DONE % (b"Failed", b"The pod failed."),
}


def _pod_conditions(pod: Pod) -> bytes:
    return _POD_CONDITIONS.get(pod.status.phase, b"")


# ---- metadata alone


def partial(obj: Any, version: str) -> bytes:
    """A PartialObjectMetadata."""
    return b'{"kind":"PartialObjectMetadata","apiVersion":"meta.k8s.io/%b","metadata":%b}' % (
        version.encode(), encoding.encode_value(obj.metadata),
    )


def not_a_list(resource: Resource, wanted: str) -> ApiError:
    return NotAcceptable(f"you requested {wanted}, but the requested object is not a list (*{_go_package(resource)}.{resource.kind})")


def a_list(resource: Resource, wanted: str) -> ApiError:
    return NotAcceptable(f"you requested {wanted}, but the requested object is a list (*{_go_package(resource)}.{resource.kind}List)")


def _go_package(resource: Resource) -> str:
    """The name of Go's package of internal types: `core`, `apps`, `rbac`."""
    return resource.group.split(".")[0] or "core"
