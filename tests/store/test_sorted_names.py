"""SortedNames against sorted()."""
from __future__ import annotations

from bisect import bisect_right

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubelet_lite.store import sorted_names
from kubelet_lite.store.sorted_names import SortedNames

names = st.text("abc", min_size=1, max_size=3)


@given(st.lists(names, max_size=60), names, names)
def test_it_is_a_sorted_set(changes: list[str], after: str, through: str) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sorted_names, "CHUNK", 2)
        found = SortedNames()
        model: list[str] = []
        for name in changes:
            if name in model:
                model.remove(name)
                found.remove(name)
            else:
                model = sorted([*model, name])
                found.add(name)
            assert [name for run in found.runs() for name in run] == model
            assert all(found.runs())
        assert len(found) == len(model)
        rest = model[bisect_right(model, after):]
        assert [name for run in found.runs(after) for name in run] == rest
        assert found.count_after(after) == len(rest)
        assert found.between(after, through) == [name for name in rest if name <= through]
