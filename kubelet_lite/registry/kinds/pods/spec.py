"""Validation of a whole PodSpec, of a pod or of a template, in the order in which Kubernetes reports what is wrong."""
from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from kubelet_lite.api import names
from kubelet_lite.api.core_v1 import HostAlias, PodDNSConfig, PodResourceClaim, PodSpec
from kubelet_lite.api.errors import FieldError, duplicate, forbidden, invalid, not_supported, required
from kubelet_lite.registry.kinds.pods.containers import (
    validate_containers,
    validate_host_network_ports,
    validate_image_padding,
)
from kubelet_lite.registry.kinds.pods.memo import SpecMemo
from kubelet_lite.registry.kinds.pods.pod_resources import validate_pod_resources
from kubelet_lite.registry.kinds.pods.scheduling import (
    validate_affinity,
    validate_scheduling_gates,
    validate_spread_constraints,
    validate_tolerations,
)
from kubelet_lite.registry.kinds.pods.security import validate_host_users, validate_pod_security
from kubelet_lite.registry.kinds.pods.volumes import validate_volumes
from kubelet_lite.registry.kinds.pods.windows import validate_host_process, validate_operating_system
from kubelet_lite.registry.validation.go_values import go_value
from kubelet_lite.registry.validation.labels import label_map
from kubelet_lite.registry.validation.named import dns_label, dns_subdomain, each, ip_address, qualified_name
from kubelet_lite.registry.validation.numbers import MAX_INT32, in_range
from kubelet_lite.registry.validation.resource_lists import limits_only

RESTART_POLICIES: Final = ("Always", "OnFailure", "Never")
DNS_POLICIES: Final = ("ClusterFirstWithHostNet", "ClusterFirst", "Default", "None")
PREEMPTION_POLICIES: Final = ("PreemptLowerPriority", "Never")
MOST_NAMESERVERS: Final = 3
MOST_SEARCHES: Final = 32
LONGEST_SEARCHES: Final = 2048
LONGEST_HOSTNAME_OVERRIDE: Final = 64

_template_errors: Final[SpecMemo[tuple[FieldError, ...]]] = SpecMemo()
_pod_errors: Final[SpecMemo[tuple[FieldError, ...]]] = SpecMemo()


def template_spec_errors(path: str, spec: PodSpec) -> Iterator[FieldError]:
    """Of a template's spec, at `path`."""
    for error in _template_errors.get(spec, lambda new: tuple(_errors("", new, "", of_pod=False))):
        yield FieldError(error.type, f"{path}{error.field}", error.body)


def pod_spec_errors(spec: PodSpec, name: str) -> tuple[FieldError, ...]:
    """Of the spec of a pod of that name."""
    if any(volume.ephemeral is not None for volume in spec.volumes):
        return tuple(_errors("spec", spec, name, of_pod=True))  # the names of its claims depend on its own
    return _pod_errors.get(spec, lambda new: tuple(_errors("spec", new, name, of_pod=True)))


def _errors(path: str, spec: PodSpec, pod_name: str, *, of_pod: bool) -> Iterator[FieldError]:
    claims = tuple(dict.fromkeys(claim.name for claim in spec.resourceClaims if claim.name))
    volumes, wrong = validate_volumes(f"{path}.volumes", spec.volumes, pod_name, of_pod=of_pod)
    yield from wrong
    yield from _resource_claims(f"{path}.resourceClaims", spec.resourceClaims)
    yield from validate_containers(path, spec, volumes, claims)
    yield from validate_pod_resources(f"{path}.resources", spec, claims)
    yield from validate_host_network_ports(path, spec, of_pod=of_pod)
    if spec.restartPolicy not in RESTART_POLICIES:
        yield not_supported(f"{path}.restartPolicy", spec.restartPolicy, RESTART_POLICIES)
    if spec.dnsPolicy not in DNS_POLICIES:
        yield not_supported(f"{path}.dnsPolicy", spec.dnsPolicy, DNS_POLICIES)
    yield from label_map(f"{path}.nodeSelector", spec.nodeSelector)
    yield from validate_pod_security(f"{path}.securityContext", spec)
    yield from validate_affinity(f"{path}.affinity", spec.affinity)
    yield from _dns_config(f"{path}.dnsConfig", spec.dnsConfig, spec.dnsPolicy)
    for i, gate in enumerate(spec.readinessGates):
        yield from qualified_name(f"{path}.readinessGates[{i}].conditionType", gate.conditionType)
    yield from validate_scheduling_gates(f"{path}.schedulingGates", spec.schedulingGates)
    yield from validate_spread_constraints(f"{path}.topologySpreadConstraints", spec.topologySpreadConstraints)
    yield from validate_host_process(path, spec)
    yield from validate_host_users(path, spec)
    for field in ("serviceAccountName", "nodeName"):
        if value := getattr(spec, field):
            yield from dns_subdomain(f"{path}.{field}", value)
    if spec.activeDeadlineSeconds is not None:
        yield from in_range(f"{path}.activeDeadlineSeconds", spec.activeDeadlineSeconds, 1, MAX_INT32)
    for field in ("hostname", "subdomain"):
        if value := getattr(spec, field):
            yield from dns_label(f"{path}.{field}", value)
    yield from _hostname_override(f"{path}.hostnameOverride", spec)
    yield from validate_tolerations(f"{path}.tolerations", spec.tolerations)
    yield from _host_aliases(f"{path}.hostAliases", spec.hostAliases)
    if spec.priorityClassName:
        yield from dns_subdomain(f"{path}.priorityClassName", spec.priorityClassName)
    if spec.runtimeClassName is not None:
        yield from dns_subdomain(f"{path}.runtimeClassName", spec.runtimeClassName)
    yield from _preemption_policy(f"{path}.preemptionPolicy", spec.preemptionPolicy)
    if spec.overhead:
        yield from limits_only(f"{path}.overhead", spec.overhead)
    yield from validate_operating_system(path, spec)
    if of_pod:
        yield from _only_of_pods(path, spec)


