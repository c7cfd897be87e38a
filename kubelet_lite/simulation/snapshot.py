"""What a cluster held at one revision: all that an invariant, a story or the user of a replay looks at. Grows by one revision at a time."""
from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TypeVar, overload

from kubelet_lite.api.resources import Resource, resource_of
from kubelet_lite.simulation.archive import Revision

T = TypeVar("T")
Place = tuple[str, str]
"""Namespace and name."""


class Snapshot:
    """`kind`: a type of kubelet_lite.api (`Pod`), a Resource, or the qualified name (`pods`, `deployments.apps`).

    Objects are stored values: of kinds with several versions, the stored version.
    """

    def __init__(self) -> None:
        self.revision = 0
        self.time = 0.0
        """Virtual Unix seconds."""
        self.calm_since = 0.0
        """When the last fault was over (virtual Unix seconds); infinite while one is at work."""
        self._objects: dict[str, dict[Place, Any]] = {}

    @classmethod
    def of(cls, revisions: Iterable[Revision]) -> Snapshot:
        """What is there after them."""
        made = cls()
        for revision in revisions:
            made.advance(revision)
        return made

    def advance(self, revision: Revision) -> None:
        """Takes in the next revision."""
        event = revision.event
        objects = self._objects.setdefault(event.key.resource, {})
        place = (event.key.namespace, event.key.name)
        if event.object is None:
            objects.pop(place, None)
        else:
            objects[place] = event.object
        self.revision, self.time = event.revision, revision.time

    @overload
    def get(self, kind: type[T], name: str, namespace: str = "") -> T | None: ...
    @overload
    def get(self, kind: Resource | str, name: str, namespace: str = "") -> Any | None: ...
    def get(self, kind: Any, name: str, namespace: str = "") -> Any | None:
        return self.all(kind).get((namespace, name))

    @overload
    def list(self, kind: type[T], namespace: str = "") -> Sequence[T]: ...
    @overload
    def list(self, kind: Resource | str, namespace: str = "") -> Sequence[Any]: ...
    def list(self, kind: Any, namespace: str = "") -> Sequence[Any]:
        """All, or those of a namespace, in the order of their creation."""
        return [obj for place, obj in self.all(kind).items() if not namespace or place[0] == namespace]

    @overload
    def all(self, kind: type[T]) -> Mapping[Place, T]: ...
    @overload
    def all(self, kind: Resource | str) -> Mapping[Place, Any]: ...
    def all(self, kind: Any) -> Mapping[Place, Any]:
        """By namespace and name. Not to be changed."""
        return self._objects.get(kind if isinstance(kind, str) else resource_of(kind).qualified, {})

    def resources(self) -> Sequence[str]:
        """The qualified names of the resources with objects."""
        return [resource for resource, objects in self._objects.items() if objects]
