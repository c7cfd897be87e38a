"""KubeSchedulerConfiguration: read strictly, validated with paths, and what profiles come of it."""
from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from kubelet_lite.scheduler import profiles
from kubelet_lite.scheduler.configuration import (
    API_VERSION,
    DEFAULT,
    ConfigurationError,
    ExtenderConfiguration,
    load,
    without_effect,
)
from kubelet_lite.scheduler.framework import Handle, Plugin
from kubelet_lite.scheduler.node_info import NodeInfo
from kubelet_lite.scheduler.plugins import DEFAULTS, default_profile
from kubelet_lite.scheduler.pod_info import PodInfo
from kubelet_lite.scheduler.profile import POINTS, Profile


class Tall(Plugin):
    def filter(self, pod: PodInfo, node: NodeInfo) -> str | None:
        return None

    def score(self, pod: PodInfo, node: NodeInfo) -> int:
        return 0


def configured(*profile: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"apiVersion": API_VERSION, "kind": "KubeSchedulerConfiguration", "profiles": list(profile), **more}


def built(*profile: dict[str, Any], own: tuple[type[Plugin], ...] = (), **more: Any) -> Profile:
    return profiles.build(load(configured(*profile, **more)), Handle.alone(), own)[0]


def scores(profile: Profile) -> list[tuple[str, int]]:
    return [(scoring.name, scoring.weight) for scoring in profile.scores]


def names(plugins: Any) -> list[str]:
    return [plugin.name for plugin in plugins]


def shape(profile: Profile) -> Any:
    return names(profile.filters), scores(profile), {p: names(getattr(profile, p)) for p in ("pre_filter", "post_filter", "reserve", "bind", "pre_bind")}


def wrong(value: Any) -> str:
    with pytest.raises(ConfigurationError) as caught:
        profiles.check(load(value))
    return str(caught.value).removeprefix("scheduler configuration: ")


def test_without_configuration_the_profile_is_kubernetes_own() -> None:
    assert shape(profiles.build(DEFAULT, Handle.alone())[0]) == shape(default_profile(Handle.alone())) == shape(built())
    assert scores(built()) == [
        ("TaintToleration", 3), ("NodeAffinity", 2), ("NodeResourcesFit", 1), ("PodTopologySpread", 2), ("InterPodAffinity", 2),
        ("DynamicResources", 2), ("NodeResourcesBalancedAllocation", 1), ("ImageLocality", 1),
    ]


def test_a_file_text_and_values_say_the_same(tmp_path: Path) -> None:
    text = f"apiVersion: {API_VERSION}\nkind: KubeSchedulerConfiguration\npodMaxBackoffSeconds: 20\n"
    file = tmp_path / "s.yaml"
    file.write_text(text)
    assert load(file) == load(str(file)) == load(text) == load(configured(podMaxBackoffSeconds=20))
    assert load(text).profiles == DEFAULT.profiles
    with pytest.raises(OSError, match="nowhere"):
        load(tmp_path / "nowhere")


def test_weights_of_scores_are_altered_in_place() -> None:
    multi = built({"plugins": {"multiPoint": {"enabled": [{"name": "ImageLocality", "weight": 9}]}}})
    assert scores(multi)[-1] == ("ImageLocality", 9)
    here = built({"plugins": {"score": {"enabled": [{"name": "ImageLocality", "weight": 9}]}}})
    assert scores(here)[0] == ("ImageLocality", 9)
    assert names(here.filters) == names(built().filters)


def test_plugins_are_disabled_at_one_point_or_at_all() -> None:
    only = built({"plugins": {"score": {"disabled": [{"name": "*"}], "enabled": [{"name": "NodeResourcesFit", "weight": 5}]}}})
    assert scores(only) == [("NodeResourcesFit", 5)]
    assert "NodeResourcesFit" in names(only.filters)
    without = built({"plugins": {"multiPoint": {"disabled": [{"name": "NodePorts"}, {"name": "DefaultPreemption"}]}}})
    assert "NodePorts" not in names(without.filters)
    assert names(without.post_filter) == ["DynamicResources"]
    bare = built({"plugins": {"multiPoint": {"disabled": [{"name": "*"}], "enabled": [{"name": "PrioritySort"}, {"name": "DefaultBinder"}, {"name": "NodeName"}]}}})
    assert (names(bare.filters), scores(bare), names(bare.bind)) == (["NodeName"], [], ["DefaultBinder"])


