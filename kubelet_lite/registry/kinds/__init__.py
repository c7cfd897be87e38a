"""The table of kinds: each file beside this one holds what is particular to one kind, and is loaded when that kind is first asked for.

To add a kind is one file, named like the resource, and one line here.
"""
from __future__ import annotations

import importlib
from collections.abc import Iterator, Mapping
from typing import Final

from kubelet_lite.registry.rules import KindRules

KINDS: Final = (
    "apiservices.apiregistration.k8s.io",
    "certificatesigningrequests.certificates.k8s.io",
    "clusterrolebindings.rbac.authorization.k8s.io",
    "clusterroles.rbac.authorization.k8s.io",
    "configmaps",
    "controllerrevisions.apps",
    "cronjobs.batch",
    "csidrivers.storage.k8s.io",
    "csinodes.storage.k8s.io",
    "csistoragecapacities.storage.k8s.io",
    "customresourcedefinitions.apiextensions.k8s.io",
    "daemonsets.apps",
    "deployments.apps",
    "deviceclasses.resource.k8s.io",
    "endpoints",
    "endpointslices.discovery.k8s.io",
    "events",
    "events.events.k8s.io",
    "flowschemas.flowcontrol.apiserver.k8s.io",
    "horizontalpodautoscalers.autoscaling",
    "ingressclasses.networking.k8s.io",
    "ingresses.networking.k8s.io",
    "ipaddresses.networking.k8s.io",
    "jobs.batch",
    "leases.coordination.k8s.io",
    "limitranges",
    "mutatingadmissionpolicies.admissionregistration.k8s.io",
    "mutatingadmissionpolicybindings.admissionregistration.k8s.io",
    "mutatingwebhookconfigurations.admissionregistration.k8s.io",
    "namespaces",
    "networkpolicies.networking.k8s.io",
    "nodes",
    "persistentvolumeclaims",
    "persistentvolumes",
    "poddisruptionbudgets.policy",
    "pods",
    "podtemplates",
    "priorityclasses.scheduling.k8s.io",
    "prioritylevelconfigurations.flowcontrol.apiserver.k8s.io",
    "replicasets.apps",
    "replicationcontrollers",
    "resourceclaims.resource.k8s.io",
    "resourceclaimtemplates.resource.k8s.io",
    "resourcequotas",
    "resourceslices.resource.k8s.io",
    "rolebindings.rbac.authorization.k8s.io",
    "roles.rbac.authorization.k8s.io",
    "runtimeclasses.node.k8s.io",
    "secrets",
    "serviceaccounts",
    "servicecidrs.networking.k8s.io",
    "services",
    "statefulsets.apps",
    "storageclasses.storage.k8s.io",
    "validatingadmissionpolicies.admissionregistration.k8s.io",
    "validatingadmissionpolicybindings.admissionregistration.k8s.io",
    "validatingwebhookconfigurations.admissionregistration.k8s.io",
    "volumeattachments.storage.k8s.io",
    "volumeattributesclasses.storage.k8s.io",
)
"""Resource.qualified of every kind that has rules."""
_ELSEWHERE: Final = {"events.events.k8s.io": "events_v1"}
"""Kinds whose file cannot be named like the resource: two groups have one of this name."""


class _Rules(Mapping[str, KindRules]):
    def __getitem__(self, qualified: str) -> KindRules:
        if qualified not in KINDS:
            raise KeyError(qualified)
        module = importlib.import_module(f"{__name__}.{_ELSEWHERE.get(qualified, qualified.partition('.')[0])}")
        rules: KindRules = module.RULES
        assert rules.resource == qualified
        return rules

    def __iter__(self) -> Iterator[str]:
        return iter(KINDS)

    def __len__(self) -> int:
        return len(KINDS)


RULES: Final[Mapping[str, KindRules]] = _Rules()
"""By Resource.qualified."""
