"""DynamicResources: what it says when a pod fits nowhere. Claims are not allocated yet: docs/features.md."""
from __future__ import annotations

from typing import Final

from kubelet_lite.scheduler.framework import Attempt, Plugin, Unplaced
from kubelet_lite.scheduler.node_table import NodeTable

NO_CLAIMS: Final = Attempt("no new claims to deallocate")


class DynamicResources(Plugin):
    def post_filter(self, nodes: NodeTable, unplaced: Unplaced) -> Attempt:
        return NO_CLAIMS
