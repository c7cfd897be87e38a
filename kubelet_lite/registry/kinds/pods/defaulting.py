"""What Kubernetes fills in when it reads a pod's spec: here for every pod template, in `default_pod_spec` also what only pods get.

https://kubernetes.io/docs/reference/kubernetes-api/workload-resources/pod-v1/
"""
from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final, TypeVar

import msgspec
from msgspec.structs import replace

from kubelet_lite.api.core_v1 import (
    AzureDiskVolumeSource,
    Container,
    ContainerPort,
    DownwardAPIVolumeFile,
    EmptyDirVolumeSource,
    EnvVar,
    EphemeralContainer,
    HTTPGetAction,
    Lifecycle,
    LifecycleHandler,
    PodSecurityContext,
    PodSpec,
    PodTemplateSpec,
    Probe,
    ResourceRequirements,
    Volume,
    VolumeProjection,
)
from kubelet_lite.registry.kinds.pods import pod_resources
from kubelet_lite.registry.kinds.pods.images import default_pull_policy
from kubelet_lite.registry.kinds.pods.memo import SpecMemo
from kubelet_lite.registry.validation.claim_specs import default_claim_spec

FILE_MODE: Final = 0o644
TOKEN_SECONDS: Final = 3600
GRACE_PERIOD_SECONDS: Final = 30
_NO_SECURITY_CONTEXT: Final = PodSecurityContext()
_EMPTY_DIR: Final = EmptyDirVolumeSource()
S = TypeVar("S", bound=msgspec.Struct)
T = TypeVar("T")
AnyContainer = TypeVar("AnyContainer", Container, EphemeralContainer)


def default_pod_template(template: PodTemplateSpec) -> PodTemplateSpec:
    spec = default_template_spec(template.spec)
    return template if spec is template.spec else replace(template, spec=spec)


def default_template_spec(spec: PodSpec) -> PodSpec:
    return _template_specs.get(spec, _default_spec)


def default_pod_spec(spec: PodSpec) -> PodSpec:
    """The spec of a pod itself."""
    return _pod_specs.get(spec, lambda new: _default_for_pod(_default_spec(new)))


_template_specs: Final[SpecMemo[PodSpec]] = SpecMemo()
_pod_specs: Final[SpecMemo[PodSpec]] = SpecMemo()


def changed(value: S, **fields: Any) -> S:
    """The value with those of the fields that are not what they were; itself when there is none."""
    new = {name: field for name, field in fields.items() if field is not getattr(value, name)}
    return replace(value, **new) if new else value


def _each(items: tuple[T, ...], default: Callable[[T], T]) -> tuple[T, ...]:
    new = tuple(map(default, items))
    return items if all(a is b for a, b in zip(items, new, strict=True)) else new


def _default_spec(spec: PodSpec) -> PodSpec:
    account = spec.serviceAccountName or spec.serviceAccount
    return changed(
        spec,
        volumes=_each(spec.volumes, _volume),
        initContainers=_each(spec.initContainers, _container),
        containers=_each(spec.containers, _container),
        ephemeralContainers=_each(spec.ephemeralContainers, _container),
        restartPolicy=spec.restartPolicy or "Always",
        terminationGracePeriodSeconds=GRACE_PERIOD_SECONDS if spec.terminationGracePeriodSeconds is None else spec.terminationGracePeriodSeconds,
        dnsPolicy=spec.dnsPolicy or "ClusterFirst",
        serviceAccountName=account,
        serviceAccount=account,
        securityContext=_NO_SECURITY_CONTEXT if spec.securityContext is None else spec.securityContext,
        schedulerName=spec.schedulerName or "default-scheduler",
    )


def _default_for_pod(spec: PodSpec) -> PodSpec:
    spec = changed(
        spec,
        containers=_each(spec.containers, _requests_from_limits),
        initContainers=_each(spec.initContainers, _requests_from_limits),
        enableServiceLinks=True if spec.enableServiceLinks is None else spec.enableServiceLinks,
    )
    if spec.resources is not None:
        spec = replace(spec, resources=pod_resources.default_resources(spec))
    if spec.hostNetwork:
        spec = changed(spec, containers=_each(spec.containers, _host_ports), initContainers=_each(spec.initContainers, _host_ports))
    return spec


def _requests_from_limits(container: Container) -> Container:
    resources = container.resources
    if not resources.limits or all(name in resources.requests for name in resources.limits):
        return container
    requests: Mapping[str, str] = {**resources.limits, **resources.requests}
    return replace(container, resources=ResourceRequirements(limits=resources.limits, requests=requests, claims=resources.claims))


def _host_ports(container: Container) -> Container:
    return changed(container, ports=_each(container.ports, lambda port: changed(port, hostPort=port.hostPort or port.containerPort)))


# ---- containers


def _container(container: AnyContainer) -> AnyContainer:
    return changed(
        container,
        ports=_each(container.ports, _port),
        env=_each(container.env, _env),
        livenessProbe=_probe(container.livenessProbe),
        readinessProbe=_probe(container.readinessProbe),
        startupProbe=_probe(container.startupProbe),
        lifecycle=_lifecycle(container.lifecycle),
        terminationMessagePath=container.terminationMessagePath or "/dev/termination-log",
        terminationMessagePolicy=container.terminationMessagePolicy or "File",
        imagePullPolicy=container.imagePullPolicy or default_pull_policy(container.image),
    )