def _only_of_pods(path: str, spec: PodSpec) -> Iterator[FieldError]:
    """What has always been allowed in templates."""
    if not spec.serviceAccountName:
        for i, volume in enumerate(spec.volumes):
            for j, source in enumerate(volume.projected.sources if volume.projected is not None else ()):
                if source.serviceAccountToken is not None:
                    yield forbidden(f"{path}.volumes[{i}].projected.sources[{j}].serviceAccountToken",
                                    "must not be specified when serviceAccountName is not set")
    for field in ("containers", "initContainers"):
        for i, container in enumerate(getattr(spec, field)):
            yield from validate_image_padding(f"{path}.{field}[{i}]", container)


def _resource_claims(path: str, claims: tuple[PodResourceClaim, ...]) -> Iterator[FieldError]:
    seen: set[str] = set()
    for i, claim in enumerate(claims):
        at, count = f"{path}[{i}]", (claim.resourceClaimName is not None) + (claim.resourceClaimTemplateName is not None)
        if not claim.name:
            yield required(f"{at}.name")
        elif claim.name in seen:
            yield duplicate(f"{at}.name", claim.name)
        else:
            yield from dns_label(f"{at}.name", claim.name)
            seen.add(claim.name)
        if count > 1:
            yield invalid(at, go_value(claim), "at most one of `resourceClaimName` or `resourceClaimTemplateName` may be specified")
        if not count:
            yield invalid(at, go_value(claim), "must specify one of: `resourceClaimName`, `resourceClaimTemplateName`")
        for field in ("resourceClaimName", "resourceClaimTemplateName"):
            if (name := getattr(claim, field)) is not None:
                yield from dns_subdomain(f"{at}.{field}", name)


def _dns_config(path: str, config: PodDNSConfig | None, policy: str) -> Iterator[FieldError]:
    if policy == "None":
        if config is None:
            yield required(path, "must provide `dnsConfig` when `dnsPolicy` is None")
            return
        if not config.nameservers:
            yield required(f"{path}.nameservers", "must provide at least one DNS nameserver when `dnsPolicy` is None")
            return
    if config is None:
        return
    if len(config.nameservers) > MOST_NAMESERVERS:
        yield invalid(f"{path}.nameservers", list(config.nameservers), f"must not have more than {MOST_NAMESERVERS} nameservers")
    for i, nameserver in enumerate(config.nameservers):
        yield from ip_address(f"{path}.nameservers[{i}]", nameserver)
    if len(config.searches) > MOST_SEARCHES:
        yield invalid(f"{path}.searches", list(config.searches), f"must not have more than {MOST_SEARCHES} search paths")
    if len(" ".join(config.searches)) > LONGEST_SEARCHES:
        yield invalid(f"{path}.searches", list(config.searches),
                      f"must not have more than {LONGEST_SEARCHES} characters (including spaces) in the search list")
    for i, search in enumerate(config.searches):
        if search != ".":
            trimmed = search.removesuffix(".")
            yield from each(f"{path}.searches[{i}]", trimmed, names.dns1123_subdomain_with_underscore(trimmed))
    for i, option in enumerate(config.options):
        if not option.name:
            yield required(f"{path}.options[{i}]", "must not be empty")


def _hostname_override(path: str, spec: PodSpec) -> Iterator[FieldError]:
    if spec.hostnameOverride is None:
        return
    yield from dns_subdomain(path, spec.hostnameOverride)
    if len(spec.hostnameOverride) > LONGEST_HOSTNAME_OVERRIDE:
        yield invalid(path, spec.hostnameOverride, names.too_long(LONGEST_HOSTNAME_OVERRIDE, "bytes"))
    if spec.setHostnameAsFQDN:
        yield forbidden(path, "may not be specified when setHostnameAsFQDN is true")
    if spec.hostNetwork:
        yield forbidden(path, "may not be specified when hostNetwork is true")


def _host_aliases(path: str, aliases: tuple[HostAlias, ...]) -> Iterator[FieldError]:
    for i, alias in enumerate(aliases):
        yield from ip_address(f"{path}[{i}].ip", alias.ip)
        for j, hostname in enumerate(alias.hostnames):
            yield from dns_subdomain(f"{path}[{i}].hostnames[{j}]", hostname)


def _preemption_policy(path: str, policy: str | None) -> Iterator[FieldError]:
    if policy == "":
        yield required(path)
    elif policy is not None and policy not in PREEMPTION_POLICIES:
        yield not_supported(path, policy, PREEMPTION_POLICIES)
