"""The plug-ins of the default profile, a file each, in Kubernetes' order and with its weights."""
from __future__ import annotations

from kubelet_lite.scheduler.framework import Filter, Score
from kubelet_lite.scheduler.plugins.image_locality import ImageLocality
from kubelet_lite.scheduler.plugins.node_affinity import NodeAffinity
from kubelet_lite.scheduler.plugins.node_name import NodeName
from kubelet_lite.scheduler.plugins.node_ports import NodePorts
from kubelet_lite.scheduler.plugins.node_resources_balanced_allocation import NodeResourcesBalancedAllocation
from kubelet_lite.scheduler.plugins.node_resources_fit import NodeResourcesFit
from kubelet_lite.scheduler.plugins.node_unschedulable import NodeUnschedulable
from kubelet_lite.scheduler.plugins.taint_toleration import TaintToleration


def default_filters() -> tuple[Filter, ...]:
    return NodeUnschedulable(), NodeName(), TaintToleration(), NodeAffinity(), NodePorts(), NodeResourcesFit()


def default_scores() -> tuple[Score, ...]:
    return TaintToleration(), NodeAffinity(), NodeResourcesFit(), NodeResourcesBalancedAllocation(), ImageLocality()
