"""The table of kinds: each file beside this one holds what is particular to one kind. To add a kind is one file and two lines here."""
from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from kubelet_lite.registry.kinds import (
    clusterrolebindings,
    clusterroles,
    configmaps,
    cronjobs,
    daemonsets,
    deployments,
    endpoints,
    endpointslices,
    events,
    events_v1,
    jobs,
    leases,
    limitranges,
    namespaces,
    nodes,
    pods,
    podtemplates,
    priorityclasses,
    replicasets,
    replicationcontrollers,
    resourcequotas,
    rolebindings,
    roles,
    runtimeclasses,
    secrets,
    serviceaccounts,
    services,
    statefulsets,
)
from kubelet_lite.registry.rules import KindRules

_KINDS: Final = (
    clusterrolebindings,
    clusterroles,
    configmaps,
    cronjobs,
    daemonsets,
    deployments,
    endpoints,
    endpointslices,
    events,
    events_v1,
    jobs,
    leases,
    limitranges,
    namespaces,
    nodes,
    pods,
    podtemplates,
    priorityclasses,
    replicasets,
    replicationcontrollers,
    resourcequotas,
    rolebindings,
    roles,
    runtimeclasses,
    secrets,
    serviceaccounts,
    services,
    statefulsets,
)
RULES: Final[Mapping[str, KindRules]] = {kind.RULES.resource: kind.RULES for kind in _KINDS}
"""By Resource.qualified."""
