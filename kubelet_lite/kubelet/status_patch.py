"""What a kubelet writes of a status: a strategic merge patch of what differs from what was there, as the real one's.

https://kubernetes.io/docs/tasks/manage-kubernetes-objects/update-api-object-kubectl-patch/
"""
from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from msgspec.structs import replace

from kubelet_lite.api.core_v1 import NodeStatus, PodStatus
from kubelet_lite.api.encoding import to_json

ADDRESSES: Final[Mapping[str, str]] = {"addresses": "type", "hostIPs": "ip", "podIPs": "ip"}
"""Lists that are merged by a key, one entry at a time."""


def difference(old: PodStatus | NodeStatus, new: PodStatus | NodeStatus) -> dict[str, Any]:
    """Changed fields, null for what is gone, only the conditions that changed, addresses one by one; empty: nothing."""
    changed = [name for name in new.__struct_fields__ if getattr(old, name) is not getattr(new, name) and getattr(old, name) != getattr(new, name)]
    if not changed:
        return {}
    before, after = _only(old, changed), _only(new, changed)
    change = {name: after.get(name) for name in {**before, **after} if before.get(name) != after.get(name)}
    if "conditions" in change:
        known = {c["type"]: c for c in before.get("conditions", ())}
        change["conditions"] = [
            {**dict.fromkeys(known.get(c["type"], ())), **c} for c in after.get("conditions", ()) if known.get(c["type"]) != c
        ]
    for name, key in ADDRESSES.items():
        if name in change:
            stay = after.get(name, ())
            kept = {entry[key] for entry in stay}
            change[name] = [*stay, *({"$patch": "delete", key: entry[key]} for entry in before.get(name, ()) if entry[key] not in kept)]
    return change


def _only(status: PodStatus | NodeStatus, names: list[str]) -> dict[str, Any]:
    """These fields, as JSON values."""
    found: dict[str, Any] = to_json(replace(type(status)(), **{name: getattr(status, name) for name in names}))
    return found
