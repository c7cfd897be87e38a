"""Ages and durations as Kubernetes' tables show them, and the cells that many kinds share."""
from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from kubelet_lite.api.timestamps import parse_time

NONE = "<none>"


def human_duration(seconds: float) -> str:
    """Two units at most, coarser the longer it is: `119s`, `5m10s`, `3h`, `2d4h`, `400d`, `3y12d`."""
    if seconds < -1:
        return "<invalid>"
    if seconds < 120:
        return f"{max(0, int(seconds))}s"
    minutes = int(seconds // 60)
    if minutes < 10:
        return _two(minutes, "m", int(seconds) % 60, "s")
    if minutes < 180:
        return f"{minutes}m"
    hours = minutes // 60
    if hours < 8:
        return _two(hours, "h", minutes % 60, "m")
    if hours < 48:
        return f"{hours}h"
    days = hours // 24
    if days < 8:
        return _two(days, "d", hours % 24, "h")
    if days < 730:
        return f"{days}d"
    if days < 2920:
        return _two(days // 365, "y", days % 365, "d")
    return f"{days // 365}y"


def _two(large: int, large_unit: str, small: int, small_unit: str) -> str:
    return f"{large}{large_unit}{small}{small_unit}" if small else f"{large}{large_unit}"


def since(timestamp: str | None, now: float) -> str:
    """The time from a Time or MicroTime until now."""
    return "<unknown>" if not timestamp else human_duration(now - parse_time(timestamp))


def until(timestamp: str | None, now: float) -> str:
    return "<unknown>" if not timestamp else human_duration(parse_time(timestamp) - now)


def age(obj: Any, now: float) -> str:
    return since(obj.metadata.creationTimestamp, now)


def name_and_age(obj: Any, now: float) -> Sequence[Any]:
    return obj.metadata.name, age(obj, now)


def name_and_creation(obj: Any, now: float) -> Sequence[Any]:
    """The row of a kind whose columns are Name and Created At."""
    return obj.metadata.name, obj.metadata.creationTimestamp or ""


def labels_text(labels: Mapping[str, str]) -> str:
    """A label map in a cell: `a=b,c=d`, `<none>` when it is empty."""
    return ",".join(f"{key}={labels[key]}" for key in sorted(labels)) or NONE
