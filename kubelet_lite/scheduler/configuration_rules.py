"""What is wrong with a KubeSchedulerConfiguration, and with the arguments of the default plug-ins: all offending paths, in Kubernetes' words.

https://kubernetes.io/docs/reference/config-api/kube-scheduler-config.v1/
"""
from __future__ import annotations

import base64
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final

from kubelet_lite.api.core_v1 import NodeSelectorTerm
from kubelet_lite.api.durations import DurationError
from kubelet_lite.api.errors import FieldError, duplicate, forbidden, invalid, not_supported, required
from kubelet_lite.scheduler.configuration import ExtenderConfiguration, ExtenderTLS, SchedulerConfiguration
from kubelet_lite.scheduler.plugins.default_preemption import DefaultPreemptionArgs
from kubelet_lite.scheduler.plugins.inter_pod_affinity import InterPodAffinityArgs
from kubelet_lite.scheduler.plugins.load_aware import MEASURED_RESOURCES, LoadAwareArgs
from kubelet_lite.scheduler.plugins.node_affinity import NodeAffinityArgs
from kubelet_lite.scheduler.plugins.node_resources_balanced_allocation import NodeResourcesBalancedAllocationArgs
from kubelet_lite.scheduler.plugins.node_resources_fit import NodeResourcesFitArgs, ScoringStrategy
from kubelet_lite.scheduler.plugins.pod_topology_spread import PodTopologySpreadArgs
from kubelet_lite.scheduler.plugins.volume_binding import VolumeBindingArgs
from kubelet_lite.scheduler.scoring_resources import MAX_SHAPE_SCORE, ResourceSpec, UtilizationShapePoint

Errors = Iterator[FieldError]
MAX_WEIGHT: Final = 100
STRATEGIES: Final = ("LeastAllocated", "MostAllocated", "RequestedToCapacityRatio")
OPERATORS: Final = ("DoesNotExist", "Exists", "Gt", "In", "Lt", "NotIn")


def check(configuration: SchedulerConfiguration) -> Errors:
    """Everything but plug-ins: these are `profiles.build`'s to know."""
    if configuration.parallelism <= 0:
        yield invalid("parallelism", configuration.parallelism, "should be an integer value greater than zero")
    yield from _share("percentageOfNodesToScore", configuration.percentageOfNodesToScore)
    if configuration.podInitialBackoffSeconds <= 0:
        yield invalid("podInitialBackoffSeconds", configuration.podInitialBackoffSeconds, "must be greater than 0")
    if configuration.podMaxBackoffSeconds < configuration.podInitialBackoffSeconds:
        yield invalid("podMaxBackoffSeconds", configuration.podMaxBackoffSeconds, "must be greater than or equal to PodInitialBackoffSeconds")
    names: set[str] = set()
    for i, profile in enumerate(configuration.profiles):
        path = f"profiles[{i}]"
        if not profile.schedulerName:
            yield required(f"{path}.schedulerName")
        elif profile.schedulerName in names:
            yield duplicate(f"{path}.schedulerName", profile.schedulerName)
        names.add(profile.schedulerName)
        yield from _share(f"{path}.percentageOfNodesToScore", profile.percentageOfNodesToScore)
        if profile.plugins.queueSort != configuration.profiles[0].plugins.queueSort:
            yield invalid(f"{path}.plugins.queueSort", profile.plugins.queueSort, "must be the same for all profiles")
    yield from _extenders(configuration.extenders)


def _share(path: str, percent: int | None) -> Errors:
    if percent is not None and not 0 <= percent <= 100:
        yield invalid(path, percent, "not in valid range [0-100]")


def _tls(said: ExtenderTLS, path: str) -> Errors:
    for name in ("certData", "keyData", "caData"):
        try:
            base64.b64decode(getattr(said, name), validate=True)
        except ValueError as error:
            shown = "…" if name == "keyData" else getattr(said, name)  # a key is nothing to log
            yield invalid(f"{path}.{name}", shown, f"must be base64: {error}")
    if bool(said.certData or said.certFile) != bool(said.keyData or said.keyFile):
        yield required(f"{path}.keyData" if said.certData or said.certFile else f"{path}.certData", "a certificate and its key belong together")


