"""The plug-ins of the default profile, a file each, in Kubernetes' order and with its weights."""
from __future__ import annotations

from kubelet_lite.scheduler.framework import Profile
from kubelet_lite.scheduler.plugins.image_locality import ImageLocality
from kubelet_lite.scheduler.plugins.node_affinity import NodeAffinity
from kubelet_lite.scheduler.plugins.node_name import NodeName
from kubelet_lite.scheduler.plugins.node_ports import NodePorts
from kubelet_lite.scheduler.plugins.node_resources_balanced_allocation import NodeResourcesBalancedAllocation
from kubelet_lite.scheduler.plugins.node_resources_fit import NodeResourcesFit
from kubelet_lite.scheduler.plugins.node_unschedulable import NodeUnschedulable
from kubelet_lite.scheduler.plugins.taint_toleration import TaintToleration


def default_profile() -> Profile:
    """New plug-ins: some keep what they computed for a node table."""
    node_affinity, taint_toleration, resources_fit = NodeAffinity(), TaintToleration(), NodeResourcesFit()
    return Profile(
        pre_filters=(node_affinity,),
        filters=(NodeUnschedulable(), NodeName(), taint_toleration, node_affinity, NodePorts(), resources_fit),
        scores=(taint_toleration, node_affinity, resources_fit, NodeResourcesBalancedAllocation(), ImageLocality()),
    )
