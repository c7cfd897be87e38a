"""JSON values as Go prints them: Kubernetes puts them into messages about patches."""
from __future__ import annotations

import json
from typing import Any, Final

_TYPES: Final = {
    dict: "map[string]interface {}", list: "[]interface {}", str: "string", bool: "bool", int: "int64", float: "float64", type(None): "<nil>",
}


def go_type(value: Any) -> str:
    """%T"""
    return _TYPES[type(value)]


def go_shown(value: Any) -> str:
    """%v"""
    if isinstance(value, dict):
        return "map[" + " ".join(f"{name}:{go_shown(value[name])}" for name in sorted(value)) + "]"
    if isinstance(value, list):
        return "[" + " ".join(map(go_shown, value)) + "]"
    if isinstance(value, bool):
        return "true" if value else "false"
    return "<nil>" if value is None else str(value)


def go_quoted(text: str) -> str:
    """%q"""
    return json.dumps(text, ensure_ascii=False)


def go_syntax(value: Any) -> str:
    """%#v"""
    if isinstance(value, dict):
        return "map[string]interface {}{" + ", ".join(f"{go_quoted(name)}:{go_syntax(value[name])}" for name in sorted(value)) + "}"
    if isinstance(value, list):
        return "[]interface {}{" + ", ".join(map(go_syntax, value)) + "}"
    if isinstance(value, str):
        return go_quoted(value)
    return "interface {}(nil)" if value is None else go_shown(value)