def _extenders(extenders: Sequence[ExtenderConfiguration]) -> Errors:
    managed: set[str] = set()
    for i, extender in enumerate(extenders):
        path = f"extenders[{i}]"
        if not extender.urlPrefix.startswith(("http://", "https://")):
            yield invalid(f"{path}.urlPrefix", extender.urlPrefix, "must be an http or https URL")
        if extender.prioritizeVerb and extender.weight <= 0:
            yield invalid(f"{path}.weight", extender.weight, "must have a positive weight applied to it")
        try:
            if extender.timeout_seconds < 0:
                yield invalid(f"{path}.httpTimeout", extender.httpTimeout, "must not be negative")
        except DurationError as error:
            yield invalid(f"{path}.httpTimeout", extender.httpTimeout, str(error))
        if extender.tlsConfig is not None:
            yield from _tls(extender.tlsConfig, f"{path}.tlsConfig")
        for j, resource in enumerate(extender.managedResources):
            where = f"{path}.managedResources[{j}].name"
            if "/" not in resource.name or resource.name.startswith("kubernetes.io/"):
                yield invalid(where, resource.name, "name is an invalid extended resource name")
            if resource.name in managed:
                yield invalid(where, resource.name, "duplicate extender managed resource name")
            managed.add(resource.name)
    binders = sum(bool(extender.bindVerb) for extender in extenders)
    if binders > 1:
        yield invalid("extenders", f"found {binders} extenders implementing bind", "only one extender can implement bind")


# ---- arguments of plug-ins


def check_args(args: Any, path: str) -> Errors:
    """`path`: where they stand. Those of a user's plug-in are its own business."""
    rule = _RULES.get(type(args))
    if rule is not None:
        yield from rule(args, path)


def _default_preemption(args: DefaultPreemptionArgs, path: str) -> Errors:
    share, absolute = args.minCandidateNodesPercentage, args.minCandidateNodesAbsolute
    if not 0 <= share <= 100:
        yield invalid(f"{path}.minCandidateNodesPercentage", share, "not in valid range [0, 100]")
    if absolute < 0:
        yield invalid(f"{path}.minCandidateNodesAbsolute", absolute, "not in valid range [0, inf)")
    if share == 0 and absolute == 0:
        yield invalid(f"{path}.minCandidateNodesPercentage", share, "cannot be zero at the same time as minCandidateNodesAbsolute")
        yield invalid(f"{path}.minCandidateNodesAbsolute", absolute, "cannot be zero at the same time as minCandidateNodesPercentage")


def _inter_pod_affinity(args: InterPodAffinityArgs, path: str) -> Errors:
    if not 0 <= args.hardPodAffinityWeight <= MAX_WEIGHT:
        yield invalid(f"{path}.hardPodAffinityWeight", args.hardPodAffinityWeight, "not in valid range [0-100]")


def _load_aware(args: LoadAwareArgs, path: str) -> Errors:
    yield from _resources(args.resources, f"{path}.resources", most=MAX_WEIGHT)
    for i, resource in enumerate(args.resources):
        if resource.name and resource.name not in MEASURED_RESOURCES:
            yield not_supported(f"{path}.resources[{i}].name", resource.name, MEASURED_RESOURCES)
    if args.expirationSeconds <= 0:
        yield invalid(f"{path}.expirationSeconds", args.expirationSeconds, "must be greater than 0")


def _node_affinity(args: NodeAffinityArgs, path: str) -> Errors:
    added = args.addedAffinity
    if added is None:
        return
    below = f"{path}.addedAffinity"
    if added.requiredDuringSchedulingIgnoredDuringExecution is not None:
        terms = added.requiredDuringSchedulingIgnoredDuringExecution.nodeSelectorTerms
        where = f"{below}.requiredDuringSchedulingIgnoredDuringExecution.nodeSelectorTerms"
        if not terms:
            yield required(where, "must have at least one node selector term")
        for i, term in enumerate(terms):
            yield from _node_term(term, f"{where}[{i}]")
    for i, wish in enumerate(added.preferredDuringSchedulingIgnoredDuringExecution):
        where = f"{below}.preferredDuringSchedulingIgnoredDuringExecution[{i}]"
        if not 1 <= wish.weight <= MAX_WEIGHT:
            yield invalid(f"{where}.weight", wish.weight, "must be in the range 1-100")
        yield from _node_term(wish.preference, f"{where}.preference")


def _node_term(term: NodeSelectorTerm, path: str) -> Errors:
    for part, requirements in (("matchExpressions", term.matchExpressions), ("matchFields", term.matchFields)):
        for i, requirement in enumerate(requirements):
            where = f"{path}.{part}[{i}]"
            count = len(requirement.values)
            if not requirement.key:
                yield required(f"{where}.key")
            if requirement.operator not in OPERATORS:
                yield invalid(f"{where}.operator", requirement.operator, "not a valid selector operator")
            elif requirement.operator in ("In", "NotIn") and not count:
                yield required(f"{where}.values", "must be specified when `operator` is 'In' or 'NotIn'")
            elif requirement.operator in ("Exists", "DoesNotExist") and count:
                yield forbidden(f"{where}.values", "may not be specified when `operator` is 'Exists' or 'DoesNotExist'")
            elif requirement.operator in ("Gt", "Lt") and count != 1:
                yield required(f"{where}.values", "must be specified single value when `operator` is 'Lt' or 'Gt'")


def _balanced_allocation(args: NodeResourcesBalancedAllocationArgs, path: str) -> Errors:
    yield from _resources(args.resources, f"{path}.resources", most=1)


