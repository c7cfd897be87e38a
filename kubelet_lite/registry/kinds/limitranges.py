"""LimitRanges: least, most and default amounts of resources in a namespace. https://kubernetes.io/docs/concepts/policy/limit-range/"""
from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from msgspec.structs import replace

from kubelet_lite.api import names
from kubelet_lite.api.core_v1 import LimitRange, LimitRangeItem
from kubelet_lite.api.errors import FieldError, duplicate, forbidden, invalid, required
from kubelet_lite.api.quantities import NANO, canonical, read
from kubelet_lite.registry.kinds.ages import name_and_creation
from kubelet_lite.registry.rules import KindRules
from kubelet_lite.registry.validation.collected import collected
from kubelet_lite.registry.validation.resource_lists import container_resource_name, may_overcommit, resource_name

TYPES: Final = ("Pod", "Container", "PersistentVolumeClaim")
_MILLI: Final = NANO // 1000
_MOST_IN_MILLI: Final = (2**63 - 1) // 1000
"""Ratios of larger amounts are taken in whole units."""


def _default(limit_range: LimitRange) -> LimitRange:
    limits = limit_range.spec.limits
    if all(item.type != "Container" for item in limits):
        return limit_range
    return replace(limit_range, spec=replace(limit_range.spec, limits=tuple(_default_item(item) for item in limits)))


def _default_item(item: LimitRangeItem) -> LimitRangeItem:
    if item.type != "Container":
        return item
    default = {**item.max, **item.default}
    return replace(item, default=default, defaultRequest={**item.min, **default, **item.defaultRequest})


def _prepare_create(limit_range: LimitRange) -> LimitRange:
    """A LimitRange needs no name of its own."""
    meta = limit_range.metadata
    return limit_range if meta.name else replace(limit_range, metadata=replace(meta, name=meta.uid))


@collected
def _validate(limit_range: LimitRange) -> Iterator[FieldError]:
    seen: list[str] = []
    for i, item in enumerate(limit_range.spec.limits):
        path = f"spec.limits[{i}]"
        yield from _type(f"{path}.type", item.type)
        if item.type in seen:
            yield duplicate(f"{path}.type", item.type)
        seen.append(item.type)
        yield from _item(path, item)


def _type(path: str, value: str) -> Iterator[FieldError]:
    messages = names.qualified_name(value)
    for message in messages:
        yield invalid(path, value, message)
    if not messages and "/" not in value and value not in TYPES:
        yield invalid(path, value, "must be a standard limit type or fully qualified")


def _item(path: str, item: LimitRangeItem) -> Iterator[FieldError]:
    yield from _names(f"{path}.max", item.type, item.max)
    yield from _names(f"{path}.min", item.type, item.min)
    if item.type == "Pod":
        if item.default:
            yield forbidden(f"{path}.default", "may not be specified when `type` is 'Pod'")
        if item.defaultRequest:
            yield forbidden(f"{path}.defaultRequest", "may not be specified when `type` is 'Pod'")
        item = replace(item, default={}, defaultRequest={})
    yield from _names(f"{path}.default", item.type, item.default)
    yield from _names(f"{path}.defaultRequest", item.type, item.defaultRequest)
    if item.type == "PersistentVolumeClaim" and "storage" not in item.min and "storage" not in item.max:
        yield required(f"{path}.limits", "either minimum or maximum storage value is required, but neither was provided")
    yield from _names(f"{path}.maxLimitRequestRatio", item.type, item.maxLimitRequestRatio)
    for name in sorted({*item.max, *item.min, *item.default, *item.defaultRequest, *item.maxLimitRequestRatio}):
        yield from _amounts(path, name, item)


def _names(path: str, type_: str, amounts: Mapping[str, str]) -> Iterator[FieldError]:
    check = container_resource_name if type_ in ("Pod", "Container") else resource_name
    for name in sorted(amounts):
        yield from check(f"{path}[{name}]", name)


def _amounts(path: str, name: str, item: LimitRangeItem) -> Iterator[FieldError]:
    least, most, ratio = item.min.get(name), item.max.get(name), item.maxLimitRequestRatio.get(name)
    default, request = item.default.get(name), item.defaultRequest.get(name)
    if _above(least, most):
        yield _wrong(path, "min", name, least, f"min value {_text(least)} is greater than max value {_text(most)}")
    if _above(least, request):
        yield _wrong(path, "defaultRequest", name, request, f"min value {_text(least)} is greater than default request value {_text(request)}")
    if _above(request, most):
        yield _wrong(path, "defaultRequest", name, request, f"default request value {_text(request)} is greater than max value {_text(most)}")
    if _above(request, default):
        yield _wrong(path, "defaultRequest", name, request, f"default request value {_text(request)} is greater than default limit value {_text(default)}")
    if _above(least, default):
        yield _wrong(path, "default", name, least, f"min value {_text(least)} is greater than default value {_text(default)}")
    if _above(default, most):
        yield _wrong(path, "default", name, most, f"default value {_text(default)} is greater than max value {_text(most)}")
    if ratio is not None:
        yield from _ratio(path, name, ratio, least, most)
    if not may_overcommit(name) and default is not None and request is not None and read(default).nanos != read(request).nanos:
        yield _wrong(path, "defaultRequest", name, request, f"default value {_text(default)} must equal to defaultRequest value {_text(request)} in {name}")


def _ratio(path: str, name: str, ratio: str, least: str | None, most: str | None) -> Iterator[FieldError]:
    if read(ratio).nanos < NANO:
        yield _wrong(path, "maxLimitRequestRatio", name, ratio, f"ratio {_text(ratio)} is less than 1")
    if least is None or most is None:
        return
    amounts = [read(text).nanos for text in (ratio, least, most)]
    unit = _MILLI if all(-(-nanos // NANO) < _MOST_IN_MILLI for nanos in amounts) else NANO
    wanted, low, high = (-(-nanos // unit) for nanos in amounts)
    limit = high / low if low else float("inf")
    if wanted / (NANO // unit) > limit:
        yield _wrong(path, "maxLimitRequestRatio", name, ratio, f"ratio {_text(ratio)} is greater than max/min = {limit:f}")


def _above(one: str | None, other: str | None) -> bool:
    return one is not None and other is not None and read(one).nanos > read(other).nanos


def _text(quantity: str | None) -> str:
    return canonical(quantity or "0")


def _wrong(path: str, field: str, name: str, shown: str | None, why: str) -> FieldError:
    return invalid(f"{path}.{field}[{name}]", _text(shown), why)


RULES: Final = KindRules(
    resource="limitranges", default=_default, prepare_create=_prepare_create, validate=_validate, validate_on_update="instead", create_on_update=True, row=name_and_creation,
)
