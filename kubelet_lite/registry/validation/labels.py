"""Label maps and label selectors inside a spec (those of metadata are the pipeline's)."""
from __future__ import annotations

from collections.abc import Iterator, Mapping

from kubelet_lite.api import names
from kubelet_lite.api.errors import FieldError, forbidden, invalid, required
from kubelet_lite.api.meta_v1 import LabelSelector, LabelSelectorRequirement


def label_name(path: str, value: str) -> Iterator[FieldError]:
    for message in names.label_key(value):
        yield invalid(path, value, message)


def label_map(path: str, labels: Mapping[str, str]) -> Iterator[FieldError]:
    for key in sorted(labels):
        yield from label_name(path, key)
        for message in names.label_value(labels[key]):
            yield invalid(path, labels[key], message)


def label_selector(path: str, selector: LabelSelector | None) -> Iterator[FieldError]:
    if selector is None:
        return
    yield from label_map(f"{path}.matchLabels", selector.matchLabels)
    for i, expression in enumerate(selector.matchExpressions):
        yield from _requirement(f"{path}.matchExpressions[{i}]", expression)


def _requirement(path: str, requirement: LabelSelectorRequirement) -> Iterator[FieldError]:
    match requirement.operator:
        case "In" | "NotIn":
            if not requirement.values:
                yield required(f"{path}.values", "must be specified when `operator` is 'In' or 'NotIn'")
        case "Exists" | "DoesNotExist":
            if requirement.values:
                yield forbidden(f"{path}.values", "may not be specified when `operator` is 'Exists' or 'DoesNotExist'")
        case _:
            yield invalid(f"{path}.operator", requirement.operator, "not a valid selector operator")
    yield from label_name(f"{path}.key", requirement.key)
    for i, value in enumerate(requirement.values):
        for message in names.label_value(value):
            yield invalid(f"{path}.values[{i}]", value, message)