def test_a_users_plugin_is_everywhere_unless_the_profile_speaks_of_it() -> None:
    assert scores(built(own=(Tall,)))[-1] == ("Tall", 1)
    assert names(built(own=(Tall,)).filters)[-1] == "Tall"
    first = built({"plugins": {"score": {"enabled": [{"name": "Tall", "weight": 4}]}}}, own=(Tall,))
    assert scores(first)[-1] == ("Tall", 4)
    assert "Tall" not in names(first.filters)
    assert "Tall" not in built({"plugins": {"multiPoint": {"disabled": [{"name": "Tall"}]}}}, own=(Tall,)).plugins


def test_what_is_no_plugin_is_refused() -> None:
    def refused(*own: Any) -> str:
        with pytest.raises(ConfigurationError) as caught:
            profiles.check(DEFAULT, own)
        return str(caught.value).removeprefix("scheduler configuration: plugins: ")

    class Nothing(Plugin):
        pass

    class Both(Tall):
        def mask(self, pod: PodInfo, nodes: Any, rows: Any) -> Any:
            return rows >= 0

    assert refused(Tall(Handle.alone())).endswith("is no class of kubelet_lite.scheduler.framework.Plugin")
    assert refused(type("NodePorts", (Tall,), {})) == "there is another one named NodePorts"
    assert refused(Nothing) == "Nothing has no method of any extension point"
    assert refused(Both) == "Both has both filter and mask: which shall it be?"


def test_every_profile_has_plugins_of_its_own() -> None:
    packing = {"name": "NodeResourcesFit", "args": {"scoringStrategy": {"type": "MostAllocated"}}}
    one, other = profiles.build(load(configured({"schedulerName": "a"}, {"schedulerName": "b", "pluginConfig": [packing]})), Handle.alone())
    assert (one.name, other.name) == ("a", "b")
    assert one.plugins["NodeResourcesFit"].args.scoringStrategy.type == "LeastAllocated"
    assert other.plugins["NodeResourcesFit"].args.scoringStrategy.type == "MostAllocated"


def test_arguments_may_say_their_kind() -> None:
    args = {"apiVersion": API_VERSION, "kind": "InterPodAffinityArgs", "hardPodAffinityWeight": 7}
    assert built({"pluginConfig": [{"name": "InterPodAffinity", "args": args}]}).plugins["InterPodAffinity"].args.hardPodAffinityWeight == 7


def test_what_kubernetes_plugins_do_where_ours_need_not_may_be_named() -> None:
    enabled = {"enabled": [{"name": "NodeResourcesFit"}, {"name": "InterPodAffinity"}]}
    assert shape(built({"plugins": {"preFilter": enabled, "preScore": enabled}})) == shape(built())


def test_fields_that_are_not_known_are_refused_with_their_path() -> None:
    assert wrong(configured({"schedulerName": "a", "plugin": {}}, foo=1)) == (
        '[strict decoding error: unknown field "profiles[0].plugin", strict decoding error: unknown field "foo"]'
    )
    assert wrong(configured({"pluginConfig": [{"name": "VolumeBinding", "args": {"x": 1}}]})) == (
        'profiles[0].pluginConfig[0].args: strict decoding error: unknown field "x"'
    )
    assert wrong(f"apiVersion: {API_VERSION}\nkind: KubeSchedulerConfiguration\nparallelism: 1\nparallelism: 2\n") == (
        'line 4: key "parallelism" already set in map'
    )


