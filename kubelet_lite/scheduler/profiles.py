"""From a configuration to profiles: which plug-in takes part where, in which order, with which weight and arguments.

Enabled for a point goes before enabled by multiPoint; what is said of the default plug-ins alters these, everything else comes after.
https://kubernetes.io/docs/reference/scheduling/config/#multipoint
"""
from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final

import msgspec

from kubelet_lite.api.errors import FieldError, duplicate, invalid, not_found
from kubelet_lite.scheduler import configuration_rules
from kubelet_lite.scheduler.configuration import (
    ConfigurationError,
    PluginChoice,
    PluginSet,
    ProfileConfiguration,
    SchedulerConfiguration,
    decode,
)
from kubelet_lite.scheduler.framework import Handle, Plugin, PluginError, defines
from kubelet_lite.scheduler.plugins import DEFAULTS, OFF_BY_DEFAULT
from kubelet_lite.scheduler.plugins.node_resources_fit import NodeResourcesFit, NodeResourcesFitArgs
from kubelet_lite.scheduler.profile import POINTS, Profile, takes_part

EVERYTHING: Final = "*"
IN_ANOTHER_METHOD: Final[Mapping[str, frozenset[str]]] = {
    "preFilter": frozenset((
        "NodePorts", "NodeResourcesFit", "NodeVolumeLimits", "PodTopologySpread", "InterPodAffinity", "DynamicResources", "NodeAffinity",
    )),
    "filter": frozenset(("DynamicResources",)),
    "preScore": frozenset((
        "TaintToleration", "NodeAffinity", "NodeResourcesFit", "VolumeBinding", "PodTopologySpread", "InterPodAffinity",
        "NodeResourcesBalancedAllocation",
    )),
    "score": frozenset(("VolumeBinding",)), "reserve": frozenset(("DynamicResources",)), "preBind": frozenset(("DynamicResources",)),
    "preEnqueue": frozenset(("DynamicResources", "DefaultPreemption")),
}
"""Where Kubernetes' plug-ins take part and ours need not: a configuration may name them there, which changes nothing."""
EITHER_OR: Final = (("filter", "mask"), ("score", "column"), ("bind", "bind_all"))
"""Methods that say the same, one thing at a time or all at once."""
Registry = Mapping[str, type[Plugin]]


class Selection:
    """What one profile chooses from: the default plug-ins, those that are off by default, and a user's own."""

    def __init__(self, own: Sequence[type[Plugin]]) -> None:
        _check_own(own)
        self.registry: Registry = {plugin.name: plugin for plugin in (*DEFAULTS, *OFF_BY_DEFAULT, *own)}
        self.own = frozenset(plugin.name for plugin in own)
        self.defaults = {plugin.name: weight for plugin, weight in DEFAULTS.items()}

    def enabled(self, profile: ProfileConfiguration) -> Mapping[str, Mapping[str, int]]:
        """Point → plug-in → weight, in order."""
        many = self._multi_point(profile)
        return {point: self._at(point, getattr(profile.plugins, point), many) for point in POINTS}

    def _multi_point(self, profile: ProfileConfiguration) -> Mapping[str, int]:
        """The default plug-ins as altered, then what else is enabled; a user's own that the profile nowhere mentions too."""
        plugins = profile.plugins
        chosen = {choice.name: choice.weight for choice in plugins.multiPoint.enabled}
        left = _left({**self.defaults}, plugins.multiPoint)
        mentioned = {c.name for at in (*(getattr(plugins, point) for point in POINTS), plugins.multiPoint) for c in (*at.enabled, *at.disabled)}
        unmentioned = {name: 0 for name in self.registry if name in self.own and name not in mentioned}
        return {**{name: chosen.get(name) or weight for name, weight in left.items()}, **{n: w for n, w in chosen.items() if n not in left}, **unmentioned}

    def _at(self, point: str, here: PluginSet, many: Mapping[str, int]) -> Mapping[str, int]:
        chosen = {choice.name: choice.weight for choice in here.enabled}
        from_many = _left(many, here)
        overriding = {name: weight for name, weight in chosen.items() if name in from_many}
        found = {**overriding, **{name: weight for name, weight in from_many.items() if name not in overriding}, **chosen}
        return {name: weight or 1 for name, weight in found.items() if takes_part(self.registry[name], point)}


