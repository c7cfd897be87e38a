"""How a served resource stands in the store: its rules, and the conversions where it is served in another form than it is kept.

Events are served as v1 and events.k8s.io/v1, HorizontalPodAutoscalers as autoscaling/v1 and v2: each is one stored object.
"""
from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cache, cached_property
from typing import Any, Protocol

import msgspec
from msgspec.structs import replace

from kubelet_lite.api.autoscaling_v1 import Scale
from kubelet_lite.api.empty_lists import without_empty_lists
from kubelet_lite.api.meta_v1 import ObjectMeta
from kubelet_lite.api.requests import RequestContext
from kubelet_lite.api.resources import RESOURCES, Resource
from kubelet_lite.registry import bodies
from kubelet_lite.registry.conversion import CONVERSIONS
from kubelet_lite.registry.rules import DEFAULT_RULES, KindRules
from kubelet_lite.registry.subresources import scale


class Scaling(Protocol):
    """How the scale subresource reads and writes an object."""

    def show(self, obj: Any) -> Scale: ...
    def scaled(self, obj: Any, scale: Scale) -> Any: ...


class Stored:
    """One served resource. `resource` is the one whose type the store holds; mostly the same.

    What needs the kind's type or rules is loaded when it is first asked for: an empty list of a rare kind costs nothing.
    """

    def __init__(self, served: Resource, rules: Mapping[str, KindRules]) -> None:
        conversion = CONVERSIONS.get((served.api_version, served.plural))
        self.served = served
        self.resource = conversion.stored if conversion is not None else served
        self.to_stored: Callable[[Any], Any] | None = conversion.to_stored if conversion is not None else None
        self.to_served: Callable[[Any], Any] | None = conversion.to_served if conversion is not None else None
        self.parts: dict[str, Any] = {}
        """The ways to update it that were asked for (part.py), by subresource."""
        self._conversion = conversion
        self._table = rules

    @cached_property
    def rules(self) -> KindRules:
        return self._table.get(self.served.qualified) or self._table.get(self.resource.qualified, DEFAULT_RULES)

    @cached_property
    def _defaults(self) -> Mapping[str, Any]:
        return _defaults_of(self.resource.type)

    @cached_property
    def has_status(self) -> bool:
        """Whether status is written through its own subresource alone."""
        return self.resource.subresource("status") is not None and "status" in self._defaults

    @cached_property
    def status(self) -> Any:
        """What status is before anybody has written it."""
        return self._defaults["status"] if self.has_status else None

    @cached_property
    def kind(self) -> str:
        """The very string that stands in the stored type as default, as `api_version` does."""
        return str(self._defaults["kind"])

    @cached_property
    def api_version(self) -> str:
        return str(self._defaults["apiVersion"])

    @cached_property
    def own_fields(self) -> Mapping[str, Callable[[Any], str]]:
        """What field selectors may name of this kind alone, read from the stored object. (With any, the error for an unknown one is another.)"""
        own = {selectable.label: selectable.value for selectable in self.rules.selectable}
        if self._conversion is None:
            return own
        return {label: own[name] for label, name in self._conversion.fields.items() if name in own}

    @cached_property
    def fields(self) -> Mapping[str, Callable[[Any], str]]:
        """All that field selectors may name."""
        fields: dict[str, Callable[[Any], str]] = {"metadata.name": _name}
        if self.resource.namespaced or not self.own_fields:
            fields["metadata.namespace"] = _namespace
        return {**fields, **self.own_fields}

    def unknown_field(self, field: str) -> str:
        """What a field selector is told that names another."""
        if self.own_fields:
            return self.rules.field_error.format(field)
        known = ", ".join(f'"{name}"' for name in ("metadata.name", "metadata.namespace"))
        return f'"{field}" is not a known field selector: only {known}'

    @property
    def scaling(self) -> Scaling:
        return scale

    def row(self, obj: Any, now: float) -> Sequence[Any] | None:
        """The cells of a served object's row in a Table; None: name and creation."""
        make = self.rules.row
        if make is None:
            return None
        return make(obj if self.to_stored is None else self.to_stored(obj), now)

    # What is sent, as an object of the served form

    def decoded(self, ctx: RequestContext, body: Any) -> Any:
        """Of a create or an update; an object handed over in process is yet to be made `canonical`. Raises BadRequest."""
        return bodies.decoded(ctx, self.served.type, body)

    def canonical(self, sent: Any, live: Any | None) -> Any:
        """A decoded object in canonical form; `live` is the stored one."""
        return bodies.canonical(sent, live if self.to_served is None else None)

    def patched(self, ctx: RequestContext, live: Any, patch: bodies.Patch) -> Any:
        """The served object with a patch applied, in canonical form; not for server-side apply."""
        return bodies.patched(ctx, self.served.type, live, patch)

    def merged(self, ctx: RequestContext, value: Any, patch: bodies.Patch) -> Any:
        """What a patch made (plain JSON values), as an object. Raises Invalid when it is none."""
        return bodies.merged(ctx, self.served.type, value, patch)

    def check_creation(self) -> None:
        """Raises MethodNotAllowed while no new object may be made."""

    def empty(self, metadata: ObjectMeta) -> Any:
        """A served object that is nothing but metadata."""
        return self.served.type(metadata=metadata)

    # Watches, which end when the resource is served no more

    def watched(self, end: Callable[[], None]) -> None:
        """`end` ends a watch that was opened; for a resource that may go."""

    def unwatched(self, end: Callable[[], None]) -> None:
        """The watch has ended."""

    # Status, which a write to the whole object leaves and a write to the subresource alone changes

    def without_status(self, obj: Any) -> Any:
        return replace(obj, status=self.status)

    def with_status_of(self, obj: Any, live: Any) -> Any:
        return obj if obj.status is live.status else replace(obj, status=live.status)

    def with_all_but_status_of(self, obj: Any, live: Any) -> Any:
        """But for metadata, too."""
        return replace(obj, **{name: getattr(live, name) for name in self._beside_status})

    @cached_property
    def _beside_status(self) -> Sequence[str]:
        return tuple(name for name in self.resource.type.__struct_fields__ if name not in ("kind", "apiVersion", "metadata", "status"))

    # Forms

    def normalised(self, obj: Any) -> Any:
        """A stored object with the type's own strings as kind and apiVersion: those are what the encoder leaves out."""
        if obj.kind is self.kind and obj.apiVersion is self.api_version:
            return obj
        return replace(obj, kind=self.kind, apiVersion=self.api_version)

    def kept(self, obj: Any) -> Any:
        """An object on its way into the store, as it is kept."""
        return without_empty_lists(obj)

    def convert(self, obj: Any, api_version: str) -> Any | None:
        """A served object in another form of the same kind, or None where there is no such form."""
        if api_version == self.served.api_version:
            return obj
        kept = obj if self.to_stored is None else self.to_stored(obj)
        if api_version == self.resource.api_version:
            return self.normalised(kept)
        conversion = CONVERSIONS.get((api_version, self.resource.plural))
        return conversion.to_served(kept) if conversion is not None else None

    def view(self, obj: Any) -> Any:
        """A stored object as this resource serves it."""
        return obj if self.to_served is None else self.to_served(obj)


