"""What a plug-in is: one class that takes part in scheduling at as many points as it has methods for.

Where a point judges nodes there are two methods to choose from: one that looks at a node at a time (`filter`, `score`), one that
looks at whole columns of the node table (`mask` with `reject`, `column`). A text that a method returns says why not; None: go on.
https://kubernetes.io/docs/concepts/scheduling-eviction/scheduling-framework/
"""
from __future__ import annotations

import random
from collections.abc import Awaitable, Callable, Hashable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Final, Protocol

import msgspec
import numpy as np

from kubelet_lite.scheduler.node_info import NodeInfo
from kubelet_lite.scheduler.node_table import Column, Mask, NodeTable, Rows
from kubelet_lite.scheduler.nominations import Nomination, Nominations, Promised
from kubelet_lite.scheduler.pod_info import PodInfo
from kubelet_lite.scheduler.surroundings import Given, Surroundings
from kubelet_lite.scheduler.waiting_pods import WaitingPods

if TYPE_CHECKING:
    from kubelet_lite.actors.environment import Environment
    from kubelet_lite.client.base import Client

__all__ = [
    "MAX_NODE_SCORE", "NOT_TRIED", "Attempt", "Change", "Column", "Handle", "Helped", "Lasting", "Mask", "NoArgs", "NodeInfo", "NodeTable", "Plugin",
    "PluginError", "PodInfo", "Refusals", "Rejection", "Rows", "Unplaced", "Unresolvable", "Wait", "WaitingPods", "defines", "normalised", "single",
]
"""What a plug-in may want to import; a user's, from here."""
MAX_NODE_SCORE: Final = 100


class Unresolvable(str):
    """A reason why a node may not take the pod that stays though other pods leave the node."""

    __slots__ = ()


class Rejection(msgspec.Struct, frozen=True):
    """Why a node may not take the pod."""

    plugin: str
    reasons: tuple[str, ...]
    resolvable: bool
    """Whether removing other pods from the node could help."""


Refusals = Sequence[tuple[Rejection, Rows]]
Helped = bool | frozenset[tuple[str, str]] | Callable[[PodInfo], bool]
"""The pods that something helps: none, all, those of these namespaces and names, or those of which a function says so."""


class Filter(Protocol):
    """What a profile has of a plug-in that filters, all nodes at once."""

    @property
    def name(self) -> str: ...

    def applies(self, pod: PodInfo, nodes: NodeTable, /) -> bool: ...

    def mask(self, pod: PodInfo, nodes: NodeTable, rows: Rows, /) -> Mask: ...

    def passes(self, pod: PodInfo, nodes: NodeTable, row: int, /) -> bool: ...

    def reject(self, pod: PodInfo, nodes: NodeTable, rows: Rows, /) -> Refusals: ...


class Filters(Protocol):
    """A profile, as far as it says where a pod may go: what a plug-in needs that asks "would it fit if …"."""

    @property
    def plugins(self) -> Mapping[str, Plugin]: ...

    @property
    def pre_filter(self) -> Sequence[Plugin]: ...

    @property
    def filters(self) -> Sequence[Filter]: ...

    @property
    def lasting_filters(self) -> Sequence[Filter]:
        """Those that judge a node by itself and the pods on it."""
        ...

    @property
    def wide_filters(self) -> Sequence[Filter]:
        """The others."""
        ...


class Wait(msgspec.Struct, frozen=True):
    """What `permit` answers for a pod that shall not be bound yet: at the latest after so long it is denied."""

    seconds: float


class Change(msgspec.Struct, frozen=True):
    """Something happened in the cluster; without `old` the object came, without `new` it went."""

    kind: type[Any]
    old: Any = None
    new: Any = None


class Attempt(msgspec.Struct, frozen=True):
    """What became of making room for a pod that fits nowhere."""

    words: str = ""
    nomination: Nomination | None = None
    hopeless: bool = False
    """Whether a promise made earlier is void."""
    candidates: Sequence[Nomination] = ()
    """What the nomination was chosen from."""
    deeds: Sequence[Callable[[], Awaitable[None]]] = ()
    """What else is to be done for the pod: awaited once all has been said of it."""


NOT_TRIED: Final = Attempt()


class Unplaced(msgspec.Struct, frozen=True):
    """A pod that fits nowhere: what `post_filter` may know of it."""

    pod: PodInfo
    refusals: Refusals
    promised: Promised
    profile: Filters
    random: random.Random


