"""How a served resource stands in the store: its rules, and the conversions where it is served in another form than it is kept.

Events are served as v1 and events.k8s.io/v1, HorizontalPodAutoscalers as autoscaling/v1 and v2: each is one stored object.
"""
from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import msgspec
from msgspec.structs import replace

from kubelet_lite.api.resources import RESOURCES, Resource
from kubelet_lite.registry.conversion import CONVERSIONS
from kubelet_lite.registry.rules import DEFAULT_RULES, KindRules


class Stored(msgspec.Struct, frozen=True, eq=False, kw_only=True):
    """One served resource. `resource` is the one whose type the store holds; mostly the same."""

    served: Resource
    resource: Resource
    rules: KindRules
    has_status: bool
    """Whether status is written through its own subresource alone."""
    status: Any = None
    """What status is before anybody has written it."""
    kind: str = ""
    api_version: str = ""
    """The very strings that stand in the stored type as defaults."""
    to_stored: Callable[[Any], Any] | None = None
    to_served: Callable[[Any], Any] | None = None
    fields: Mapping[str, Callable[[Any], str]]
    """What field selectors may name, with how to read it from the stored object."""
    own_fields: bool
    """Whether the kind has fields of its own: the error for an unknown one is another."""

    def normalised(self, obj: Any) -> Any:
        """A stored object with the type's own strings as kind and apiVersion: those are what the encoder leaves out."""
        if obj.kind is self.kind and obj.apiVersion is self.api_version:
            return obj
        return replace(obj, kind=self.kind, apiVersion=self.api_version)

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

    def __init__(self, rules: Mapping[str, KindRules]) -> None:
        self._rules = rules
        self._known: dict[Resource, Stored] = {}
        for resource in RESOURCES:
            if "create" in resource.verbs and "get" in resource.verbs:
                self._known[resource] = self._built_in(resource)

    def get(self, resource: Resource) -> Stored | None:
        return self._known.get(resource)

    def by_name(self, qualified: str) -> Stored:
        """The resource under the name by which the store knows it."""
        return next(stored for stored in self._known.values() if stored.served is stored.resource and stored.resource.qualified == qualified)

    def _built_in(self, served: Resource) -> Stored:
        conversion = CONVERSIONS.get((served.api_version, served.plural))
        resource = conversion.stored if conversion is not None else served
        rules = self._rules.get(served.qualified) or self._rules.get(resource.qualified, DEFAULT_RULES)
        defaults = {field.name: field for field in msgspec.structs.fields(resource.type)}
        has_status = resource.subresource("status") is not None and "status" in defaults
        fields: dict[str, Callable[[Any], str]] = {"metadata.name": _name}
        own = {selectable.label: selectable.value for selectable in rules.selectable}
        if conversion is not None:
            own = {label: own[name] for label, name in conversion.fields.items() if name in own}
        if resource.namespaced or not own:
            fields["metadata.namespace"] = _namespace
        return Stored(
            served=served, resource=resource, rules=rules, has_status=has_status,
            status=_default_of(defaults["status"]) if has_status else None,
            kind=defaults["kind"].default, api_version=defaults["apiVersion"].default,
            to_stored=conversion.to_stored if conversion is not None else None,
            to_served=conversion.to_served if conversion is not None else None,
            fields={**fields, **own}, own_fields=bool(own),
        )


def _default_of(field: Any) -> Any:
    return field.default if field.default is not msgspec.NODEFAULT else field.default_factory()


def _name(obj: Any) -> str:
    return obj.metadata.name  # type: ignore[no-any-return]


def _namespace(obj: Any) -> str:
    return obj.metadata.namespace  # type: ignore[no-any-return]
