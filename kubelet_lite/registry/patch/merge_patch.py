"""JSON merge patch (RFC 7386): null deletes, objects are merged, everything else replaces, as in Kubernetes without nulls in it.

https://datatracker.ietf.org/doc/html/rfc7386
"""
from __future__ import annotations

from typing import Any

from kubelet_lite.api.errors import BadRequest
from kubelet_lite.registry.patch.json_patch import kind_of


def apply_merge_patch(current: Any, patch: Any) -> Any:
    """`current` with `patch` merged in; shares parts with both. Raises BadRequest."""
    if not isinstance(patch, dict):
        raise BadRequest(f"error decoding patch: json: cannot unmarshal {kind_of(patch)} into Go value of type map[string]interface {{}}")
    return _merged(current, patch)


def _merged(current: Any, patch: Any) -> Any:
    if not isinstance(patch, dict):
        return _pruned(patch)
    result = dict(current) if isinstance(current, dict) else {}
    for name, new in patch.items():
        if new is None:
            result.pop(name, None)
        else:
            result[name] = _merged(result.get(name), new)
    return result


def _pruned(new: Any) -> Any:
    """Kubernetes takes nulls out of what it puts in, also out of lists."""
    if isinstance(new, dict):
        return {name: _pruned(v) for name, v in new.items() if v is not None}
    return [_pruned(v) for v in new if v is not None] if isinstance(new, list) else new
