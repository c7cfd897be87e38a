"""Selectors: text, objects, and what they match."""
from __future__ import annotations

import json
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubelet_lite.api.meta_v1 import LabelSelector, LabelSelectorRequirement
from kubelet_lite.api.selectors import (
    EVERYTHING,
    NOTHING,
    Requirement,
    Selector,
    SelectorError,
    fields_match,
    from_label_selector,
    from_labels,
    label_selector_text,
    parse_fields,
    parse_labels,
)

SCENARIOS = Path(__file__).resolve().parents[1] / "recorded" / "scenarios"
keys = st.sampled_from(["env", "tier", "example.com/x"])
values = st.sampled_from(["", "prod", "dev", "5"])
labels = st.dictionaries(keys, values)
requirements = st.one_of(
    st.builds(lambda k, o, v: Requirement(k, o, (v,)), keys, st.sampled_from(["=", "==", "!="]), values),
    st.builds(lambda k, o, v: Requirement(k, o, tuple(sorted(v))), keys, st.sampled_from(["in", "notin"]), st.sets(values, min_size=1)),
    st.builds(lambda k, o: Requirement(k, o), keys, st.sampled_from(["exists", "!"])),
    st.builds(lambda k, o, n: Requirement(k, o, (str(n),)), keys, st.sampled_from(["gt", "lt"]), st.integers(0, 9)),
)


def test_every_recorded_label_selector_is_read_or_refused_as_recorded() -> None:
    steps = json.loads((SCENARIOS / "list--label-selectors.json").read_text())["steps"]
    compared = 0
    for step in steps:
        query = parse_qs(urlsplit(step["path"]).query, keep_blank_values=True)
        if "labelSelector" not in query:
            continue
        compared += 1
        if step["answer"]["status"] == 200:
            parse_labels(query["labelSelector"][0])
        else:
            with pytest.raises(SelectorError) as refused:
                parse_labels(query["labelSelector"][0])
            assert str(refused.value) == step["answer"]["body"]["message"]
    assert compared > 10


@pytest.mark.parametrize(("text", "matches", "misses"), [
    ("env=prod", {"env": "prod"}, {}), ("env!=prod", {}, {"env": "prod"}), ("env", {"env": ""}, {}), ("!env", {}, {"env": ""}),
    ("env in (a,b)", {"env": "b"}, {"env": "c"}), ("env notin (a)", {}, {"env": "a"}), ("n>3", {"n": "4"}, {"n": "x"}), ("n<3", {"n": "-4"}, {}),
    ("env=", {"env": ""}, {}), ("env in ()", {"env": ""}, {}), ("in in (in)", {"in": "in"}, {"in": "x"}), ("a,b=c", {"a": "", "b": "c"}, {"a": ""}),
])
def test_a_selector_matches(text: str, matches: dict[str, str], misses: dict[str, str]) -> None:
    selector = parse_labels(text)
    assert selector.matches(matches)
    assert not selector.matches(misses)


@given(st.lists(requirements, max_size=4))
def test_the_text_of_a_selector_reads_as_the_same_selector(found: list[Requirement]) -> None:
    selector = Selector(tuple(sorted(found, key=lambda r: r.key)))
    again = parse_labels(str(selector))
    assert [(r.key, r.operator, tuple(sorted(r.values))) for r in again.requirements] == [
        (r.key, r.operator, tuple(sorted(r.values))) for r in selector.requirements
    ]


@given(st.lists(requirements, max_size=4), labels)
def test_a_selector_is_the_conjunction_of_its_requirements(found: list[Requirement], have: dict[str, str]) -> None:
    assert Selector(tuple(found)).matches(have) is all(r.matches(have) for r in found)


@given(labels, labels)
def test_a_map_of_labels_matches_its_supersets(wanted: dict[str, str], have: dict[str, str]) -> None:
    assert from_labels(wanted).matches({**have, **wanted})
    assert from_labels(wanted).matches(have) is all(have.get(k) == v for k, v in wanted.items())


def test_a_null_label_selector_matches_nothing_and_an_empty_one_everything() -> None:
    assert from_label_selector(None) is NOTHING
    assert from_label_selector(LabelSelector()) is EVERYTHING
    assert not NOTHING.matches({})
    assert EVERYTHING.matches({})


def test_a_label_selector_has_a_text() -> None:
    selector = LabelSelector(matchLabels={"b": "1"}, matchExpressions=(LabelSelectorRequirement(key="a", operator="In", values=("y", "x")),))
    assert label_selector_text(selector) == "a in (x,y),b=1"
    assert label_selector_text(None) == "<none>"


def test_a_label_selector_that_validation_would_refuse_is_an_error() -> None:
    with pytest.raises(SelectorError, match="is not a valid label selector operator"):
        from_label_selector(LabelSelector(matchExpressions=(LabelSelectorRequirement(key="a", operator="Near"),)))
    with pytest.raises(SelectorError, match="values set can't be empty"):
        from_label_selector(LabelSelector(matchExpressions=(LabelSelectorRequirement(key="a", operator="In"),)))


def test_a_field_selector_compares_fields() -> None:
    found = parse_fields("metadata.name=a,status.phase!=Running")
    assert fields_match(found, {"metadata.name": "a"})
    assert not fields_match(found, {"metadata.name": "a", "status.phase": "Running"})
    assert parse_fields("a==b") == parse_fields("a=b")


@pytest.mark.parametrize("text", ["bad", "metadata.name in (a)"])
def test_what_is_no_field_selector_is_refused(text: str) -> None:
    with pytest.raises(SelectorError, match=r"invalid selector: '.*'; can't understand '.*'"):
        parse_fields(text)
