"""The cells of a custom resource's row in a Table: its name, and what the printer columns lead to.

https://kubernetes.io/docs/tasks/extend-kubernetes/custom-resources/custom-resource-definitions/#additional-printer-columns
"""
from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any

from kubelet_lite.api.apiextensions_v1 import CustomResourceColumnDefinition
from kubelet_lite.api.json_path import PathError, compile_path
from kubelet_lite.api.timestamps import TimeError, parse_time
from kubelet_lite.registry.kinds.ages import human_duration

Cell = Callable[[Any, float], Any]


def cell(column: CustomResourceColumnDefinition) -> Cell:
    """(the object as plain JSON values, now) → the cell."""
    try:
        find = compile_path(column.jsonPath)
    except PathError:  # Kubernetes' table has the column, and nothing in it
        return lambda value, now: None

    def show(value: Any, now: float) -> Any:
        found: Sequence[Any] = find(value)
        return _shown(column.type, found[0], now) if found and found[0] is not None else None

    return show


def _shown(kind: str, value: Any, now: float) -> Any:
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    match kind:
        case "string":
            return _text(value)
        case "integer":
            return int(value) if number else None
        case "number":
            return value if number else None
        case "boolean":
            return value if isinstance(value, bool) else None
        case "date" if isinstance(value, str):
            return _since(value, now)
    return None


def _text(value: Any) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return json.dumps(value, separators=(",", ":"), sort_keys=True, ensure_ascii=False)
    return str(int(value)) if value == int(value) else repr(value)


def _since(value: str, now: float) -> str:
    if not value:
        return "<unknown>"
    try:
        return human_duration(now - parse_time(value))
    except (TimeError, ValueError):
        return "<invalid>"
