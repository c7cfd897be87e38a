"""YAML as Kubernetes reads it: YAML 1.1 scalars by Go's rules (`y` is true, `1:30` is text, a date is text), to JSON values.

Loads PyYAML when first used. https://pkg.go.dev/sigs.k8s.io/yaml
"""
from __future__ import annotations

import base64
import binascii
import math
import re
from collections.abc import Iterator
from functools import cache
from typing import Any, Final

TRUE: Final = ("y", "Y", "yes", "Yes", "YES", "true", "True", "TRUE", "on", "On", "ON")
FALSE: Final = ("n", "N", "no", "No", "NO", "false", "False", "FALSE", "off", "Off", "OFF")
NULL: Final = ("", "~", "null", "Null", "NULL")
MOST_VALUES: Final = 4_000_000
"""An alias repeats what it stands for: a document of few bytes may mean more values than fit into memory."""
_PLAIN: Final = "!plain"
"""The tag of scalars without quotes and without a tag of their own."""
_QUOTED: Final = re.compile(r"\d{4}-\d\d?-\d\d?([Tt ].*)?|[-+]?[0-9][0-9_]*(:[0-5]?[0-9])+(\.[0-9_]*)?", re.ASCII)
"""Strings that YAML 1.1 takes for a date or a number of base 60."""
_FLOAT: Final = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?", re.ASCII)
_INTEGER: Final = re.compile(r"[-+]?(0b[01]+|0o?[0-7]*|0x[0-9a-fA-F]+|[1-9][0-9]*)", re.ASCII)
_SPECIAL: Final = {".inf": math.inf, ".Inf": math.inf, ".INF": math.inf, "+.inf": math.inf, "+.Inf": math.inf, "+.INF": math.inf,
                   "-.inf": -math.inf, "-.Inf": -math.inf, "-.INF": -math.inf, ".nan": math.nan, ".NaN": math.nan, ".NAN": math.nan}


class YamlError(ValueError):
    """The text is no YAML, or holds what JSON cannot."""


def load(text: bytes | str) -> tuple[Any, list[str]]:
    """The (first) document as JSON values, and its repeated keys in the words of Go's YAML (of which the last counts)."""
    for value, duplicates in _documents(text):
        return value, duplicates
    return None, []


def load_all(text: bytes | str) -> Iterator[Any]:
    """Every document that is not empty."""
    return (value for value, _ in _documents(text) if value is not None)


def dump(value: Any) -> str:
    """JSON values as YAML, keys in sorted order, as kubectl prints them."""
    import yaml

    return yaml.dump(value, Dumper=_dumper(), default_flow_style=False, allow_unicode=True, width=10 ** 6, sort_keys=True)


def scalar(text: str) -> Any:
    """What a plain scalar means."""
    if text in NULL:
        return None
    if text in TRUE:
        return True
    if text in FALSE:
        return False
    if text in _SPECIAL:
        return _SPECIAL[text]
    if text[:1] in "+-.0123456789":
        digits = text.replace("_", "")
        if _INTEGER.fullmatch(digits):
            return _integer(digits)
        if _FLOAT.fullmatch(digits):
            return float(digits)
    return text


def _integer(text: str) -> int | float:
    sign, digits = (-1, text[1:]) if text[0] == "-" else (1, text.lstrip("+"))
    for prefix, base in (("0x", 16), ("0b", 2), ("0o", 8), ("0", 8)):
        if digits.startswith(prefix) and len(digits) > len(prefix):
            value = int(digits[len(prefix):], base)
            break
    else:
        value = int(digits)
    return sign * value if value < 2 ** 64 else float(sign * value)


def _documents(text: bytes | str) -> Iterator[tuple[Any, list[str]]]:
    import yaml

    try:
        loader = _loader()(text)
        try:
            while loader.check_node():
                reader = _Reader()
                yield reader.value(loader.get_node()), reader.duplicates
        finally:
            loader.dispose()
    except yaml.YAMLError as error:
        raise YamlError(f"yaml: {' '.join(str(error).split())}") from None
    except RecursionError:
        raise YamlError("yaml: exceeded max depth") from None


class _Reader:
    """Makes values of one document's nodes."""

    def __init__(self) -> None:
        self.duplicates: list[str] = []
        self._values = 0
        self._above: set[int] = set()

    def value(self, node: Any) -> Any:
        self._values += 1
        if self._values > MOST_VALUES:
            raise YamlError("yaml: document contains excessive aliasing")
        if node.id == "scalar":
            return _scalar_node(node)
        if id(node) in self._above:
            raise YamlError("yaml: anchor contains itself")
        self._above.add(id(node))
        found = [self.value(item) for item in node.value] if node.id == "sequence" else self._mapping(node)
        self._above.remove(id(node))
        return found

    def _mapping(self, node: Any) -> dict[str, Any]:
        found: dict[str, Any] = {}
        merged: dict[str, Any] = {}
        for key_node, value_node in node.value:
            value = self.value(value_node)
            if key_node.tag == _PLAIN and key_node.value == "<<":
                for part in value if isinstance(value, list) else [value]:
                    if not isinstance(part, dict):
                        raise YamlError("yaml: map merge requires map or sequence of maps as the value")
                    merged = {**part, **merged}
                continue
            key = _key(self.value(key_node))
            if key in found:
                self.duplicates.append(f'line {key_node.start_mark.line + 1}: key "{key}" already set in map')
            found[key] = value
        return {**merged, **found}


def _scalar_node(node: Any) -> Any:
    if node.tag == _PLAIN:
        return scalar(node.value)
    match node.tag.rpartition(":")[2]:
        case "binary":
            try:
                return base64.b64decode(node.value).decode("utf-8", "replace")
            except binascii.Error as error:
                raise YamlError(f"yaml: !!binary value contains invalid base64 data: {error}") from None
        case "int" | "float" | "bool" | "null":
            return scalar(node.value)
        case _:
            return node.value


def _key(key: Any) -> str:
    """A key as JSON has it."""
    if isinstance(key, bool):
        return "true" if key else "false"
    if isinstance(key, (str, int, float)):
        return str(key)
    raise YamlError(f"error converting YAML to JSON: yaml: unsupported map key of type: {type(key).__name__}")


@cache
def _loader() -> Any:
    import yaml

    class Loader(getattr(yaml, "CBaseLoader", yaml.BaseLoader)):  # type: ignore[misc]
        """Tells scalars without quotes from the rest."""

    Loader.add_implicit_resolver(_PLAIN, re.compile(""), None)
    return Loader


@cache
def _dumper() -> Any:
    import yaml

    class Dumper(yaml.SafeDumper):
        """Quotes every string that Go would read as something else; long text in literal blocks."""

        def ignore_aliases(self, data: Any) -> bool:
            return True

    def string(dumper: Any, value: str) -> Any:
        style = "|" if "\n" in value else '"' if not isinstance(scalar(value), str) or _QUOTED.fullmatch(value) else None
        return dumper.represent_scalar("tag:yaml.org,2002:str", value, style=style)

    Dumper.add_representer(str, string)
    return Dumper
