"""What changed, as far as it is remembered."""
from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from kubelet_lite.scheduler.change_log import ChangeLog


@given(st.integers(2, 9), st.lists(st.integers(), max_size=40), st.integers(0, 40))
def test_what_is_new_is_told_whole_or_not_at_all(limit: int, changes: list[int], seen: int) -> None:
    log: ChangeLog[int] = ChangeLog(limit)
    for change in changes:
        log.add(change)
    assert log.count == len(changes)
    found = log.since(min(seen, len(changes)))
    assert found in (None, changes[seen:])
    if len(changes) - seen <= limit // 2:
        assert found is not None