def _left(plugins: Mapping[str, int], said: PluginSet) -> Mapping[str, int]:
    """Those that are not disabled."""
    disabled = {choice.name for choice in said.disabled}
    return {} if EVERYTHING in disabled else {name: weight for name, weight in plugins.items() if name not in disabled}


def build(configuration: SchedulerConfiguration, handle: Handle, own: Sequence[type[Plugin]] = ()) -> Sequence[Profile]:
    """The profiles, each with plug-ins of its own. Raises ConfigurationError."""
    selection = Selection(own)
    arguments = _checked(configuration, selection)
    others = tuple(resource.name for extender in configuration.extenders for resource in extender.managedResources if resource.ignoredByScheduler)
    return [
        _profile(profile, selection, _ignoring(others, arguments[i]) if others else arguments[i], handle)
        for i, profile in enumerate(configuration.profiles)
    ]


def check(configuration: SchedulerConfiguration, own: Sequence[type[Plugin]] = ()) -> None:
    """Raises ConfigurationError."""
    build(configuration, Handle.alone(), own)


def _ignoring(resources: tuple[str, ...], arguments: Mapping[str, Any]) -> Mapping[str, Any]:
    """Extenders look after these resources."""
    args = arguments.get(NodeResourcesFit.name, NodeResourcesFitArgs())
    return {**arguments, NodeResourcesFit.name: msgspec.structs.replace(args, ignoredResources=(*args.ignoredResources, *resources))}


def _profile(said: ProfileConfiguration, selection: Selection, arguments: Mapping[str, Any], handle: Handle) -> Profile:
    enabled = selection.enabled(said)
    made: dict[str, Plugin] = {}
    for name in dict.fromkeys(name for plugins in enabled.values() for name in plugins):
        plugin = selection.registry[name](handle, arguments.get(name))
        made[name] = guarded(plugin) if name in selection.own else plugin
    return Profile(said.schedulerName, {point: [(made[name], weight) for name, weight in plugins.items()] for point, plugins in enabled.items()})


# ---- what may be wrong


def _checked(configuration: SchedulerConfiguration, selection: Selection) -> Sequence[Mapping[str, Any]]:
    """By profile, the arguments of its plug-ins."""
    errors: list[FieldError | str] = list(configuration_rules.check(configuration))
    found: list[Mapping[str, Any]] = []
    for i, profile in enumerate(configuration.profiles):
        path = f"profiles[{i}]"
        wrong = list(_wrong_names(profile, selection, f"{path}.plugins"))
        errors += wrong or _wrong_numbers(profile, selection, f"{path}.plugins")
        arguments: dict[str, Any] = {}
        for j, config in enumerate(profile.pluginConfig):
            where = f"{path}.pluginConfig[{j}]"
            kind = selection.registry.get(config.name)
            if kind is None:
                errors.append(not_found(f"{where}.name", config.name))
            elif config.name in arguments:
                errors.append(duplicate(where, config.name))
            else:
                try:
                    arguments[config.name] = decode(kind.Args, config.args)
                except ConfigurationError as error:
                    errors.append(f"{where}.args: {str(error).removeprefix('scheduler configuration: ')}")
                    continue
                errors += configuration_rules.check_args(arguments[config.name], f"{where}.args")
        found.append(arguments)
    if errors:
        raise ConfigurationError(errors)
    return found