class Handle(msgspec.Struct, frozen=True):
    """What a plug-in has of the scheduler that it is part of; each run of a scheduler makes new plug-ins."""

    nodes: NodeTable
    surroundings: Surroundings
    """Other objects: those of the kinds that `needs` names."""
    nominations: Nominations
    waiting: WaitingPods
    """Pods that wait at Permit, to be allowed or denied."""
    client: Client | None = None
    """None where there is no cluster (`Scheduler.simulate`)."""
    environment: Environment | None = None

    @classmethod
    def alone(cls, surroundings: Surroundings | None = None, nodes: NodeTable | None = None) -> Handle:
        """Without a cluster."""
        return cls(nodes if nodes is not None else NodeTable(), surroundings or Given(), Nominations(), WaitingPods())


class PluginError(Exception):
    """A plug-in raised what it should not: `error`, in its method `method`."""

    def __init__(self, plugin: str, method: str, error: Exception) -> None:
        super().__init__(f'running plugin "{plugin}": {method}: {type(error).__name__}: {error}')
        self.plugin, self.method, self.error = plugin, method, error


class NoArgs(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The arguments of a plug-in that takes none."""


class Plugin:
    """Override what the plug-in does; what is not overridden is not called.

    A plug-in lives as long as one run of the scheduler and serves one profile. What it keeps of a pod between two points it keeps
    under `pod.key`. A method that is not `async` runs while nothing else does.
    """

    name: ClassVar[str]
    """As profiles name it; that of the class unless it says otherwise."""
    Args: ClassVar[type[msgspec.Struct]] = NoArgs
    """What `pluginConfig` may say of it; its fields have defaults."""
    guarded = False
    """Whether it is a user's own: what it raises spoils one attempt, and its scores are checked."""

    overridden: ClassVar[frozenset[str]] = frozenset()
    """The methods that the class has of its own."""

    def __init_subclass__(cls) -> None:
        if "name" not in cls.__dict__:
            cls.name = cls.__name__
        cls.overridden = frozenset(name for name, method in vars(Plugin).items() if callable(method) and getattr(cls, name) is not method)

    def __init__(self, handle: Handle, args: Any = None) -> None:
        self.handle = handle
        self.args: Any = args if args is not None else self.Args()

    # What it asks of the scheduler

    def needs(self, pod: PodInfo, nodes: NodeTable) -> Sequence[type[Any]]:
        """The kinds of objects that it must know to judge this pod."""
        return ()

    def likeness(self, pod: PodInfo) -> Hashable:
        """Overridden by a plug-in that judges a node by nothing but the node, the pods on it, and what is equal for pods of equal
        likeness: what it found for one of them then stands for the next, until the node or the pods on it change."""
        return None

    steady: ClassVar[bool] = False
    """Of a plug-in with a `likeness`: whether it judges a node without looking at the pods on it."""
    by_amounts: ClassVar[bool] = False
    """Of one that does look at them: whether it looks at nothing but amounts (`NodeTable.state`): nodes of equal amounts are judged alike."""

    def applies(self, pod: PodInfo, nodes: NodeTable) -> bool:
        """Whether it could refuse any node as a Filter: a plug-in that does not apply costs nothing."""
        return True

    def ranks(self, pod: PodInfo, nodes: NodeTable) -> bool:
        """Whether it could give one node more points than another: else its scores cost nothing."""
        return True

    def hint(self, change: Change) -> Helped:
        """Which pods that it refused it might judge otherwise after a change (QueueingHint)."""
        return True

    # The scheduling queue

    def pre_enqueue(self, pod: PodInfo) -> str | None:
        """PreEnqueue: why the pod may not be scheduled yet. Asked again when the pod changes."""
        raise NotImplementedError

    def queue_key(self, pod: PodInfo, arrived: float) -> tuple[float, ...]:
        """QueueSort: the pod with the least goes first. All profiles of a scheduler have the same."""
        raise NotImplementedError

    # The decision

    def pre_filter(self, pod: PodInfo, nodes: NodeTable) -> str | frozenset[str] | None:
        """PreFilter: why no node may take the pod, or the names of the only ones that may."""
        raise NotImplementedError

    def filter(self, pod: PodInfo, node: NodeInfo) -> str | None:
        """Filter, a node at a time: why it may not take the pod (an Unresolvable where removing other pods would not help)."""
        raise NotImplementedError

    def mask(self, pod: PodInfo, nodes: NodeTable, rows: Rows) -> Mask:
        """Filter, all at once: which of `rows` may take the pod."""
        raise NotImplementedError

    def passes(self, pod: PodInfo, nodes: NodeTable, row: int) -> bool:
        """Beside `mask`: the same for a single row, where that can be had faster."""
        return bool(self.mask(pod, nodes, np.array([row], np.intp))[0])

    def reject(self, pod: PodInfo, nodes: NodeTable, rows: Rows) -> Refusals:
        """Beside `mask`: why `rows`, which it refused, may not; in groups, each row in exactly one."""
        return [(Rejection(self.name, (f"node(s) didn't satisfy plugin {self.name}",), resolvable=True), rows)]

    def post_filter(self, nodes: NodeTable, unplaced: Unplaced) -> Attempt:
        """PostFilter: makes room. The first that finds a node ends the search."""
        raise NotImplementedError

    def pre_score(self, pod: PodInfo, nodes: NodeTable, rows: Rows) -> None:
        """PreScore: `rows` are what is left to choose from."""

    def score(self, pod: PodInfo, node: NodeInfo) -> int:
        """Score, a node at a time: how well it would take the pod, 0 to 100 (after `normalize`)."""
        raise NotImplementedError

    def column(self, pod: PodInfo, nodes: NodeTable, rows: Rows) -> Column | None:
        """Score, all at once: the score of each of `rows`; a single number where all are alike, None where there is nothing to say."""
        raise NotImplementedError

    def points(self, pod: PodInfo, nodes: NodeTable, row: int) -> int:
        """Beside `column`: the same for a single row, where that can be had faster."""
        return single(self.column(pod, nodes, np.array([row], np.intp)))

    relative: ClassVar[bool] = True
    """Whether what `column` says of a node depends on which other nodes are `rows`; if not, and with a `likeness`, it is remembered."""

    def normalize(self, pod: PodInfo, scores: Column) -> Column:
        """NormalizeScore: brings all scores into 0 to 100."""
        return scores

    # The binding

    def reserve(self, pod: PodInfo, node_name: str) -> str | None:
        """Reserve: the pod counts on the node from now on. Why it must not."""
        raise NotImplementedError

    def unreserve(self, pod: PodInfo, node_name: str) -> None:
        """Takes a `reserve` back, also one that never happened: something went wrong before the pod was bound."""

    def permit(self, pod: PodInfo, node_name: str) -> str | Wait | None:
        """Permit: why the pod must not be bound, or how long it waits for `handle.waiting` to be told."""
        raise NotImplementedError

    def pre_bind(self, pod: PodInfo, node_name: str) -> Awaitable[str | None] | None:
        """PreBind, `async` if need be: what must be done before the pod is bound, and why it failed."""
        raise NotImplementedError

    def bind(self, pod: PodInfo, node_name: str) -> Awaitable[str | None] | None:
        """Bind, `async`: binds the pod itself, and why it failed. None instead of something to await: another shall."""
        raise NotImplementedError

    async def bind_all(self, placed: Sequence[tuple[PodInfo, str]]) -> Sequence[Exception | None]:
        """Bind, all at once: one answer a pod."""
        raise NotImplementedError

    def post_bind(self, pod: PodInfo, node_name: str) -> None:
        """PostBind: the pod was bound."""
        raise NotImplementedError


class Lasting(Plugin):
    """A plug-in that judges nodes by themselves and the pods on them, and a pod by what its `PodInfo.likeness` tells apart."""

    def likeness(self, pod: PodInfo) -> Hashable:
        return pod.likeness


def defines(plugin: Plugin | type[Plugin], *methods: str) -> bool:
    """Whether the plug-in overrides any of the methods."""
    return not plugin.overridden.isdisjoint(methods)


def single(scores: Column | None) -> int:
    """The points of the only row."""
    return int(scores.flat[0]) if scores is not None else 0


def normalised(scores: Column, *, reverse: bool = False) -> Column:
    """Scales the highest to 100; with `reverse`, the lowest counts most. All zero stays so (or becomes 100)."""
    highest = int(scores.max(initial=0))
    if highest == 0:
        return np.full_like(scores, MAX_NODE_SCORE) if reverse else scores
    scaled: Column = scores * MAX_NODE_SCORE // highest
    return MAX_NODE_SCORE - scaled if reverse else scaled
