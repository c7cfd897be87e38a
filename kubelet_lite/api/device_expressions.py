"""CEL expressions that choose devices: `device.driver == "d.io" && device.capacity["d.io"].memory.isGreaterThan(quantity("10Gi"))`.

The language is that of the library cel-expr-python (extra `cel`, loaded with the first expression); here is what Kubernetes adds: the
variable `device`, quantities and semantic versions. Two differences: `device` itself is no value, so that `has(device.driver)` and
`cel.bind(d, device, …)` do not compile, and there is no budget of costs but the library's limit of iterations.
https://kubernetes.io/docs/reference/using-api/cel/
"""
from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import Any, Final

from kubelet_lite.api import quantities, semantic_versions
from kubelet_lite.api.resource_v1 import Device, DeviceAttribute

MAX_COMPILED: Final = 1024
MISSING: Final = "CEL expressions need the package cel-expr-python: pip install 'kubelet-lite[cel]'"
QUANTITY_KEY: Final = "quantity"
_MAX_INT: Final = 2 ** 63 - 1
_NAMES: Final = (("map(string, bytes)", "kubernetes.Quantity"), ("list(bytes)", "kubernetes.Semver"), ("dyn", "any"))
"""A quantity is a map to the library and a version a list, since it knows no types of ours; told as what they are."""
_STATUS: Final = re.compile(r"^(?!ERROR:)[A-Z_]+: | \[[A-Z_]+\]$")
_NO_KEY: Final = re.compile(r'^Key not found in map : "(.*)"$')
_INDEXED: Final = re.compile(r"""\bdevice\s*\.\s*(attributes|capacity)\s*\[\s*("[^"\\]*"|'[^'\\]*')\s*\]""")
"""Where a domain is looked up: one that the device has nothing of is empty there, though not `in` it."""
Facts = Mapping[str, Any]
"""A device as expressions see it."""


class ExpressionError(Exception):
    """It does not compile, or not evaluate: in CEL's words."""


class CelMissing(ExpressionError):
    """The library is not installed."""


class Expression:
    """Compiled."""

    def __init__(self, program: Any, domains: Mapping[str, frozenset[str]]) -> None:
        self._program, self._domains = program, domains

    def matches(self, device: Facts) -> bool:
        """Raises ExpressionError."""
        data = dict(device)
        for field, domains in self._domains.items():
            data[f"device.indexed_{field}"] = {**{domain: {} for domain in domains}, **device[f"device.{field}"]}
        result = self._program.eval(data=data)
        value = result.value()
        if result.type().name() != "BOOL":
            raise ExpressionError(_words(str(value)) if result.type().name() == "ERROR" else f"expected bool, got {result.type().name().lower()}")
        return bool(value)


def available() -> bool:
    """Whether the library is installed."""
    try:
        _environment()
    except CelMissing:
        return False
    return True


@lru_cache(maxsize=MAX_COMPILED)
def compiled(expression: str) -> Expression:
    """Raises ExpressionError."""
    environment = _environment()
    try:
        kind = environment.compile(expression).return_type().name()
        domains: dict[str, frozenset[str]] = {}
        for field, literal in _INDEXED.findall(expression):
            domains[field] = domains.get(field, frozenset()) | {literal[1:-1]}
        program = environment.compile(_INDEXED.sub(r"device.indexed_\1[\2]", expression))
    except RuntimeError as error:
        raise ExpressionError(f"compilation failed: {_words(str(error))}") from None
    if kind not in ("BOOL", "DYN"):
        raise ExpressionError(f"must evaluate to bool or the unknown type, not {kind.lower()}")
    return Expression(program, domains)


def facts(driver: str, device: Device) -> Facts:
    attributes: dict[str, dict[str, Any]] = {}
    capacity: dict[str, dict[str, Any]] = {}
    for name, attribute in device.attributes.items():
        domain, _, identifier = name.rpartition("/")
        attributes.setdefault(domain or driver, {})[identifier] = _value(attribute)
    for name, amount in device.capacity.items():
        domain, _, identifier = name.rpartition("/")
        capacity.setdefault(domain or driver, {})[identifier] = _quantity(amount.value)
    return {
        "device.driver": driver, "device.attributes": attributes, "device.capacity": capacity,
        "device.allowMultipleAllocations": bool(device.allowMultipleAllocations),
    }


def _value(attribute: DeviceAttribute) -> Any:
    if attribute.version is not None:
        return [attribute.version.partition("+")[0].encode()]
    return next((value for value in (attribute.string, attribute.int_, attribute.bool_) if value is not None), None)


def _words(message: str) -> str:
    text = _STATUS.sub("", message)
    missing = _NO_KEY.match(text)
    if missing is not None:
        return f"no such key: {missing[1]}"
    for theirs, ours in _NAMES:
        text = text.replace(theirs, ours)
    return text


# ---- what Kubernetes adds to the language


def _quantity(text: str) -> dict[str, bytes]:
    try:
        return _of_nanos(quantities.read(text).nanos)
    except quantities.QuantityError as error:
        raise ValueError(str(error)) from None


def _of_nanos(nanos: int) -> dict[str, bytes]:
    return {QUANTITY_KEY: str(nanos).encode()}


def _nanos(quantity: Mapping[str, bytes]) -> int:
    return int(quantity[QUANTITY_KEY])


def _is_quantity(text: str) -> bool:
    try:
        quantities.read(text)
    except quantities.QuantityError:
        return False
    return True