@pytest.mark.parametrize(("more", "message"), [
    ({"kind": "Pod"}, 'kind: Invalid value: "Pod": must be KubeSchedulerConfiguration'),
    ({"apiVersion": "v1"}, f'apiVersion: Invalid value: "v1": must be {API_VERSION}'),
    ({"parallelism": 0}, "parallelism: Invalid value: 0: should be an integer value greater than zero"),
    ({"percentageOfNodesToScore": 101}, "percentageOfNodesToScore: Invalid value: 101: not in valid range [0-100]"),
    ({"podInitialBackoffSeconds": 0}, "podInitialBackoffSeconds: Invalid value: 0: must be greater than 0"),
    ({"podMaxBackoffSeconds": 0}, "podMaxBackoffSeconds: Invalid value: 0: must be greater than or equal to PodInitialBackoffSeconds"),
    ({"profiles": [{"schedulerName": "a"}, {}]}, "profiles[1].schedulerName: Required value"),
    ({"profiles": [{"schedulerName": "a"}] * 2}, 'profiles[1].schedulerName: Duplicate value: "a"'),
    ({"extenders": [{"urlPrefix": "http://x", "prioritizeVerb": "p"}]}, "extenders[0].weight: Invalid value: 0: must have a positive weight applied to it"),
    ({"extenders": [{"urlPrefix": "x"}]}, 'extenders[0].urlPrefix: Invalid value: "x": must be an http or https URL'),
    ({"extenders": [{"urlPrefix": "http://x", "httpTimeout": "5"}]}, 'extenders[0].httpTimeout: Invalid value: "5": time: missing unit in duration "5"'),
    ({"extenders": [{"urlPrefix": "http://x", "httpTimeout": "-5s"}]}, 'extenders[0].httpTimeout: Invalid value: "-5s": must not be negative'),
    ({"extenders": [{"urlPrefix": "http://x", "tlsConfig": {"caData": "?"}}]}, "extenders[0].tlsConfig.caData: Invalid value: \"?\": must be base64: Only base64 data is allowed"),
    ({"extenders": [{"urlPrefix": "http://x", "tlsConfig": {"certFile": "a"}}]}, "extenders[0].tlsConfig.keyData: Required value: a certificate and its key belong together"),
    (
        {"extenders": [{"urlPrefix": "http://x", "managedResources": [{"name": "cpu"}]}]},
        'extenders[0].managedResources[0].name: Invalid value: "cpu": name is an invalid extended resource name',
    ),
    (
        {"extenders": [{"urlPrefix": "http://x", "bindVerb": "b"}] * 2},
        'extenders: Invalid value: "found 2 extenders implementing bind": only one extender can implement bind',
    ),
])
def test_what_is_wrong_with_a_configuration(more: dict[str, Any], message: str) -> None:
    assert wrong({**configured(), **more}) == message


@pytest.mark.parametrize(("plugins", "message"), [
    ({"filter": {"enabled": [{"name": "Foo"}]}}, 'profiles[0].plugins.filter.enabled[0].name: Not found: "Foo"'),
    ({"filter": {"disabled": [{"name": "Foo"}]}}, 'profiles[0].plugins.filter.disabled[0].name: Not found: "Foo"'),
    ({"score": {"enabled": [{"name": "NodePorts"}]}}, 'profiles[0].plugins.score.enabled[0].name: Invalid value: "NodePorts": plugin does not extend score'),
    ({"filter": {"enabled": [{"name": "NodePorts"}] * 2}}, 'profiles[0].plugins.filter.enabled[1].name: Duplicate value: "NodePorts"'),
    (
        {"bind": {"disabled": [{"name": "*"}]}},
        'profiles[0].plugins.bind: Invalid value: []: at least one bind plugin is needed for profile with scheduler name "default-scheduler"',
    ),
    (
        {"queueSort": {"disabled": [{"name": "PrioritySort"}]}},
        'profiles[0].plugins.queueSort: Invalid value: []: only one queue sort plugin required for profile with scheduler name "default-scheduler", but got 0',
    ),
])
def test_what_is_wrong_with_the_choice_of_plugins(plugins: dict[str, Any], message: str) -> None:
    assert wrong(configured({"plugins": plugins})) == message


SHAPE = "scoringStrategy.requestedToCapacityRatio.shape"
RATIO = {"type": "RequestedToCapacityRatio"}


