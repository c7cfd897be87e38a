"""Where an object is kept: its resource, namespace and name."""
from __future__ import annotations

import msgspec


class Key(msgspec.Struct, frozen=True, order=True, gc=False):
    """`resource` is the qualified name of the storage version (`pods`, `deployments.apps`); `namespace` is "" for cluster-scoped kinds."""

    resource: str
    namespace: str
    name: str

    def __str__(self) -> str:
        return f"{self.resource} {self.namespace}/{self.name}" if self.namespace else f"{self.resource} {self.name}"
