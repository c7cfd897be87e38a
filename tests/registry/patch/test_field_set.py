"""Sets of fields: laws of sets, and the bytes that Kubernetes writes."""
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubelet_lite.registry.patch import field_set
from kubelet_lite.registry.patch.field_set import EMPTY, field, fields, key, of, parse, value

PATHS = st.lists(st.sampled_from([field("a"), field("b"), key(("n",), ("x",)), value("v")]), min_size=1, max_size=3).map(tuple)
PATH_SETS = st.sets(PATHS, max_size=6)


def test_the_bytes_are_in_kubernetes_order():
    owned = of([
        (field("ports"), key(("containerPort", "protocol"), (443, "TCP"))), (field("ports"), key(("containerPort", "protocol"), (80, "TCP"))),
        (field("ports"), key(("containerPort", "protocol"), (80, "TCP")), field("name")), (field("finalizers"), value("x<y")), fields("a"),
    ])
    assert owned.to_fields_v1() == (
        b'{"f:a":{},"f:finalizers":{"v:\\"x\\u003cy\\"":{}},"f:ports":{"k:{\\"containerPort\\":80,\\"protocol\\":\\"TCP\\"}":{".":{},"f:name":{}},'
        b'"k:{\\"containerPort\\":443,\\"protocol\\":\\"TCP\\"}":{}}}'
    )


def test_paths_are_shown_as_in_conflicts():
    path = (*fields("spec", "ports"), key(("port", "protocol"), (80, "TCP")), field("name"))
    assert field_set.shown_path(path) == '.spec.ports[port=80,protocol="TCP"].name'
    assert field_set.shown_path((*fields("metadata", "finalizers"), value("f"))) == '.metadata.finalizers[="f"]'


@pytest.mark.parametrize("data", [b"", b"[]", b'{"x":{}}', b'{"f:a":1}', b'{"k:{}":{}}', b'{"v:{}":{}}', b'{"i:x":{}}', b"{"])
def test_what_is_no_set_is_refused(data):
    with pytest.raises(ValueError):  # noqa: PT011 the caller asks no more than that
        parse(data)


def test_keys_are_read_in_any_form():
    assert parse(b'{"k:{ \\"b\\":1, \\"a\\":2}":{}}') == of([(key(("a", "b"), (2, 1)),)])


@given(PATH_SETS)
def test_written_and_read_is_the_same(paths):
    assert parse(of(paths).to_fields_v1()) == of(paths)
    assert set(of(paths).paths()) == paths


@given(PATH_SETS, PATH_SETS)
def test_union_difference_and_intersection_are_those_of_sets(a, b):
    assert set((of(a) | of(b)).paths()) == a | b
    assert set((of(a) - of(b)).paths()) == a - b
    assert set((of(a) & of(b)).paths()) == a & b
    assert set(of(a).without_trees(of(b)).paths()) == {p for p in a if not any(p[: len(q)] == q for q in b)}


@given(PATH_SETS, PATH_SETS)
def test_an_operand_itself_says_that_nothing_changed(a, b):
    one, other = of(a), of(b)
    assert ((one | other) is one) == (b <= a)
    if not a & b:
        assert (one - other) is one
    if not other:
        assert one.without_trees(other) is one


@given(PATH_SETS, PATHS)
def test_has_is_membership(paths, path):
    assert of(paths).has(path) == (path in paths)


@given(PATH_SETS)
def test_a_pattern_keeps_what_it_covers(paths):
    assert set(of(paths).within({"f:a": {"*": None}}).paths()) == {p for p in paths if p[0] == "f:a"}
    assert of(paths).within({"*": None}) == of(paths)
    assert of(paths).within({}) == EMPTY
