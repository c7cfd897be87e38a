"""What single libraries of user code need in order to do the same in every run: the only file of the engine that knows them by name.

Their sets of objects and strings are ordered by hashes that differ in every process; within a simulation the hashes of those classes follow
from what the objects say. (`ordered_sets.py` has the libraries whose sets can be exchanged.) What one keeps from run to run is forgotten.
"""
from __future__ import annotations

import sys
import zlib
from collections.abc import Callable, Mapping
from enum import Enum
from typing import Any, Final

from kubelet_lite.simulation.virtual.patches import Attribute, Patch, Visits

HASHED_FIELDS: Final[Mapping[tuple[str, str], tuple[str, ...]]] = {
    ("kopf._cogs.structs.references", "Resource"): ("group", "version", "plural"),
    ("kopf._cogs.structs.references", "Selector"): ("group", "version", "kind", "plural", "singular", "shortcut", "category", "any_name"),
    ("kopf._core.reactor.orchestration", "EnsembleKey"): ("resource", "namespace"),
}
"""Module and class → the fields that its hash follows from: equal objects have equal ones. Kopf starts its watches in their order."""


class Libraries(Patch):
    """Those that are imported when it is installed."""

    def __init__(self, visits: Visits[Any]) -> None:
        self._visits = visits
        self._hashes: list[Attribute[Any]] = []

    def install(self) -> None:
        present = [(getattr(sys.modules[module], name), fields) for (module, name), fields in HASHED_FIELDS.items() if module in sys.modules]
        self._hashes = [Attribute(self._visits, owner, "__hash__", _hash_of(fields)) for owner, fields in present]
        for each in self._hashes:
            each.install()
        forget_clients()

    def remove(self) -> None:
        for each in reversed(self._hashes):
            each.remove()
        forget_clients()


def _hash_of(fields: tuple[str, ...]) -> Callable[[Any, Any], int]:
    return lambda world, this: zlib.crc32(repr([_shown(getattr(this, field)) for field in fields]).encode())


def _shown(value: object) -> object:
    kind = type(value)
    if isinstance(value, Enum):
        return value.name
    if (kind.__module__, kind.__qualname__) in HASHED_FIELDS:
        return hash(value)
    return value if isinstance(value, str | None) else kind.__qualname__


def forget_clients() -> None:
    """kr8s keeps its clients by the address of the loop, at which the next run's loop may lie."""
    kr8s = sys.modules.get("kr8s._api")
    if kr8s is not None:
        kr8s.Api._instances.clear()
