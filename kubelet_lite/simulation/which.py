"""Which object a step is about: by name, or the n-th of those that a pattern finds when the step happens.

So a step means something in every run, also when others were taken out before it.
"""
from __future__ import annotations

from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any

from kubelet_lite.simulation.checked import Checked, Count, Name
from kubelet_lite.simulation.snapshot import BUILT_IN, UnknownKind

if TYPE_CHECKING:
    from kubelet_lite.simulation.snapshot import Snapshot


class Which(Checked, frozen=True, kw_only=True, omit_defaults=True):
    """`kind`: a qualified name (`pods`, `deployments.apps`). `name`: a pattern, as in a shell. `nth` counts in the order of creation, and
    begins anew behind the last: there is one as soon as there is any."""

    kind: Name
    name: Name = "*"
    namespace: str = "default"
    """"" for objects that are in none."""
    nth: Count = 0

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.kind not in BUILT_IN and "." not in self.kind:  # a custom resource has a group, and may come later
            raise UnknownKind(self.kind, BUILT_IN, where="Which.kind")

    def find(self, snapshot: Snapshot) -> Any | None:
        """The object, or None where the pattern finds nothing."""
        found = [
            obj for (namespace, name), obj in snapshot.all(self.kind).items() if namespace == self.namespace and fnmatchcase(name, self.name)
        ]
        return found[self.nth % len(found)] if found else None

    def __str__(self) -> str:
        place = f"{self.namespace}/{self.name}" if self.namespace else self.name
        return f"{self.kind} {place}" if not set("*?[") & set(self.name) else f"one of {self.kind} {place}"
