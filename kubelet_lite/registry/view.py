"""What admission and authorization may read: the store as it stands at this moment, by the resources' qualified names.

They are synchronous and run between two awaits, so all that one of them reads is one snapshot.
"""
from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol


class View(Protocol):
    """`resource` is Resource.qualified of the stored form: `pods`, `clusterroles.rbac.authorization.k8s.io`."""

    def get(self, resource: str, namespace: str, name: str) -> Any | None:
        """The stored object ("" as the namespace of what is cluster-scoped), or None."""
        ...

    def list(self, resource: str, namespace: str = "") -> Sequence[Any]:
        """All objects of a namespace, or of all namespaces, in the order of their names."""
        ...

    def changed(self, *resources: str) -> int:
        """The revision of the newest change to any object of these resources: what was computed from them holds as long as it stays."""
        ...
