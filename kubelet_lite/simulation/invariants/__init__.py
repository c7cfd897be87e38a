"""What Kubernetes promises, by name: each a rule that holds in every run, whatever happens to it. The table is in docs/simulation.md.

    run = play(scenario, seed=7, invariants=STANDARD, setting=Setting(settle=True))
"""
from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from kubelet_lite.simulation.invariant import InvariantMaker
from kubelet_lite.simulation.invariants import store, watches
from kubelet_lite.simulation.invariants.identity import AtMostOnePodPerIdentity
from kubelet_lite.simulation.invariants.liveness import CacheConverges, NoHotLoop, QueueDrains
from kubelet_lite.simulation.invariants.nodes import EvictionNeedsTaint, NoPodOnDeletedNode, NoReadyPodOnSilentNode
from kubelet_lite.simulation.invariants.ownership import (
    FinalizersRespected,
    GenerationMovesWithSpecOnly,
    LiveOwnerNeverCollected,
    NamespaceEmptyWhenGone,
    NoStuckFinalizer,
    OrphanNeverDeleted,
    OwnerDeletedImpliesCollected,
)
from kubelet_lite.simulation.invariants.policy import PDBNeverExceeded, QuotaNeverExceeded
from kubelet_lite.simulation.invariants.scheduling import BindOnce, NoOvercommit
from kubelet_lite.simulation.invariants.services import (
    EndpointConditionsAgree,
    EndpointsSubsetOfReadyPods,
    UniqueClusterIP,
    UniqueNodePort,
    UniquePodIP,
)
from kubelet_lite.simulation.invariants.statuses import (
    ObservedGenerationIsTrue,
    ReadyMeansContainersReady,
    RestartsCounted,
)
from kubelet_lite.simulation.invariants.workloads import MaxSurge, MaxUnavailable, NoSurplusPods

STANDARD: Final[tuple[InvariantMaker, ...]] = (
    watches.WatchRules,
    store.StoreRules,
    store.NoWriteToCachedObject,
    AtMostOnePodPerIdentity,
    BindOnce,
    NoOvercommit,
    MaxSurge,
    MaxUnavailable,
    NoSurplusPods,
    PDBNeverExceeded,
    QuotaNeverExceeded,
    UniqueClusterIP,
    UniqueNodePort,
    UniquePodIP,
    EndpointsSubsetOfReadyPods,
    EndpointConditionsAgree,
    ReadyMeansContainersReady,
    RestartsCounted,
    ObservedGenerationIsTrue,
    LiveOwnerNeverCollected,
    OrphanNeverDeleted,
    OwnerDeletedImpliesCollected,
    FinalizersRespected,
    NoStuckFinalizer,
    NamespaceEmptyWhenGone,
    NoPodOnDeletedNode,
    EvictionNeedsTaint,
    NoReadyPodOnSilentNode,
    GenerationMovesWithSpecOnly,
    NoHotLoop,
    QueueDrains,
    CacheConverges,
)
"""All of them. Those that speak of rest, and EventuallyStable and Quiescence, are judged when the run settles."""

BY_NAME: Final[Mapping[str, InvariantMaker]] = {
    **dict.fromkeys(watches.RULES, watches.WatchRules),
    **dict.fromkeys(store.RULES, store.StoreRules),
    **{made.name: maker for maker in STANDARD if (made := maker()).name not in ("Watch", "Store")},
}
"""Who watches over each rule. Those of one class come together: they share what they know."""
