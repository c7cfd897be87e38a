"""The plug-ins, a file each: those of the default profile in Kubernetes' order and with its weights, and those that are off by default."""
from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from kubelet_lite.scheduler.configuration import DEFAULT_SCHEDULER
from kubelet_lite.scheduler.framework import Handle, Plugin
from kubelet_lite.scheduler.plugins.default_binder import DefaultBinder
from kubelet_lite.scheduler.plugins.default_preemption import DefaultPreemption
from kubelet_lite.scheduler.plugins.dynamic_resources import DynamicResources
from kubelet_lite.scheduler.plugins.image_locality import ImageLocality
from kubelet_lite.scheduler.plugins.inter_pod_affinity import InterPodAffinity
from kubelet_lite.scheduler.plugins.load_aware import LoadAware
from kubelet_lite.scheduler.plugins.node_affinity import NodeAffinity
from kubelet_lite.scheduler.plugins.node_name import NodeName
from kubelet_lite.scheduler.plugins.node_ports import NodePorts
from kubelet_lite.scheduler.plugins.node_resources_balanced_allocation import NodeResourcesBalancedAllocation
from kubelet_lite.scheduler.plugins.node_resources_fit import NodeResourcesFit
from kubelet_lite.scheduler.plugins.node_unschedulable import NodeUnschedulable
from kubelet_lite.scheduler.plugins.node_volume_limits import NodeVolumeLimits
from kubelet_lite.scheduler.plugins.pod_topology_spread import PodTopologySpread
from kubelet_lite.scheduler.plugins.priority_sort import PrioritySort
from kubelet_lite.scheduler.plugins.scheduling_gates import SchedulingGates
from kubelet_lite.scheduler.plugins.taint_toleration import TaintToleration
from kubelet_lite.scheduler.plugins.volume_binding import VolumeBinding
from kubelet_lite.scheduler.plugins.volume_restrictions import VolumeRestrictions
from kubelet_lite.scheduler.plugins.volume_zone import VolumeZone
from kubelet_lite.scheduler.profile import Profile, everywhere

DEFAULTS: Final[Mapping[type[Plugin], int]] = {
    SchedulingGates: 0, PrioritySort: 0, NodeUnschedulable: 0, NodeName: 0, TaintToleration: 3, NodeAffinity: 2, NodePorts: 0,
    NodeResourcesFit: 1, VolumeRestrictions: 0, NodeVolumeLimits: 0, VolumeBinding: 0, VolumeZone: 0, PodTopologySpread: 2,
    InterPodAffinity: 2, DynamicResources: 2, DefaultPreemption: 0, NodeResourcesBalancedAllocation: 1, ImageLocality: 1, DefaultBinder: 0,
}
"""With the weight of their scores; 0: they have none."""
OFF_BY_DEFAULT: Final[tuple[type[Plugin], ...]] = (LoadAware,)
"""Beyond Kubernetes' own: a profile has them that names them."""


def default_profile(handle: Handle) -> Profile:
    """Without any configuration."""
    return Profile(DEFAULT_SCHEDULER, everywhere(*((plugin(handle), weight) for plugin, weight in DEFAULTS.items())))
