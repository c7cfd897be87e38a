"""What a pod asks for, tolerates and selects."""
from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubelet_lite.api.core_v1 import (
    Affinity,
    Container,
    ContainerStatus,
    Node,
    NodeAffinity,
    NodeSelector,
    NodeSelectorRequirement,
    NodeSelectorTerm,
    Pod,
    PodSpec,
    PodStatus,
    PreferredSchedulingTerm,
    ResourceRequirements,
    Taint,
    Toleration,
)
from kubelet_lite.api.meta_v1 import ObjectMeta
from kubelet_lite.api.scheduling_rules import (
    node_matches,
    pod_requests,
    preferred_node_score,
    required_node_names,
    tolerates,
)


def container(cpu: str = "", memory: str = "", *, name: str = "c", sidecar: bool = False) -> Container:
    requests = {k: v for k, v in (("cpu", cpu), ("memory", memory)) if v}
    return Container(name=name, resources=ResourceRequirements(requests=requests), restartPolicy="Always" if sidecar else None)


def test_containers_add_up() -> None:
    assert pod_requests(Pod(spec=PodSpec(containers=(container("100m", "1Gi"), container("1"))))) == {"cpu": 1100, "memory": 2 ** 30}


def test_an_init_container_counts_alone_but_with_the_sidecars_started_before_it() -> None:
    first = (container("2"), container("1", sidecar=True), container("2500m"))
    assert pod_requests(Pod(spec=PodSpec(initContainers=first, containers=(container("1"),)))) == {"cpu": 3500}


def test_sidecars_count_with_the_containers() -> None:
    assert pod_requests(Pod(spec=PodSpec(initContainers=(container("1", sidecar=True),), containers=(container("2"),)))) == {"cpu": 3000}


def test_overhead_is_added_and_what_the_pod_as_a_whole_asks_for_goes_before_its_containers() -> None:
    spec = PodSpec(containers=(container("100m", "1Gi"),), overhead={"cpu": "10m"}, resources=ResourceRequirements(requests={"cpu": "2", "example.com/x": "1"}))
    assert pod_requests(Pod(spec=spec)) == {"cpu": 2010, "memory": 2 ** 30}
    assert pod_requests(Pod(spec=spec), pod_level=False) == {"cpu": 110, "memory": 2 ** 30}


def test_what_a_container_does_not_say_may_be_given() -> None:
    assert pod_requests(Pod(spec=PodSpec(containers=(container(), container("1")))), missing={"cpu": 100, "memory": 200}) == {"cpu": 1100, "memory": 400}


def test_a_container_under_resize_counts_for_the_greater_of_wanted_and_granted() -> None:
    status = PodStatus(containerStatuses=(ContainerStatus(name="c", resources=ResourceRequirements(requests={"cpu": "2"})),))
    assert pod_requests(Pod(spec=PodSpec(containers=(container("1"),)), status=status)) == {"cpu": 2000}


@given(st.lists(st.integers(0, 4000), min_size=1, max_size=4), st.lists(st.tuples(st.integers(0, 4000), st.booleans()), max_size=4))
def test_a_pod_never_asks_for_less_than_any_moment_of_its_life_needs(main: list[int], first: list[tuple[int, bool]]) -> None:
    spec = PodSpec(containers=tuple(container(f"{m}m") for m in main), initContainers=tuple(container(f"{m}m", sidecar=s) for m, s in first))
    moments, sidecars = [], 0
    for amount, sidecar in first:
        sidecars += amount if sidecar else 0
        moments.append(sidecars if sidecar else sidecars + amount)
    moments.append(sidecars + sum(main))
    assert pod_requests(Pod(spec=spec)).get("cpu", 0) == max(moments)


@pytest.mark.parametrize(("toleration", "covers"), [
    (Toleration(key="k", value="v"), True), (Toleration(key="k", operator="Exists"), True), (Toleration(operator="Exists"), True),
    (Toleration(key="k", value="w"), False), (Toleration(key="k", value="v", effect="NoExecute"), False), (Toleration(key="x", operator="Exists"), False),
])
def test_a_toleration_covers_a_taint(toleration: Toleration, covers: bool) -> None:
    assert tolerates((toleration,), Taint(key="k", value="v", effect="NoSchedule")) is covers
    assert not tolerates((), Taint(key="k", value="v", effect="NoSchedule"))


def term(key: str, operator: str, *values: str, fields: bool = False) -> NodeSelectorTerm:
    requirement = NodeSelectorRequirement(key=key, operator=operator, values=values)
    return NodeSelectorTerm(matchFields=(requirement,)) if fields else NodeSelectorTerm(matchExpressions=(requirement,))


def wishing(*terms: NodeSelectorTerm, selector: dict[str, str] | None = None) -> Pod:
    affinity = Affinity(nodeAffinity=NodeAffinity(requiredDuringSchedulingIgnoredDuringExecution=NodeSelector(nodeSelectorTerms=terms)))
    return Pod(spec=PodSpec(nodeSelector=selector or {}, affinity=affinity))


NODE = Node(metadata=ObjectMeta(name="n1", labels={"zone": "a", "cores": "4"}))


@pytest.mark.parametrize(("wanted", "matches"), [
    (term("zone", "In", "a", "b"), True), (term("zone", "NotIn", "a"), False), (term("disk", "NotIn", "ssd"), True), (term("zone", "Exists"), True),
    (term("disk", "DoesNotExist"), True), (term("cores", "Gt", "3"), True), (term("cores", "Lt", "4"), False), (term("zone", "Gt", "3"), False),
    (term("metadata.name", "In", "n1", fields=True), True), (term("metadata.name", "NotIn", "n1", fields=True), False), (NodeSelectorTerm(), False),
])
def test_a_term_matches_a_node(wanted: NodeSelectorTerm, matches: bool) -> None:
    assert node_matches(wishing(wanted), NODE) is matches
    assert node_matches(wishing(NodeSelectorTerm(), wanted), NODE) is matches


def test_a_selector_without_terms_matches_no_node() -> None:
    assert not node_matches(wishing(), NODE)


def test_node_selector_and_affinity_must_both_match() -> None:
    assert not node_matches(wishing(term("zone", "In", "a"), selector={"zone": "b"}), NODE)
    assert node_matches(Pod(spec=PodSpec(nodeSelector={"zone": "a"})), NODE)


def test_names_of_nodes_are_intersected_in_a_term_and_united_over_terms() -> None:
    names = NodeSelectorRequirement(key="metadata.name", operator="In", values=("a", "b"))
    both = NodeSelectorTerm(matchFields=(names, NodeSelectorRequirement(key="metadata.name", operator="In", values=("b",))))
    assert required_node_names(wishing(both, term("metadata.name", "In", "c", fields=True))) == frozenset(("b", "c"))
    assert required_node_names(wishing(both, term("zone", "Exists"))) is None
    assert required_node_names(Pod()) is None


def test_preferred_terms_add_their_weights() -> None:
    preferred = tuple(PreferredSchedulingTerm(weight=w, preference=p) for w, p in ((5, term("zone", "In", "a")), (7, term("zone", "In", "b")), (1, NodeSelectorTerm())))
    affinity = Affinity(nodeAffinity=NodeAffinity(preferredDuringSchedulingIgnoredDuringExecution=preferred))
    assert preferred_node_score(Pod(spec=PodSpec(affinity=affinity)), NODE) == 5