@pytest.mark.parametrize(("plugin", "args", "message"), [
    ("DefaultPreemption", {"minCandidateNodesPercentage": 101}, "minCandidateNodesPercentage: Invalid value: 101: not in valid range [0, 100]"),
    ("DefaultPreemption", {"minCandidateNodesAbsolute": -1}, "minCandidateNodesAbsolute: Invalid value: -1: not in valid range [0, inf)"),
    ("InterPodAffinity", {"hardPodAffinityWeight": 101}, "hardPodAffinityWeight: Invalid value: 101: not in valid range [0-100]"),
    ("NodeResourcesFit", {"ignoredResourceGroups": ["a/b"]}, "ignoredResourceGroups[0]: Invalid value: \"a/b\": resource group name can't contain '/'"),
    ("NodeResourcesFit", {"scoringStrategy": {"type": "X"}}, 'scoringStrategy.type: Unsupported value: "X": supported values: "LeastAllocated", "MostAllocated", "RequestedToCapacityRatio"'),
    ("NodeResourcesFit", {"scoringStrategy": RATIO}, f"{SHAPE}: Required value: at least one point must be specified"),
    (
        "NodeResourcesFit", {"scoringStrategy": {**RATIO, "requestedToCapacityRatio": {"shape": [{"utilization": 10, "score": 11}]}}},
        f"{SHAPE}[0].score: Invalid value: 11: not in valid range [0-10]",
    ),
    (
        "NodeResourcesFit", {"scoringStrategy": {**RATIO, "requestedToCapacityRatio": {"shape": [{"utilization": 10}, {"utilization": 10}]}}},
        f"{SHAPE}[1].utilization: Invalid value: 10: utilization values must be sorted in increasing order",
    ),
    ("NodeResourcesBalancedAllocation", {"resources": [{"name": "cpu", "weight": 2}]}, "resources[0].weight: Invalid value: 2: resource weight of cpu not in valid range [1, 1]"),
    ("VolumeBinding", {"bindTimeoutSeconds": -1}, "bindTimeoutSeconds: Invalid value: -1: invalid BindTimeoutSeconds, should not be a negative value"),
    ("PodTopologySpread", {"defaultingType": "X"}, 'defaultingType: Unsupported value: "X": supported values: "List", "System"'),
    (
        "PodTopologySpread", {"defaultConstraints": [{"maxSkew": 1, "topologyKey": "k", "whenUnsatisfiable": "ScheduleAnyway"}]},
        'defaultingType: Invalid value: "System": when .defaultConstraints are not empty',
    ),
    (
        "PodTopologySpread", {"defaultingType": "List", "defaultConstraints": [{"maxSkew": 1, "topologyKey": "k", "whenUnsatisfiable": "ScheduleAnyway", "labelSelector": {}}]},
        "defaultConstraints[0].labelSelector: Forbidden: constraint must not define a selector, as they deduced for each pod",
    ),
    (
        "NodeAffinity", {"addedAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": [{"matchExpressions": [{"key": "a", "operator": "Is"}]}]}}},
        'addedAffinity.requiredDuringSchedulingIgnoredDuringExecution.nodeSelectorTerms[0].matchExpressions[0].operator: Invalid value: "Is": not a valid selector operator',
    ),
])
def test_what_is_wrong_with_arguments(plugin: str, args: dict[str, Any], message: str) -> None:
    assert wrong(configured({"pluginConfig": [{"name": plugin, "args": args}]})) == f"profiles[0].pluginConfig[0].args.{message}"


def test_all_is_said_at_once() -> None:
    assert wrong(configured(parallelism=0, podInitialBackoffSeconds=-1)).count("Invalid value") == 2


def test_what_has_no_effect_here_is_said() -> None:
    assert not list(without_effect(DEFAULT, metrics=False))
    found = list(without_effect(load(configured({"percentageOfNodesToScore": 5}, leaderElection={"leaderElect": True}, parallelism=4)), metrics=False))
    assert [note.partition(":")[0] for note in found] == ["profiles[0].percentageOfNodesToScore", "parallelism", "leaderElection"]


@pytest.mark.parametrize(("text", "seconds"), [("", 5.0), ("0s", 5.0), ("1m30s", 90.0), ("100ms", 0.1)])
def test_an_extender_has_five_seconds_unless_it_is_said(text: str, seconds: float) -> None:
    assert ExtenderConfiguration(httpTimeout=text).timeout_seconds == seconds


def test_every_default_plugin_takes_part_somewhere() -> None:
    profile = default_profile(Handle.alone())
    assert set(profile.plugins) == {plugin.name for plugin in DEFAULTS}
    assert set(POINTS) == set(profiles.Selection(()).enabled(DEFAULT.profiles[0]))
