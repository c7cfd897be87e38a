"""Selectors as columns say what the rule says of each node."""
from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from kubelet_lite.api import scheduling_rules
from kubelet_lite.api.core_v1 import (
    Affinity,
    NodeAffinity,
    NodeSelector,
    NodeSelectorRequirement,
    NodeSelectorTerm,
    Pod,
    PodSpec,
    PreferredSchedulingTerm,
)
from kubelet_lite.scheduler import node_terms
from tests.scheduler.objects import a_node, table

values = st.sampled_from(["a", "b", "1", "5"])
expressions = st.builds(
    lambda key, operator, found: NodeSelectorRequirement(key=key, operator=operator, values=tuple(found)),
    st.sampled_from(["zone", "cores", "none"]), st.sampled_from(["In", "NotIn", "Exists", "DoesNotExist", "Gt", "Lt", "Near"]), st.lists(values, max_size=2),
)
fields = st.builds(
    lambda operator, name: NodeSelectorRequirement(key="metadata.name", operator=operator, values=(name,)),
    st.sampled_from(["In", "NotIn"]), st.sampled_from(["n0", "n1", "elsewhere"]),
)
terms = st.builds(lambda e, f: NodeSelectorTerm(matchExpressions=tuple(e), matchFields=tuple(f)), st.lists(expressions, max_size=2), st.lists(fields, max_size=1))
labels = st.dictionaries(st.sampled_from(["zone", "cores"]), values)


@given(st.lists(labels, max_size=5), st.dictionaries(st.just("zone"), values), st.none() | st.lists(terms, max_size=3), st.lists(st.tuples(st.integers(1, 9), terms), max_size=3))
def test_a_selector_as_columns_says_what_the_rule_says_of_each_node(
    found: list[dict[str, str]], selector: dict[str, str], required: list[NodeSelectorTerm] | None, preferred: list[tuple[int, NodeSelectorTerm]],
) -> None:
    nodes = [a_node(f"n{i}", labels=of_node) for i, of_node in enumerate(found)]
    wishes = tuple(PreferredSchedulingTerm(weight=w, preference=t) for w, t in preferred)
    affinity = Affinity(nodeAffinity=NodeAffinity(
        requiredDuringSchedulingIgnoredDuringExecution=None if required is None else NodeSelector(nodeSelectorTerms=tuple(required)),
        preferredDuringSchedulingIgnoredDuringExecution=wishes,
    ))
    pod = Pod(spec=PodSpec(nodeSelector=selector, affinity=affinity))
    columns = table(*nodes)
    mask, points = node_terms.matching(columns, pod), node_terms.preferred_points(columns, wishes)
    for node in nodes:
        row = columns.row_of[node.metadata.name]
        assert mask[row] == scheduling_rules.node_matches(pod, node)
        assert points[row] == scheduling_rules.preferred_node_score(pod, node)
    assert mask.sum() <= len(nodes)


def test_a_label_that_changes_is_seen() -> None:
    pod = Pod(spec=PodSpec(nodeSelector={"zone": "a"}))
    columns = table(a_node("n0", labels={"zone": "b"}))
    assert not node_terms.matching(columns, pod).any()
    columns.set_node(a_node("n0", labels={"zone": "a"}))
    assert node_terms.matching(columns, pod).any()
