"""The hash of a pod template that names a ReplicaSet and labels its pods, the same that Kubernetes gives it.

Kubernetes hashes (FNV-1a, 32 bits) what Go's reflection shows of the template: every field with its name and type, set or not. So a hash
changes when the type gets a field, and a Deployment of another version's controller is not rolled for it: it finds its ReplicaSet by
comparing templates, not hashes. https://kubernetes.io/docs/concepts/workloads/controllers/deployment/#pod-template-hash-label
"""
from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any, Final

from kubelet_lite.api import encoding
from kubelet_lite.api.core_v1 import PodTemplateSpec

_LETTERS: Final = "bcdfghjklmnpqrstvwxz2456789"
"""No vowels and no digits that look like them: the hash spells no words."""
_QUANTITY: Final = re.compile(r"(-?)(\d+)(?:([KMGTPE])i|([numkMGTPE]?)|[eE](-?\d+))")
_POWERS_OF_1000: Final = {"n": -9, "u": -6, "m": -3, "": 0, "k": 3, "M": 6, "G": 9, "T": 12, "P": 15, "E": 18}
_ZERO_TIME: Final = "{Time:(time.Time){wall:(uint64)0 ext:(int64)0 loc:(*time.Location)<nil>}}"


def template_hash(template: PodTemplateSpec, collision_count: int | None = None) -> str:
    """With another `collision_count`, another hash."""
    data = "".join(_shown(encoding.to_json(template), "v1.PodTemplateSpec")).encode()
    if collision_count is not None:
        data += collision_count.to_bytes(8, "little")
    return "".join(_LETTERS[ord(digit) % len(_LETTERS)] for digit in str(_fnv(data)))


def _fnv(data: bytes) -> int:
    value = 0x811C9DC5
    for byte in data:
        value = (value ^ byte) * 0x01000193 & 0xFFFFFFFF
    return value


@cache
def _layout() -> Mapping[str, tuple[tuple[str, str, str], ...]]:
    """The fields of each Go type: its Go name, its JSON name ("" where it is inlined), its Go type. Read when it is first needed."""
    from kubelet_lite.controllers.deployment._generated.template_layout import LAYOUT

    return LAYOUT


def _shown(value: Any, go: str, typed: bool = True) -> Iterator[str]:
    """A value of a Go type. `typed`: with the type's name, as everywhere but in lists, in maps and behind pointers."""
    if typed:
        yield f"({go})"
    if go == "v1.ResourceList":
        go = "map[v1.ResourceName]resource.Quantity"
    if go.startswith("*"):
        if value is None:
            yield "<nil>"
        else:
            yield from _shown(value, go[1:], False)
    elif go.startswith(("[]", "map[")):
        yield from _collection(value, go)
    elif go in _layout():
        yield from _struct(value or {}, _layout()[go])
    elif go == "bool":
        yield "true" if value else "false"
    elif go in ("int32", "int64"):
        yield str(value or 0)
    elif go == "v1.Time":
        yield _ZERO_TIME
    elif go == "resource.Quantity":
        yield _quantity("0" if value is None else str(value))
    elif go == "intstr.IntOrString":
        number, text = (0, value) if isinstance(value, str) else (value or 0, "")
        yield f"{{Type:(intstr.Type){int(isinstance(value, str))} IntVal:(int32){number} StrVal:(string){text}}}"
    else:
        yield value or ""


def _struct(value: Mapping[str, Any], fields: tuple[tuple[str, str, str], ...]) -> Iterator[str]:
    yield "{"
    for number, (name, json_name, go) in enumerate(fields):
        yield f" {name}:" if number else f"{name}:"
        yield from _shown(value.get(json_name) if json_name else value, go)
    yield "}"


def _collection(value: Any, go: str) -> Iterator[str]:
    """A list or a map, in the order of its keys; what is empty is not kept apart from what is not there."""
    if not value:
        yield "<nil>"
        return
    kind = go.partition("]")[2]
    if go.startswith("[]"):
        yield "["
        for number, item in enumerate(value):
            yield " " if number else ""
            yield from _shown(item, kind, False)
    else:
        yield "map["
        for number, key in enumerate(sorted(value)):
            yield f" {key}:" if number else f"{key}:"
            yield from _shown(value[key], kind, False)
    yield "]"


def _quantity(text: str) -> str:
    """A quantity in its canonical form: a mantissa and a power of ten, and the text that it was read from."""
    number = power = 0
    format = ""
    found = _QUANTITY.fullmatch(text)
    if found is not None and text != "0":
        sign, digits, binary, decimal, exponent = found.groups()
        number = int(sign + digits)
        if binary is not None:
            number, format = number << 10 * ("KMGTPE".index(binary) + 1), "BinarySI"
        elif exponent is not None:
            power, format = int(exponent), "DecimalExponent"
        else:
            power, format = _POWERS_OF_1000[decimal], "DecimalSI"
    amount = f"{{value:(int64){number} scale:(resource.Scale){power}}}"
    return f"{{i:(resource.int64Amount){amount} d:(resource.infDecAmount){{Dec:(*inf.Dec)<nil>}} s:(string){text} Format:(resource.Format){format}}}"
