"""The difference between two values as Kubernetes appends it to some refusals: a unified diff of Go's fields, one a line."""
from __future__ import annotations

import difflib
import json
from typing import Any

from kubelet_lite.registry.validation.go_values import go_value


def with_diff(why: str, old: Any, new: Any) -> str:
    """The reason for a refusal, followed by what was to be changed."""
    lines = difflib.unified_diff(_lines(old), _lines(new), n=3, lineterm="")
    return "\n".join([why, *list(lines)[2:], ""])


def _lines(value: Any) -> list[str]:
    return json.dumps(go_value(value), indent=1, ensure_ascii=False).splitlines()
