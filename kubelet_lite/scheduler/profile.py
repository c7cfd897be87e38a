"""The plug-ins of one scheduler name, by the points at which they take part, each point in its order.

https://kubernetes.io/docs/reference/scheduling/config/
"""
from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import Any, Final

from kubelet_lite.scheduler.framework import Change, Helped, Lasting, Plugin, defines
from kubelet_lite.scheduler.node_table import NodeTable
from kubelet_lite.scheduler.per_node import Filtering, Scoring
from kubelet_lite.scheduler.pod_info import PodInfo
from kubelet_lite.scheduler.surroundings import Given, Surroundings

POINTS: Final[Mapping[str, tuple[str, ...]]] = {
    "preEnqueue": ("pre_enqueue",), "queueSort": ("queue_key",), "preFilter": ("pre_filter",), "filter": ("filter", "mask"),
    "postFilter": ("post_filter",), "preScore": ("pre_score",), "score": ("score", "column"), "reserve": ("reserve",), "permit": ("permit",),
    "preBind": ("pre_bind",), "bind": ("bind", "bind_all"), "postBind": ("post_bind",),
}
"""Point, as a configuration calls it → the methods of which a plug-in has one to take part there."""
ASKED_OF_A_TEMPLATE: Final = ("needs", "pre_filter", "applies", "ranks")
"""What is asked once for all pods of a template, until something else changes in the cluster."""
Enabled = Mapping[str, Sequence[tuple[Plugin, int]]]
"""Point → plug-ins in order, with weights (which count for scores alone)."""


def takes_part(plugin: Plugin | type[Plugin], point: str) -> bool:
    return defines(plugin, *POINTS[point])


def everywhere(*plugins: tuple[Plugin, int]) -> Enabled:
    """Each plug-in wherever it has a method."""
    return {point: [(plugin, weight) for plugin, weight in plugins if takes_part(plugin, point)] for point in POINTS}


class Profile:
    """Sorted once, so that a decision calls nothing that does nothing."""

    def __init__(self, name: str, enabled: Enabled) -> None:
        self.name = name
        at = {point: tuple(plugin for plugin, _ in enabled.get(point, ())) for point in POINTS}
        self.plugins: Mapping[str, Plugin] = {plugin.name: plugin for plugins in at.values() for plugin in plugins}
        self.pre_enqueue, self.queue_sort, self.pre_filter = at["preEnqueue"], at["queueSort"], at["preFilter"]
        self.filters = tuple(Filtering(plugin) for plugin in at["filter"])
        self.lasting_filters = tuple(filtering for filtering in self.filters if filtering.lasting)
        self.wide_filters = tuple(filtering for filtering in self.filters if not filtering.lasting)
        self.steady_filters = tuple(filtering for filtering in self.lasting_filters if filtering.steady)
        self.moving_filters = tuple(filtering for filtering in self.lasting_filters if not filtering.steady)
        self.post_filter = at["postFilter"]
        self.scores = tuple(Scoring(plugin, weight, prepares=plugin in at["preScore"]) for plugin, weight in enabled.get("score", ()))
        self.relative_scores = tuple(scoring for scoring in self.scores if scoring.relative)
        self.lasting_scores = tuple(scoring for scoring in self.scores if not scoring.relative)
        self.steady_scores = tuple(scoring for scoring in self.lasting_scores if scoring.steady)
        self.moving_scores = tuple(scoring for scoring in self.lasting_scores if not scoring.steady)
        moving = (*(filtering.plugin for filtering in self.moving_filters), *(scoring.plugin for scoring in self.moving_scores))
        self.answers_for_any = not any(plugin.guarded for plugin in moving)
        """Whether nodes that do not fit may be judged too, where that is faster: a user's plug-in is not asked about them."""
        self.reserve, self.permit, self.pre_bind, self.bind, self.post_bind = at["reserve"], at["permit"], at["preBind"], at["bind"], at["postBind"]
        self.binds_alone = any(defines(plugin, "bind") for plugin in self.bind)
        """Whether a plug-in binds pods one by one."""
        self._needy = tuple(plugin for plugin in self.plugins.values() if defines(plugin, "needs"))
        of_their_own = [p.likeness for p in self.plugins.values() if defines(p, "likeness") and type(p).likeness is not Lasting.likeness]
        self._likenesses: tuple[Callable[[PodInfo], Hashable], ...] = tuple(of_their_own)
        steady = (*(filtering.plugin for filtering in self.steady_filters), *(scoring.plugin for scoring in self.steady_scores))
        self._steady_by_themselves = not any(plugin.guarded for plugin in steady)
        self.steadfast = not any(plugin.guarded and defines(plugin, *ASKED_OF_A_TEMPLATE) for plugin in self.plugins.values())
        """Whether what plug-ins say of a pod before they look at nodes holds for all pods of its template: a user's may say what they like."""
        self.surroundings: Surroundings = next(iter(self.plugins.values())).handle.surroundings if self.plugins else Given()

    def needs(self, pod: PodInfo, nodes: NodeTable) -> Sequence[type[Any]]:
        """The kinds that must be known to decide for the pod."""
        return [kind for plugin in self._needy for kind in plugin.needs(pod, nodes)]

    def likeness(self, pod: PodInfo) -> Hashable:
        """Equal for pods that all lasting plug-ins judge alike."""
        if not self._likenesses:
            return pod.likeness
        return (pod.likeness, *(likeness(pod) for likeness in self._likenesses))

    def steady_likeness(self, pod: PodInfo) -> Hashable:
        """Equal for pods that all steady plug-ins judge alike."""
        return pod.steady_likeness if self._steady_by_themselves else self.likeness(pod)

    def refused_at_the_door(self, pod: PodInfo) -> tuple[str, str] | None:
        """The first PreEnqueue plug-in that keeps the pod out of the queue, and why."""
        for plugin in self.pre_enqueue:
            reason = plugin.pre_enqueue(pod)
            if reason is not None:
                return plugin.name, reason
        return None

    def helped_by(self, plugin: str, change: Change) -> Helped:
        """The plug-in's hint; one that is unknown may be helped by anything."""
        found = self.plugins.get(plugin)
        return found.hint(change) if found is not None else True
