"""Label and field selectors of a request, as one filter of stored objects.

https://kubernetes.io/docs/concepts/overview/working-with-objects/field-selectors/
"""
from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from kubelet_lite.api import selectors
from kubelet_lite.api.errors import BadRequest
from kubelet_lite.api.requests import ListOptions
from kubelet_lite.registry.stored import Stored

Matches = Callable[[Any], bool]


class Filter(msgspec.Struct, frozen=True, eq=False):
    """Label and field selector of one request. `name`, `field`: what the store itself can select by."""

    matches: Matches | None
    """None: everything."""
    namespace: str
    name: str
    field: tuple[str, str] | None
    nothing: bool
    """Contradicts itself."""


def filter_of(target: Stored, namespace: str, options: ListOptions, indexed_fields: Sequence[str] = ()) -> Filter:
    """What the selectors of the options select; `indexed_fields` are those by which the store itself selects. Raises BadRequest."""
    if not options.label_selector and not options.field_selector:
        return Filter(None, namespace, "", None, False)
    try:
        labels = selectors.parse_labels(options.label_selector)
        fields = selectors.parse_fields(options.field_selector) if options.field_selector else ()
    except selectors.SelectorError as error:
        raise BadRequest(str(error)) from error
    checks: list[Matches] = []
    name, indexed, nothing = "", None, False
    for requirement in fields:
        getter = target.fields.get(requirement.field)
        if getter is None:
            raise BadRequest(target.unknown_field(requirement.field))
        if requirement.equal and requirement.field == "metadata.namespace":
            nothing = nothing or (bool(namespace) and namespace != requirement.value)
            namespace = namespace or requirement.value
        elif requirement.equal and requirement.field == "metadata.name" and requirement.value:
            nothing = nothing or (bool(name) and name != requirement.value)
            name = requirement.value
        elif requirement.equal and requirement.field in indexed_fields:
            indexed = (requirement.field, requirement.value)
        checks.append(_field_check(getter, requirement.value, requirement.equal))
    if not labels.empty:
        checks.append(_label_check(labels))
    matches = None if not checks else checks[0] if len(checks) == 1 else _all_of(checks)
    return Filter(matches, namespace, name, indexed, nothing)


def _field_check(getter: Callable[[Any], str], value: str, equal: bool) -> Matches:
    return lambda obj: (getter(obj) == value) is equal


def _label_check(labels: selectors.Selector) -> Matches:
    matches = labels.matches
    return lambda obj: matches(obj.metadata.labels)


def _all_of(checks: Sequence[Matches]) -> Matches:
    return lambda obj: all(check(obj) for check in checks)
