"""What a plug-in is: a filter tells which nodes may take a pod, a score how well each would, both as columns of the node table.

https://kubernetes.io/docs/concepts/scheduling-eviction/scheduling-framework/
"""
from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, Protocol

import msgspec
import numpy as np

from kubelet_lite.scheduler.node_table import Column, Mask, NodeTable, Rows
from kubelet_lite.scheduler.pod_info import PodInfo

MAX_NODE_SCORE: Final = 100


class Rejection(msgspec.Struct, frozen=True):
    """Why a node may not take the pod."""

    plugin: str
    reasons: tuple[str, ...]
    resolvable: bool
    """Whether removing other pods from the node could help."""


Refusals = Sequence[tuple[Rejection, Rows]]


class PreFilter(Protocol):
    """Leaves out nodes before any filter looks at them."""

    name: str

    def narrow(self, pod: PodInfo, nodes: NodeTable, rows: Rows) -> Mask | None:
        """Which of `rows` are worth looking at; None: all of them."""
        ...


class Gate(Protocol):
    """Refuses a pod before any node is looked at."""

    name: str

    def refuse(self, pod: PodInfo, nodes: NodeTable) -> str | None:
        """Why; None: it may go on."""
        ...


class Filter(Protocol):
    """Judges nodes. As one of a profile's `filters`, by a node's own data and the pods on it alone, so that a verdict stands until
    one of these changes; as one of its `wide_filters`, by anything."""

    name: str

    def applies(self, pod: PodInfo, nodes: NodeTable) -> bool:
        """Whether it could refuse any node: a plug-in that does not apply costs nothing."""
        ...

    def mask(self, pod: PodInfo, nodes: NodeTable, rows: Rows) -> Mask:
        """Which of `rows` may take the pod."""
        ...

    def reject(self, pod: PodInfo, nodes: NodeTable, rows: Rows) -> Refusals:
        """Why `rows`, which `mask` refused, may not: in groups, each row in exactly one."""
        ...


class Score(Protocol):
    """`column` gives the score (0 to 100) of each of `rows`: a single number where all are alike, None where the plug-in has nothing to
    say of this pod."""

    name: str
    weight: int
    relative: bool
    """Whether a node's score depends on which other nodes are `rows`; otherwise on its own data and pods alone, as with filters."""

    def column(self, pod: PodInfo, nodes: NodeTable, rows: Rows) -> Column | None: ...


class Needs(Protocol):
    """A plug-in that looks beyond nodes and pods."""

    def needs(self, pod: PodInfo, nodes: NodeTable) -> Sequence[type[Any]]:
        """The kinds of objects that it must know to judge this pod."""
        ...


class Profile(msgspec.Struct, frozen=True):
    """The plug-ins of one scheduler name, in order."""

    pre_filters: tuple[PreFilter, ...]
    filters: tuple[Filter, ...]
    scores: tuple[Score, ...]
    gates: tuple[Gate, ...] = ()
    wide_filters: tuple[Filter, ...] = ()
    """They come after `filters`."""
    needy: tuple[Needs, ...] = ()

    def needs(self, pod: PodInfo, nodes: NodeTable) -> Sequence[type[Any]]:
        """The kinds that must be known to decide for this pod."""
        return [kind for plugin in self.needy for kind in plugin.needs(pod, nodes)]


def normalised(scores: Column, *, reverse: bool = False) -> Column:
    """Scales the highest to 100; with `reverse`, the lowest counts most. All zero stays so (or becomes 100)."""
    highest = int(scores.max(initial=0))
    if highest == 0:
        return np.full_like(scores, MAX_NODE_SCORE) if reverse else scores
    scaled: Column = scores * MAX_NODE_SCORE // highest
    return MAX_NODE_SCORE - scaled if reverse else scaled
