"""What a cluster held at one revision: all that an invariant, a story or the user of a replay looks at. Grows by one revision at a time."""
from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any, Final, TypeVar, overload

from kubelet_lite.api.resources import RESOURCES, Resource, resource_of
from kubelet_lite.simulation.archive import Revision

if TYPE_CHECKING:
    from kubelet_lite.simulation.step import Fault

T = TypeVar("T")
BUILT_IN: Final = {resource.qualified: resource for resource in RESOURCES if "list" in resource.verbs and resource.group != "events.k8s.io"}
"""What any cluster can hold, by its qualified name; Events of both groups are kept as `events`."""
DEFINITIONS: Final = "customresourcedefinitions.apiextensions.k8s.io"
API_PARTS: Final = ("apiserver", "store", "upkeep")
Place = tuple[str, str]
"""Namespace and name."""


class UnknownKind(ValueError):
    """No cluster holds such objects, or this one does not; the message has the names that there are."""

    def __init__(self, name: str, known: Iterable[str], *, where: str = "") -> None:
        names = [*known]
        kinds = {resource.kind.lower(): qualified for qualified, resource in reversed(BUILT_IN.items())}
        plural = name.partition(".")[0]
        meant = [kinds[name.lower()]] if name.lower() in kinds else [plural] if plural in names else get_close_matches(name, names, n=1)
        hint = f" (did you mean {meant[0]}?)" if meant else ""
        super().__init__(f"{where and f'{where}: '}there is no kind {name!r}{hint}: say a qualified name, one of {', '.join(sorted(names))}")


class Snapshot:
    """`kind`: a type of kubelet_lite.api (`Pod`), a Resource, or the qualified name (`pods`, `deployments.apps`).

    Objects are stored values: of kinds with several versions, the stored version. Raises UnknownKind for a name that is neither built in
    nor a custom resource's.
    """

    def __init__(self) -> None:
        self.revision = 0
        self.time = 0.0
        """Virtual Unix seconds."""
        self._faults: list[tuple[Fault, float]] = []
        """All that have begun, and when each was over (virtual Unix seconds): infinite while it is at work."""
        self._objects: dict[str, dict[Place, Any]] = {}
        """By qualified name: of all that had any, and of every custom resource that was defined."""

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
        if event.key.resource == DEFINITIONS:
            self._objects.setdefault(event.key.name, {})
        self.revision, self.time = event.revision, revision.time

    def disturb(self, fault: Fault) -> None:
        """A fault is at work."""
        self._faults.append((fault, math.inf))

    def calm(self, fault: Fault, time: float) -> None:
        """It is over."""
        for position, (one, _) in enumerate(self._faults):
            if one is fault:
                self._faults[position] = (fault, time)

    def calm_since(self, *parts: str) -> float:
        """When the last fault was over that may strike one of these parts, or the API, of which all know what they know."""
        struck = (*parts, *API_PARTS)
        return max((over for fault, over in self._faults if any(map(fault.may_strike, struck))), default=0.0)

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
        try:
            name = kind if isinstance(kind, str) else resource_of(kind).qualified
        except (AttributeError, KeyError):
            raise UnknownKind(getattr(kind, "__name__", repr(kind)), {**BUILT_IN, **self._objects}) from None
        found = self._objects.get(name)
        if found is not None:
            return found
        if name not in BUILT_IN and not isinstance(kind, Resource):
            raise UnknownKind(name, {**BUILT_IN, **self._objects})
        return {}

    def resources(self) -> Sequence[str]:
        """The qualified names of the resources with objects."""
        return [resource for resource, objects in self._objects.items() if objects]
