"""The resources of a definition, in the order of preference."""
from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from kubelet_lite.api.custom_resources import precedence


def test_versions_are_preferred_as_kubernetes_does() -> None:
    preferred = ["v10", "v2", "v1", "v11beta2", "v10beta3", "v3beta1", "v12alpha1", "v11alpha2", "foo1", "foo10"]
    backwards = preferred[::-1]
    assert sorted(backwards, key=precedence) == preferred


@given(st.lists(st.from_regex(r"v?[0-9a-z]{1,6}", fullmatch=True)))
def test_the_order_is_total(versions: list[str]) -> None:
    backwards = versions[::-1]
    assert sorted(versions, key=precedence) == sorted(backwards, key=precedence)