class StoredResources:
    """Every stored resource of one registry; what is not stored (reviews) is not here."""

    def __init__(self, rules: Mapping[str, KindRules], custom: Callable[[Resource], Stored]) -> None:
        self._rules = rules
        self._custom = custom
        self._known: dict[Resource, Stored] = {}
        """Those of built-in kinds that were asked for."""

    def get(self, resource: Resource) -> Stored | None:
        """None for what is not stored. Raises NotFound for a custom resource that nobody serves."""
        if not resource.module:
            return self._custom(resource)
        known = self._known.get(resource)
        if known is None and "create" in resource.verbs and "get" in resource.verbs:
            known = self._known[resource] = Stored(resource, self._rules)
        return known

    def by_name(self, qualified: str) -> Stored:
        """The resource under the name by which the store knows it."""
        for resource in RESOURCES:
            if resource.qualified == qualified and (resource.api_version, resource.plural) not in CONVERSIONS:
                stored = self.get(resource)
                assert stored is not None
                return stored
        raise KeyError(qualified)


@cache
def _defaults_of(kind: type[Any]) -> Mapping[str, Any]:
    return {field.name: _default_of(field) for field in msgspec.structs.fields(kind)}


def _default_of(field: Any) -> Any:
    return field.default if field.default is not msgspec.NODEFAULT else field.default_factory()


def _name(obj: Any) -> str:
    return obj.metadata.name  # type: ignore[no-any-return]


def _namespace(obj: Any) -> str:
    return obj.metadata.namespace  # type: ignore[no-any-return]