def _port(port: ContainerPort) -> ContainerPort:
    return port if port.protocol else replace(port, protocol="TCP")


def _env(env: EnvVar) -> EnvVar:
    source = env.valueFrom
    if source is None or source.fieldRef is None or source.fieldRef.apiVersion:
        return env
    return replace(env, valueFrom=replace(source, fieldRef=replace(source.fieldRef, apiVersion="v1")))


def _probe(probe: Probe | None) -> Probe | None:
    if probe is None:
        return None
    return changed(
        probe,
        httpGet=_http_get(probe.httpGet),
        grpc=probe.grpc if probe.grpc is None or probe.grpc.service is not None else replace(probe.grpc, service=""),
        timeoutSeconds=probe.timeoutSeconds or 1,
        periodSeconds=probe.periodSeconds or 10,
        successThreshold=probe.successThreshold or 1,
        failureThreshold=probe.failureThreshold or 3,
    )


def _http_get(action: HTTPGetAction | None) -> HTTPGetAction | None:
    return None if action is None else changed(action, path=action.path or "/", scheme=action.scheme or "HTTP")


def _lifecycle(lifecycle: Lifecycle | None) -> Lifecycle | None:
    return None if lifecycle is None else changed(lifecycle, postStart=_hook(lifecycle.postStart), preStop=_hook(lifecycle.preStop))


def _hook(hook: LifecycleHandler | None) -> LifecycleHandler | None:
    return None if hook is None else changed(hook, httpGet=_http_get(hook.httpGet))


# ---- volumes


def _volume(volume: Volume) -> Volume:
    new = {}
    for kind in volume_types(volume):
        source = getattr(volume, kind)
        default = _SOURCES.get(kind)
        if default is not None and (filled := default(source)) is not source:
            new[kind] = filled
    if not new:
        return volume if volume_types(volume) else replace(volume, emptyDir=_EMPTY_DIR)
    return replace(volume, **new)


def volume_types(volume: Volume) -> tuple[str, ...]:
    """The fields of its source that are set."""
    return tuple(name for name in _VOLUME_FIELDS if getattr(volume, name) is not None)


_VOLUME_FIELDS: Final = tuple(name for name in Volume.__struct_fields__ if name != "name")


def _with_mode(source: Any) -> Any:
    return source if source.defaultMode is not None else replace(source, defaultMode=FILE_MODE)


def _file(file: DownwardAPIVolumeFile) -> DownwardAPIVolumeFile:
    field = file.fieldRef
    return file if field is None or field.apiVersion else replace(file, fieldRef=replace(field, apiVersion="v1"))


def _downward_api(source: Any) -> Any:
    return changed(_with_mode(source), items=_each(source.items, _file))


def _projection(source: VolumeProjection) -> VolumeProjection:
    token, fields = source.serviceAccountToken, source.downwardAPI
    if token is not None and token.expirationSeconds is None:
        token = replace(token, expirationSeconds=TOKEN_SECONDS)
    if fields is not None:
        fields = changed(fields, items=_each(fields.items, _file))
    return changed(source, serviceAccountToken=token, downwardAPI=fields)


def _projected(source: Any) -> Any:
    return changed(_with_mode(source), sources=_each(source.sources, _projection))


def _ephemeral(source: Any) -> Any:
    template = source.volumeClaimTemplate
    if template is None or (spec := default_claim_spec(template.spec)) is template.spec:
        return source
    return replace(source, volumeClaimTemplate=replace(template, spec=spec))


def _azure_disk(source: AzureDiskVolumeSource) -> AzureDiskVolumeSource:
    return changed(
        source,
        cachingMode="ReadWrite" if source.cachingMode is None else source.cachingMode,
        fsType="ext4" if source.fsType is None else source.fsType,
        kind="Shared" if source.kind is None else source.kind,
        readOnly=False if source.readOnly is None else source.readOnly,
    )


_SOURCES: Final[Mapping[str, Callable[[Any], Any]]] = {
    "configMap": _with_mode,
    "secret": _with_mode,
    "downwardAPI": _downward_api,
    "projected": _projected,
    "ephemeral": _ephemeral,
    "azureDisk": _azure_disk,
    "hostPath": lambda s: s if s.type is not None else replace(s, type=""),
    "image": lambda s: s if s.pullPolicy else replace(s, pullPolicy=default_pull_policy(s.reference)),
    "iscsi": lambda s: changed(s, iscsiInterface=s.iscsiInterface or "default"),
    "rbd": lambda s: changed(s, pool=s.pool or "rbd", user=s.user or "admin", keyring=s.keyring or "/etc/ceph/keyring"),
    "scaleIO": lambda s: changed(s, storageMode=s.storageMode or "ThinProvisioned", fsType=s.fsType or "xfs"),
}
"""What each volume type fills in of itself."""
