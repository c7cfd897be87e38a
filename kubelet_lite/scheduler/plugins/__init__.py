"""The plug-ins of the default profile, a file each, in Kubernetes' order and with its weights."""
from __future__ import annotations

from kubelet_lite.scheduler.framework import Profile
from kubelet_lite.scheduler.plugins.image_locality import ImageLocality
from kubelet_lite.scheduler.plugins.inter_pod_affinity import InterPodAffinity
from kubelet_lite.scheduler.plugins.node_affinity import NodeAffinity
from kubelet_lite.scheduler.plugins.node_name import NodeName
from kubelet_lite.scheduler.plugins.node_ports import NodePorts
from kubelet_lite.scheduler.plugins.node_resources_balanced_allocation import NodeResourcesBalancedAllocation
from kubelet_lite.scheduler.plugins.node_resources_fit import NodeResourcesFit
from kubelet_lite.scheduler.plugins.node_unschedulable import NodeUnschedulable
from kubelet_lite.scheduler.plugins.node_volume_limits import NodeVolumeLimits
from kubelet_lite.scheduler.plugins.pod_topology_spread import PodTopologySpread
from kubelet_lite.scheduler.plugins.taint_toleration import TaintToleration
from kubelet_lite.scheduler.plugins.volume_binding import VolumeBinding
from kubelet_lite.scheduler.plugins.volume_restrictions import VolumeRestrictions
from kubelet_lite.scheduler.plugins.volume_zone import VolumeZone
from kubelet_lite.scheduler.surroundings import Given, Surroundings


def default_profile(surroundings: Surroundings | None = None) -> Profile:
    """New plug-ins: some keep what they computed for a node table."""
    around = surroundings or Given()
    node_affinity, taint_toleration, resources_fit = NodeAffinity(), TaintToleration(), NodeResourcesFit()
    topology_spread, pod_affinity = PodTopologySpread(around), InterPodAffinity(around)
    restrictions, limits, binding, zone = VolumeRestrictions(around), NodeVolumeLimits(around), VolumeBinding(around), VolumeZone(around)
    return Profile(
        needy=(limits, binding, topology_spread, pod_affinity),
        gates=(node_affinity, restrictions, binding, zone),
        pre_filters=(node_affinity,),
        filters=(NodeUnschedulable(), NodeName(), taint_toleration, node_affinity, NodePorts(), resources_fit),
        wide_filters=(restrictions, limits, binding, zone, topology_spread, pod_affinity),
        scores=(
            taint_toleration, node_affinity, resources_fit, topology_spread, pod_affinity, NodeResourcesBalancedAllocation(), ImageLocality(),
        ),
    )
