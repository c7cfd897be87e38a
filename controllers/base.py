"""The one idiom of every controller: a pure plan, and a loop that carries it out.

A controller keeps objects of one kind (its `primary`) as their spec says. Each is known by its `Key`, namespace and name, and all that
a controller does happens to one key at a time:

1.  Informers tell the controller of changes; its handlers put the keys that a change concerns into a queue (`connect`). A key that
    waits already is not put in twice; no key is worked on twice at the same time.
2.  `view` gathers from the informers all that matters for one key into an immutable value. Nothing is asked of the server.
3.  `plan(view, now)` decides: a pure function from the view and the time to a `Plan`: actions in order, and when to look again although
    nothing has changed (`wake_at`). It is total: what it does not ask for does not happen, and a plan for what is as it should be is empty.
4.  The loop carries out the actions under the controller's own identity. Creates that follow each other go in batches of 1, 2, 4, …,
    so that a thousand which must fail cost one request; deletes that follow each other go all at once; the rest one by one. The first
    that fails ends the plan.
5.  The key rests until the informers have seen what was written for it: the next view contains it (read your writes). Then it may be
    planned again. After a failure it is planned again after a back-off, and the view is told what failed.

So a plan never waits, never counts what it expects, and needs no memory: it is tested as a table of (view, now) → plan. A controller
that was killed anywhere starts from the informers and goes on. To add one: a file with a plan, and a line in the table of
`controllers/__init__.py`.

The shape is controller-runtime's (https://pkg.go.dev/sigs.k8s.io/controller-runtime), the plan Nomad's.
"""
from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from typing import Any, ClassVar, Generic, NamedTuple, TypeVar

import msgspec

from kubelet_lite.api.errors import ApiError
from kubelet_lite.api.meta_v1 import OwnerReference
from kubelet_lite.api.requests import MERGE_PATCH
from kubelet_lite.api.resources import Resource
from kubelet_lite.client.base import Propagation
from kubelet_lite.client.cache import Change, Informer, Informers
from kubelet_lite.client.events import EventType

V = TypeVar("V")
T = TypeVar("T")


class Key(NamedTuple):
    """Which object of a controller's primary kind."""

    namespace: str
    name: str

    def __str__(self) -> str:
        return f"{self.namespace}/{self.name}" if self.namespace else self.name


def key_of(obj: Any) -> Key:
    return Key(obj.metadata.namespace, obj.metadata.name)


# Actions


class Record(msgspec.Struct, frozen=True):
    """An Event about an object. Where it goes with an action, `{name}` in the message is the object's name, `{error}` what went wrong."""

    about: Any
    type: EventType
    reason: str
    message: str


class Create(msgspec.Struct, frozen=True, kw_only=True):
    """Makes an object. In a namespace that is being deleted it does nothing, and that is no failure.

    One that exists already is a failure of which nobody is told: the next plan may see it.
    """

    object: Any
    success: Record | None = None
    failure: Record | None = None


class Patch(msgspec.Struct, frozen=True, kw_only=True):
    """Changes what is said, of the object with this UID. One that is gone is no failure."""

    object: Any
    change: Any
    content_type: str = MERGE_PATCH
    subresource: str = ""
    if_unchanged: bool = False
    """Whether it must still have this resourceVersion."""
    if_alive: Any = None
    """An object that, read anew from the server, must still exist and not be about to be deleted: an adopter."""
    success: Record | None = None
    failure: Record | None = None


class Update(msgspec.Struct, frozen=True, kw_only=True):
    """Replaces a subresource, or an object that the controller alone writes. It must still have its resourceVersion."""

    object: Any
    subresource: str = ""
    success: Record | None = None
    failure: Record | None = None


class Delete(msgspec.Struct, frozen=True, kw_only=True):
    """Deletes the object with this UID. One that is gone is no failure, and nobody is told."""

    object: Any
    propagation: Propagation | None = None
    grace_period_seconds: int | None = None
    if_unchanged: bool = False
    if_managed: bool = False
    """Whether it must still be managed by who manages it here. One that is not any more counts as gone."""
    success: Record | None = None
    failure: Record | None = None


Write = Create | Patch | Update | Delete
Action = Write | Record


class Plan(msgspec.Struct, frozen=True):
    """What to do for one key, and when (Unix seconds) to plan again although nothing has changed."""

    actions: tuple[Action, ...] = ()
    wake_at: float | None = None


NOTHING: Plan = Plan()


class Failure(msgspec.Struct, frozen=True):
    """An action of the last plan for a key that failed."""

    action: Write
    error: ApiError


# Controllers


Enqueue = Callable[[Key, float], None]
"""Has a key planned, after so many seconds at least (0: at once)."""


class Controller(ABC, Generic[V]):
    """What is particular to one controller. It keeps nothing but its informers."""

    name: ClassVar[str]
    """Of its service account in kube-system and of its events: `deployment-controller`."""
    account: ClassVar[str] = ""
    """Of its service account, where that is another one's: `node-controller`."""
    event_source: ClassVar[str] = ""
    """What its events say they come from, where that is another name: `endpoint-slice-controller`."""
    workers: ClassVar[int] = 5
    """Keys that it works on at the same time: over HTTPS each waits for answers."""
    primary: Informer[Any]

    @abstractmethod
    def __init__(self, informers: Informers) -> None: ...

    @abstractmethod
    def informers(self) -> Sequence[Informer[Any]]:
        """All that it reads. What it writes is looked for in those of them that are for the kind, so they select nothing."""

    def all_keys(self) -> Sequence[Key]:
        """All that may need a plan when the controller starts."""
        return [key_of(obj) for obj in self.primary.list()]

    @abstractmethod
    def connect(self, enqueue: Enqueue) -> None:
        """Adds the handlers that say which keys a change concerns. Called once."""

    @abstractmethod
    def view(self, key: Key, failures: Sequence[Failure]) -> V | None:
        """All that matters for a key; None: there is nothing to be done, ever, until it is enqueued again."""

    @abstractmethod
    def plan(self, view: V, now: float) -> Plan:
        """What to do. Pure."""


def on_change(informer: Informer[T], concerns: Callable[[Change[T]], Iterator[Key]], enqueue: Enqueue, after_seconds: float = 0) -> None:
    """Has the keys planned that each change of an informer's objects concerns."""

    def handler(changes: Sequence[Change[T]]) -> None:
        for change in changes:
            for key in concerns(change):
                enqueue(key, after_seconds)

    informer.add_handler(handler)


def itself(change: Change[Any]) -> Iterator[Key]:
    """Concerns the key of the object that changed: for a controller's primary kind."""
    yield key_of(change.object)


def controller_of(obj: Any) -> OwnerReference | None:
    """The owner that manages an object."""
    return next((reference for reference in obj.metadata.ownerReferences if reference.controller), None)


def owner_key(obj: Any, owner: Resource) -> Key | None:
    """The key of the object's managing controller, where that is of a kind."""
    reference = controller_of(obj)
    if reference is None or reference.kind != owner.kind or reference.apiVersion.partition("/")[0] != owner.api_version.partition("/")[0]:
        return None
    return Key(obj.metadata.namespace, reference.name)


def controller_reference(owner: Any, resource: Resource) -> OwnerReference:
    """What an object says of the one that manages it."""
    return OwnerReference(
        apiVersion=resource.api_version, kind=resource.kind, name=owner.metadata.name, uid=owner.metadata.uid,
        controller=True, blockOwnerDeletion=True,
    )
