"""Where a store stands: shared by the store, its transactions and its watch channels."""
from __future__ import annotations

from typing import Final

FIRST_REVISION: Final = 1
"""Of an empty store, as etcd's. Zero would mean "any" in Kubernetes."""


class Head:
    __slots__ = ("depth", "interrupted", "revision")

    def __init__(self) -> None:
        self.revision = FIRST_REVISION
        """Of the last change; every change takes the next."""
        self.depth = 0
        """Transactions that are open, one inside the other."""
        self.interrupted = False
        """The event loop has turned while a transaction was open: others may have written into it."""
