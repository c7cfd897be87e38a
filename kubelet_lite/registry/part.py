"""The ways to update an object: as a whole, its status, or another part of it."""
from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec
from msgspec.structs import replace

from kubelet_lite.api.errors import FieldError
from kubelet_lite.registry import metadata
from kubelet_lite.registry.stored import Stored


class Part(msgspec.Struct, frozen=True, kw_only=True, eq=False):
    """What an update through one (sub)resource may change; `subresource` "" is the object itself."""

    subresource: str = ""
    prepare: Callable[[Any, Any, float], Any]
    """(new, live, now) -> new with everything put back from live that this way may not change."""
    validate: Callable[[Any, Any], Sequence[FieldError]]
    """(new, live), beside the rules of metadata that hold for every update."""
    moves_generation: Callable[[Any, Any], bool] | None = None
    warnings: Callable[[Any, Any], Sequence[str]] | None = None


def main_part(target: Stored) -> Part:
    """An update of the whole object: status stays as it is where it has a subresource of its own."""
    rules = target.rules

    def prepare(new: Any, live: Any, now: float) -> Any:
        return target.with_status_of(new, live) if target.has_status else new

    return Part(prepare=prepare, validate=_update_errors(target), moves_generation=rules.generation_moves, warnings=rules.warnings)


def _update_errors(target: Stored) -> Callable[[Any, Any], Sequence[FieldError]]:
    rules, namespaced = target.rules, target.resource.namespaced
    name_errors = rules.name_errors or metadata.default_name_errors

    def whole(new: Any, live: Any) -> Sequence[FieldError]:
        if metadata.untouched(new.metadata, live.metadata):
            return rules.validate(new)
        return [*metadata.errors(new.metadata, namespaced, name_errors), *rules.metadata_errors(new.metadata), *rules.validate(new)]

    def before(new: Any, live: Any) -> Sequence[FieldError]:
        return [*whole(new, live), *transition_errors(new, live), *rules.validate_update(new, live)]

    def after(new: Any, live: Any) -> Sequence[FieldError]:
        return [*transition_errors(new, live), *rules.validate_update(new, live), *whole(new, live)]

    def never(new: Any, live: Any) -> Sequence[FieldError]:
        return [*transition_errors(new, live), *rules.validate_update(new, live)]

    def instead(new: Any, live: Any) -> Sequence[FieldError]:
        return [*whole(new, live), *rules.validate_update(new, live)]

    order: Mapping[str, Callable[[Any, Any], Sequence[FieldError]]] = {"before": before, "after": after, "never": never, "instead": instead}
    return order[rules.validate_on_update]


def transition_errors(new: Any, live: Any) -> Sequence[FieldError]:
    """The rules of metadata for a change, as the kinds apply them once more."""
    return () if metadata.untouched(new.metadata, live.metadata) else metadata.transition_errors(new.metadata, live.metadata)


def status_part(target: Stored) -> Part:
    """An update of status: all else stays as it is, but for the parts of metadata that Kubernetes lets through."""
    rules = target.rules

    def prepare(new: Any, live: Any, now: float) -> Any:
        meta = new.metadata
        if rules.status_update_keeps:
            meta = replace(meta, **{name: getattr(live.metadata, name) for name in rules.status_update_keeps})
        return rules.prepare_status_update(replace(target.with_all_but_status_of(new, live), metadata=meta), live)

    def validate(new: Any, live: Any) -> Sequence[FieldError]:
        return [*transition_errors(new, live), *rules.validate_status_update(new, live)]

    return Part(subresource="status", prepare=prepare, validate=validate)