def _is_integer(quantity: Mapping[str, bytes]) -> bool:
    whole, rest = divmod(_nanos(quantity), quantities.NANO)
    return not rest and -_MAX_INT <= whole <= _MAX_INT


def _as_integer(quantity: Mapping[str, bytes]) -> int:
    if not _is_integer(quantity):
        raise ValueError("cannot convert value to integer")
    return _nanos(quantity) // quantities.NANO


def _version(text: str, normalize: bool = False) -> list[bytes]:
    text = semantic_versions.normalised(text) if normalize else text
    if semantic_versions.read(text) is None:
        raise ValueError(f"invalid semver {text!r}")
    return [text.partition("+")[0].encode()]


def _is_version(text: str, normalize: bool = False) -> bool:
    return semantic_versions.read(semantic_versions.normalised(text) if normalize else text) is not None


def _read(version: Sequence[bytes]) -> semantic_versions.Version:
    found = semantic_versions.read(version[0].decode())
    if found is None:
        raise ValueError(f"invalid semver {version[0].decode()!r}")
    return found


def _order(a: Any, b: Any) -> int:
    return int(a > b) - int(a < b)


def _find(text: str, pattern: str) -> str:
    found = _pattern(pattern).search(text)
    return str(found[0]) if found is not None else ""


def _find_all(text: str, pattern: str, limit: int = -1) -> list[str]:
    found = [str(match[0]) for match in _pattern(pattern).finditer(text)]
    return found if limit < 0 else found[:limit]


@lru_cache(maxsize=MAX_COMPILED)
def _pattern(text: str) -> Any:
    import re2

    try:
        return re2.compile(text)
    except re2.error as error:
        raise ValueError(f"error parsing regexp: {error}") from None


@lru_cache(maxsize=1)
def _environment() -> Any:
    """Raises CelMissing."""
    try:
        from cel_expr_python import cel
        from cel_expr_python.ext.ext_bindings import ExtBindings
        from cel_expr_python.ext.ext_optional import ExtOptional
        from cel_expr_python.ext.ext_strings import ExtStrings
    except ImportError:
        raise CelMissing(MISSING) from None
    kinds = cel.Type
    text, number, yes, real, anything = kinds.STRING, kinds.INT, kinds.BOOL, kinds.DOUBLE, kinds.DYN
    quantity, version, several = kinds.Map(text, kinds.BYTES), kinds.List(kinds.BYTES), kinds.List(anything)
    domains = {"attributes": kinds.Map(text, kinds.Map(text, anything)), "capacity": kinds.Map(text, kinds.Map(text, quantity))}
    variables = {"device.driver": text, "device.allowMultipleAllocations": yes}
    for field, kind in domains.items():
        variables |= {f"device.{field}": kind, f"device.indexed_{field}": kind}

    declared: dict[str, list[Any]] = {}

    def function(name: str, takes: Sequence[Any], gives: Any, does: Callable[..., Any], *, member: bool = True) -> None:
        overloads = declared.setdefault(name, [])
        overloads.append(cel.Overload(f"{name}_{len(overloads)}", return_type=gives, parameters=list(takes), is_member=member, impl=does))

    function("quantity", (text,), quantity, _quantity, member=False)
    function("isQuantity", (text,), yes, _is_quantity, member=False)
    function("sign", (quantity,), number, lambda q: _order(_nanos(q), 0))
    function("isInteger", (quantity,), yes, _is_integer)
    function("asInteger", (quantity,), number, _as_integer)
    function("asApproximateFloat", (quantity,), real, lambda q: _nanos(q) / quantities.NANO)
    for name, direction in (("add", 1), ("sub", -1)):
        function(name, (quantity, quantity), quantity, lambda a, b, d=direction: _of_nanos(_nanos(a) + d * _nanos(b)))
        function(name, (quantity, number), quantity, lambda a, b, d=direction: _of_nanos(_nanos(a) + d * b * quantities.NANO))
    function("semver", (text,), version, _version, member=False)
    function("semver", (text, yes), version, _version, member=False)
    function("isSemver", (text,), yes, _is_version, member=False)
    function("isSemver", (text, yes), yes, _is_version, member=False)
    for place, name in enumerate(("major", "minor", "patch")):
        function(name, (version,), number, lambda v, i=place: _read(v)[i])
    for kind, read in ((quantity, _nanos), (version, _read)):
        function("isGreaterThan", (kind, kind), yes, lambda a, b, r=read: r(a) > r(b))
        function("isLessThan", (kind, kind), yes, lambda a, b, r=read: r(a) < r(b))
        function("compareTo", (kind, kind), number, lambda a, b, r=read: _order(r(a), r(b)))
    function("find", (text, text), text, _find)
    function("findAll", (text, text), kinds.List(text), _find_all)
    function("findAll", (text, text, number), kinds.List(text), _find_all)
    function("sets.contains", (several, several), yes, lambda a, b: all(x in a for x in b), member=False)
    function("sets.intersects", (several, several), yes, lambda a, b: any(x in a for x in b), member=False)
    function("sets.equivalent", (several, several), yes, lambda a, b: all(x in a for x in b) and all(x in b for x in a), member=False)
    functions = [cel.FunctionDecl(name, overloads) for name, overloads in declared.items()]
    return cel.NewEnv(variables=variables, functions=functions, extensions=[ExtBindings(), ExtOptional(), ExtStrings()])