def _check_own(own: Sequence[type[Plugin]]) -> None:
    """Raises ConfigurationError for what is no plug-in, or leaves open what it is."""
    errors: list[str] = []
    taken = {plugin.name for plugin in (*DEFAULTS, *OFF_BY_DEFAULT)}
    for plugin in own:
        if not (isinstance(plugin, type) and issubclass(plugin, Plugin)):
            errors.append(f"plugins: {plugin!r} is no class of kubelet_lite.scheduler.framework.Plugin")
            continue
        if plugin.name in taken:
            errors.append(f"plugins: there is another one named {plugin.name}")
        taken.add(plugin.name)
        errors += [f"plugins: {plugin.name} has both {a} and {b}: which shall it be?" for a, b in EITHER_OR if defines(plugin, a) and defines(plugin, b)]
        if not any(takes_part(plugin, point) for point in POINTS):
            errors.append(f"plugins: {plugin.name} has no method of any extension point")
    if errors:
        raise ConfigurationError(errors)


def _wrong_names(profile: ProfileConfiguration, selection: Selection, path: str) -> Iterator[FieldError]:
    for point in (*POINTS, "multiPoint"):
        here: PluginSet = getattr(profile.plugins, point)
        yield from _wrong_choices(here.enabled, point, f"{path}.{point}.enabled", selection)
        for i, choice in enumerate(here.disabled):
            if choice.name != EVERYTHING and choice.name not in selection.registry:
                yield not_found(f"{path}.{point}.disabled[{i}].name", choice.name)


def _wrong_choices(choices: Sequence[PluginChoice], point: str, path: str, selection: Selection) -> Iterator[FieldError]:
    seen: set[str] = set()
    for i, choice in enumerate(choices):
        where, kind = f"{path}[{i}]", selection.registry.get(choice.name)
        if kind is None:
            yield not_found(f"{where}.name", choice.name)
        elif point in POINTS and not takes_part(kind, point) and choice.name not in IN_ANOTHER_METHOD.get(point, ()):
            yield invalid(f"{where}.name", choice.name, f"plugin does not extend {point}")
        elif choice.name in seen:
            yield duplicate(f"{where}.name", choice.name)
        if choice.weight < 0:
            yield invalid(f"{where}.weight", choice.weight, "must not be negative")
        seen.add(choice.name)


def _wrong_numbers(profile: ProfileConfiguration, selection: Selection, path: str) -> Iterator[FieldError]:
    """What every profile has exactly one of, or at least one."""
    enabled = selection.enabled(profile)
    sorting = list(enabled["queueSort"])
    if len(sorting) != 1:
        yield invalid(f"{path}.queueSort", sorting, f'only one queue sort plugin required for profile with scheduler name "{profile.schedulerName}", but got {len(sorting)}')
    if not enabled["bind"]:
        yield invalid(f"{path}.bind", [], f'at least one bind plugin is needed for profile with scheduler name "{profile.schedulerName}"')


# ---- plug-ins that are not ours


def guarded(plugin: Plugin) -> Plugin:
    """What the plug-in raises becomes a PluginError: it spoils an attempt, not the scheduler."""
    for name in GUARDED:
        if defines(plugin, name):
            setattr(plugin, name, _guard(plugin, name, getattr(plugin, name)))
    plugin.guarded = True
    return plugin


GUARDED: Final = (
    "needs", "likeness", "applies", "ranks", "hint", "passes", "points", "reject", "normalize", "unreserve", *(method for methods in POINTS.values() for method in methods),
)


def _guard(plugin: Plugin, name: str, method: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(method)
    def call(*arguments: Any) -> Any:
        try:
            found = method(*arguments)
        except Exception as error:
            raise PluginError(plugin.name, name, error) from error
        return _awaited(plugin, name, found) if name in ("pre_bind", "bind", "bind_all") and found is not None else found

    return call


async def _awaited(plugin: Plugin, name: str, found: Any) -> Any:
    try:
        return await found
    except Exception as error:
        raise PluginError(plugin.name, name, error) from error
