"""KubeSchedulerConfiguration v1: which profiles there are, which plug-ins each has, and what is said to them.

https://kubernetes.io/docs/reference/config-api/kube-scheduler-config.v1/
"""
from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import msgspec

from kubelet_lite.api import reading, yaml_text
from kubelet_lite.api.durations import parse_duration
from kubelet_lite.api.errors import FieldError, invalid
from kubelet_lite.client.manifests import is_path

API_VERSION: Final = "kubescheduler.config.k8s.io/v1"
KIND: Final = "KubeSchedulerConfiguration"
DEFAULT_SCHEDULER: Final = "default-scheduler"
NEEDS_METRICS: Final = "LoadAware"
"""The plug-in that has nothing to say without them."""
DEFAULT_EXTENDER_SECONDS: Final = 5.0


class ConfigurationError(ValueError):
    """What is wrong with a configuration, in Kubernetes' words, all of it at once."""

    def __init__(self, errors: Iterable[FieldError | str]) -> None:
        texts = list(dict.fromkeys(str(error) for error in errors))
        super().__init__(f"scheduler configuration: {texts[0] if len(texts) == 1 else '[' + ', '.join(texts) + ']'}")


class _Part(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Of a configuration."""


class PluginChoice(_Part, frozen=True):
    name: str = ""
    weight: int = 0
    """Of its score; 0: 1."""


class PluginSet(_Part, frozen=True):
    enabled: tuple[PluginChoice, ...] = ()
    disabled: tuple[PluginChoice, ...] = ()
    """`*`: all that are enabled by default."""


class Plugins(_Part, frozen=True):
    preEnqueue: PluginSet = PluginSet()
    queueSort: PluginSet = PluginSet()
    preFilter: PluginSet = PluginSet()
    filter: PluginSet = PluginSet()
    postFilter: PluginSet = PluginSet()
    preScore: PluginSet = PluginSet()
    score: PluginSet = PluginSet()
    reserve: PluginSet = PluginSet()
    permit: PluginSet = PluginSet()
    preBind: PluginSet = PluginSet()
    bind: PluginSet = PluginSet()
    postBind: PluginSet = PluginSet()
    multiPoint: PluginSet = PluginSet()
    """For every point that a plug-in has a method for."""


class PluginConfig(_Part, frozen=True):
    name: str = ""
    args: dict[str, Any] = {}


class ProfileConfiguration(_Part, frozen=True):
    schedulerName: str = ""
    percentageOfNodesToScore: int | None = None
    plugins: Plugins = Plugins()
    pluginConfig: tuple[PluginConfig, ...] = ()


class ManagedResource(_Part, frozen=True):
    name: str = ""
    ignoredByScheduler: bool = False


class ExtenderTLS(_Part, frozen=True):
    insecure: bool = False
    serverName: str = ""
    certFile: str = ""
    keyFile: str = ""
    caFile: str = ""
    certData: str = ""
    keyData: str = ""
    caData: str = ""


class ExtenderConfiguration(_Part, frozen=True):
    urlPrefix: str = ""
    filterVerb: str = ""
    preemptVerb: str = ""
    prioritizeVerb: str = ""
    weight: int = 0
    bindVerb: str = ""
    enableHTTPS: bool = False
    tlsConfig: ExtenderTLS | None = None
    httpTimeout: str = ""
    nodeCacheCapable: bool = False
    managedResources: tuple[ManagedResource, ...] = ()
    ignorable: bool = False

    @property
    def timeout_seconds(self) -> float:
        """Raises DurationError."""
        return parse_duration(self.httpTimeout or "0") or DEFAULT_EXTENDER_SECONDS


class LeaderElection(_Part, frozen=True):
    leaderElect: bool | None = None
    leaseDuration: str = ""
    renewDeadline: str = ""
    retryPeriod: str = ""
    resourceLock: str = ""
    resourceName: str = ""
    resourceNamespace: str = ""


class ClientConnection(_Part, frozen=True):
    kubeconfig: str = ""
    acceptContentTypes: str = ""
    contentType: str = ""
    qps: float = 0.0
    burst: int = 0


class SchedulerConfiguration(_Part, frozen=True):
    kind: str = KIND
    apiVersion: str = API_VERSION
    parallelism: int = 16
    leaderElection: LeaderElection = LeaderElection()
    clientConnection: ClientConnection = ClientConnection()
    enableProfiling: bool | None = None
    enableContentionProfiling: bool | None = None
    percentageOfNodesToScore: int | None = None
    podInitialBackoffSeconds: int = 1
    podMaxBackoffSeconds: int = 10
    profiles: tuple[ProfileConfiguration, ...] = (ProfileConfiguration(schedulerName=DEFAULT_SCHEDULER),)
    extenders: tuple[ExtenderConfiguration, ...] = ()
    delayCacheUntilActive: bool = False


DEFAULT: Final = SchedulerConfiguration()
Source = str | Path | Mapping[str, Any] | SchedulerConfiguration
"""A path, YAML or JSON text, plain values, or the thing itself."""


def load(source: Source) -> SchedulerConfiguration:
    """Strictly; `profiles.build` says whether it makes sense. Raises ConfigurationError, OSError."""
    if isinstance(source, SchedulerConfiguration):
        return source
    value: Any = source
    if isinstance(source, (str, Path)):
        try:
            value, repeated = yaml_text.load(Path(source).read_bytes() if is_path(source) else str(source))
        except yaml_text.YamlError as error:
            raise ConfigurationError([str(error)]) from None
        if repeated:
            raise ConfigurationError(repeated)
    return _defaulted(decode(SchedulerConfiguration, value))


def decode(kind: type[Any], value: Any, api_version: str = API_VERSION) -> Any:
    """Plain values to a part of a configuration that has kind and apiVersion. Raises ConfigurationError."""
    if not isinstance(value, Mapping):
        raise ConfigurationError([f"a {KIND} is an object, not {type(value).__name__}"])
    expected = KIND if kind is SchedulerConfiguration else kind.__name__
    for field, wanted in (("apiVersion", api_version), ("kind", expected)):
        if value.get(field, wanted if kind is not SchedulerConfiguration else None) != wanted:
            raise ConfigurationError([invalid(field, value.get(field, ""), f"must be {wanted}")])
    if kind is not SchedulerConfiguration:
        value = {name: inner for name, inner in value.items() if name not in ("kind", "apiVersion")}
    try:
        text, problems = reading.read(kind, value)
        if problems:
            raise ConfigurationError([f"strict decoding error: {problem}" for problem in problems])
        return msgspec.json.decode(text, type=kind)
    except (reading.DecodingError, msgspec.MsgspecError) as error:
        raise ConfigurationError([str(error)]) from None


def _defaulted(found: SchedulerConfiguration) -> SchedulerConfiguration:
    """A single profile without a name is the default scheduler's."""
    profiles = found.profiles or DEFAULT.profiles
    if len(profiles) == 1 and not profiles[0].schedulerName:
        profiles = (msgspec.structs.replace(profiles[0], schedulerName=DEFAULT_SCHEDULER),)
    return msgspec.structs.replace(found, profiles=profiles)


def without_effect(configuration: SchedulerConfiguration, *, metrics: bool) -> Iterator[str]:
    """What a configuration says that changes nothing here, and why. `metrics`: whether anybody serves them."""
    default = SchedulerConfiguration()
    shares = [("", configuration.percentageOfNodesToScore)]
    shares += [(f"profiles[{i}].", profile.percentageOfNodesToScore) for i, profile in enumerate(configuration.profiles)]
    for where, share in shares:
        if share:
            yield f"{where}percentageOfNodesToScore: every node is looked at: a column costs little more for all of them than for some"
    if configuration.parallelism != default.parallelism:
        yield "parallelism: nodes are judged as columns, in one thread"
    if configuration.leaderElection.leaderElect:
        yield "leaderElection: the scheduler lives and dies with its cluster's process, there is no second one to elect"
    if configuration.clientConnection != default.clientConnection:
        yield "clientConnection: the scheduler talks to its cluster in process"
    if configuration.enableProfiling is not None or configuration.enableContentionProfiling is not None:
        yield "enableProfiling, enableContentionProfiling: the scheduler serves no HTTP of its own"
    if configuration.delayCacheUntilActive:
        yield "delayCacheUntilActive: without leader election a scheduler is always active"
    if not metrics and any(choice.name == NEEDS_METRICS for choice in _enabled(configuration)):
        yield f"{NEEDS_METRICS}: nobody serves metrics: say --metrics"


def _enabled(configuration: SchedulerConfiguration) -> Iterator[PluginChoice]:
    """Every choice of a plug-in to be enabled, at whichever point."""
    for profile in configuration.profiles:
        for point in profile.plugins.__struct_fields__:
            yield from getattr(profile.plugins, point).enabled
