"""What a store refuses. None of these is an ApiError: the registry knows which answer each of them is.

    StoreError
    ├── Stale            a compare-and-swap lost: the object is at another revision, exists, or is gone
    ├── Compacted        the history that a read or a watch needs is no longer kept
    └── FutureRevision   a revision that this store has not reached
"""
from __future__ import annotations

from kubelet_lite.store.keys import Key


class StoreError(Exception):
    pass


class Stale(StoreError):
    """`current` is the revision at which the object stands, 0 when there is none."""

    def __init__(self, key: Key, expected: int, current: int) -> None:
        super().__init__(f"{key} is at revision {current}, not {expected}")
        self.key = key
        self.expected = expected
        self.current = current


class Compacted(StoreError):
    """`compacted` is the oldest revision that can still be read."""

    def __init__(self, resource: str, revision: int, compacted: int) -> None:
        super().__init__(f"the history of {resource} begins at revision {compacted}: {revision} is too old")
        self.revision = revision
        self.compacted = compacted


class FutureRevision(StoreError):
    def __init__(self, revision: int, current: int) -> None:
        super().__init__(f"revision {revision} has not happened: the store is at {current}")
        self.revision = revision
        self.current = current