def _fit(args: NodeResourcesFitArgs, path: str) -> Errors:
    for i, resource in enumerate(args.ignoredResources):
        if not resource or resource.count("/") > 1:
            yield invalid(f"{path}.ignoredResources[{i}]", resource, "must be the name of an extended resource")
    for i, group in enumerate(args.ignoredResourceGroups):
        if "/" in group:
            yield invalid(f"{path}.ignoredResourceGroups[{i}]", group, "resource group name can't contain '/'")
    yield from _strategy(args.scoringStrategy, f"{path}.scoringStrategy")


def _strategy(strategy: ScoringStrategy, path: str) -> Errors:
    if strategy.type not in STRATEGIES:
        yield not_supported(f"{path}.type", strategy.type, STRATEGIES)
    yield from _resources(strategy.resources, f"{path}.resources", most=MAX_WEIGHT)
    if strategy.type == "RequestedToCapacityRatio":
        shape = strategy.requestedToCapacityRatio.shape if strategy.requestedToCapacityRatio is not None else ()
        yield from _shape(shape, f"{path}.requestedToCapacityRatio.shape")


def _resources(resources: Sequence[ResourceSpec], path: str, *, most: int) -> Errors:
    seen: set[str] = set()
    for i, resource in enumerate(resources):
        if not resource.name:
            yield required(f"{path}[{i}].name")
        elif resource.name in seen:
            yield duplicate(f"{path}[{i}].name", resource.name)
        seen.add(resource.name)
        if not 0 <= resource.weight <= most:
            yield invalid(f"{path}[{i}].weight", resource.weight, f"resource weight of {resource.name} not in valid range [1, {most}]")


def _shape(shape: Sequence[UtilizationShapePoint], path: str) -> Errors:
    if not shape:
        yield required(path, "at least one point must be specified")
    for i, point in enumerate(shape):
        if not 0 <= point.utilization <= 100:
            yield invalid(f"{path}[{i}].utilization", point.utilization, "not in valid range [0-100]")
        if i and point.utilization <= shape[i - 1].utilization:
            yield invalid(f"{path}[{i}].utilization", point.utilization, "utilization values must be sorted in increasing order")
        if not 0 <= point.score <= MAX_SHAPE_SCORE:
            yield invalid(f"{path}[{i}].score", point.score, f"not in valid range [0-{MAX_SHAPE_SCORE}]")


def _topology_spread(args: PodTopologySpreadArgs, path: str) -> Errors:
    if args.defaultingType not in ("System", "List"):
        yield not_supported(f"{path}.defaultingType", args.defaultingType, ("List", "System"))
    elif args.defaultingType == "System" and args.defaultConstraints:
        yield invalid(f"{path}.defaultingType", args.defaultingType, "when .defaultConstraints are not empty")
    seen: set[tuple[str, str]] = set()
    for i, constraint in enumerate(args.defaultConstraints):
        where = f"{path}.defaultConstraints[{i}]"
        if constraint.maxSkew <= 0:
            yield invalid(f"{where}.maxSkew", constraint.maxSkew, "not in valid range (0, inf)")
        if not constraint.topologyKey:
            yield required(f"{where}.topologyKey", "can not be empty")
        if not constraint.whenUnsatisfiable:
            yield required(f"{where}.whenUnsatisfiable", "can not be empty")
        elif constraint.whenUnsatisfiable not in ("DoNotSchedule", "ScheduleAnyway"):
            yield not_supported(f"{where}.whenUnsatisfiable", constraint.whenUnsatisfiable, ("DoNotSchedule", "ScheduleAnyway"))
        if constraint.labelSelector is not None:
            yield forbidden(f"{where}.labelSelector", "constraint must not define a selector, as they deduced for each pod")
        key = constraint.topologyKey, constraint.whenUnsatisfiable
        if key in seen:
            yield duplicate(where, f"{{{key[0]}, {key[1]}}}")
        seen.add(key)


def _volume_binding(args: VolumeBindingArgs, path: str) -> Errors:
    if args.bindTimeoutSeconds < 0:
        yield invalid(f"{path}.bindTimeoutSeconds", args.bindTimeoutSeconds, "invalid BindTimeoutSeconds, should not be a negative value")
    if args.shape:
        yield invalid(f"{path}.shape", args.shape, "unexpected field `shape`, StorageCapacityScoring feature gate is disabled")


_RULES: Final[Mapping[type[Any], Callable[[Any, str], Errors]]] = {
    DefaultPreemptionArgs: _default_preemption, InterPodAffinityArgs: _inter_pod_affinity, LoadAwareArgs: _load_aware, NodeAffinityArgs: _node_affinity,
    NodeResourcesBalancedAllocationArgs: _balanced_allocation, NodeResourcesFitArgs: _fit, PodTopologySpreadArgs: _topology_spread,
    VolumeBindingArgs: _volume_binding,
}
