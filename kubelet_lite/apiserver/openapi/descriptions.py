"""The descriptions of types and fields, read when they are needed from the package kubernetes-validate (extra `explain`).

Without it `kubectl explain` shows structure and types.
"""
from __future__ import annotations

import importlib.util
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

import msgspec

RELEASE: Final = "v1.36.0"
Definitions = Mapping[str, Mapping[str, Any]]


@lru_cache(maxsize=1)
def described() -> Definitions:
    """Definitions by name (`io.k8s.api.core.v1.Pod`), as that package ships them; nothing where it is not installed."""
    spec = importlib.util.find_spec("kubernetes_validate")
    if spec is None or spec.origin is None:
        return {}
    path = Path(spec.origin).parent / "kubernetes-json-schema" / f"{RELEASE}-local" / "_definitions.json"
    if not path.exists():
        return {}
    found: Definitions = msgspec.json.decode(path.read_bytes())["$defs"]
    return found
