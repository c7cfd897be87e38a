"""One version of a custom resource as the general pipeline knows a kind: its resource, rules, forms and subresources, from its definition.

Objects pass the pipeline in the version of the request and are validated by its schema; what is stored has the storage version.
Versions differ in apiVersion alone (conversion strategy None); what would need a conversion webhook is refused, saying so.
"""
from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cached_property
from typing import Any, Final

import msgspec
from msgspec.structs import replace

from kubelet_lite.api import encoding
from kubelet_lite.api.apiextensions_v1 import CustomResourceDefinition, CustomResourceDefinitionVersion, JSONSchemaProps
from kubelet_lite.api.canonical import canonicalise
from kubelet_lite.api.custom_resources import (
    has_condition,
    precedence,
    printed,
    resource_of_version,
    storage_version,
)
from kubelet_lite.api.decoding import Decoded, decode_unstructured, strict_message, unstructured
from kubelet_lite.api.errors import (
    BadRequest,
    FieldError,
    InternalError,
    MethodNotAllowed,
    invalid,
)
from kubelet_lite.api.meta_v1 import ObjectMeta
from kubelet_lite.api.quantities import QuantityError
from kubelet_lite.api.reading import DecodingError
from kubelet_lite.api.requests import Body, RequestContext
from kubelet_lite.api.timestamps import TimeError
from kubelet_lite.api.unstructured import Unstructured
from kubelet_lite.registry import bodies
from kubelet_lite.registry.custom import embedded, list_types
from kubelet_lite.registry.custom.defaulting import default
from kubelet_lite.registry.custom.nesting import TOO_DEEP, is_too_deep
from kubelet_lite.registry.custom.pruning import prune
from kubelet_lite.registry.custom.rows import cell
from kubelet_lite.registry.custom.scale import ScalePaths
from kubelet_lite.registry.custom.typed_structure import root_node as merging_node
from kubelet_lite.registry.custom.values import NOTHING, wrong
from kubelet_lite.registry.metadata import STANDARD_FINALIZERS
from kubelet_lite.registry.patch.schema import SchemaResource
from kubelet_lite.registry.rules import ALL_OF_METADATA, KindRules, Selectable, no_errors
from kubelet_lite.registry.sharing import by_identity
from kubelet_lite.registry.stored import Scaling, Stored

MAX_SERVED: Final = 4096
"""Stored objects of one version whose served form is remembered."""
_ANYTHING: Final = JSONSchemaProps(type="object", x_kubernetes_preserve_unknown_fields=True)
_NO_FIELDS: Final[Mapping[str, Any]] = {}


class CustomStored(Stored):
    """`definition` is established and serves `version`."""

    def __init__(self, definition: CustomResourceDefinition, version: CustomResourceDefinitionVersion) -> None:
        resource = resource_of_version(definition, version)
        self._version = version
        self._schemas = {f"{resource.group}/{one.name}": _schema_of(one) for one in definition.spec.versions}
        self._schema = self._schemas[resource.api_version]
        self._stored_as = f"{resource.group}/{storage_version(definition).name}"
        conversion = definition.spec.conversion
        self._by_webhook = conversion is not None and conversion.strategy == "Webhook"
        subresources = version.subresources
        self._scaling = ScalePaths(subresources.scale) if subresources is not None and subresources.scale is not None else None
        served = SchemaResource(
            **{name: getattr(resource, name) for name in resource.__struct_fields__},
            schema=self._schema, list_kind=definition.status.acceptedNames.listKind, storage_version=storage_version(definition).name,
            nodes={api_version: merging_node(schema) for api_version, schema in self._schemas.items()},
        )
        super().__init__(served, {})
        self.definition = definition
        self.to_served = by_identity(MAX_SERVED)(self._serve)
        self._watches: dict[Callable[[], None], None] = {}
        """What ends each, in the order in which they were opened."""
        self.deprecation = _deprecation(definition, version) if version.deprecated else ""
        """What every request is warned of."""

    # ---- what the pipeline asks

    @cached_property
    def rules(self) -> KindRules:
        return KindRules(
            resource=self.served.qualified, default=self._default, validate=self._errors, validate_update=self._update_errors,
            validate_status_update=self._status_errors, warnings=_finalizer_warnings, metadata_errors=no_errors, validate_on_update="never",
            generation=True, generation_moves=self._has_moved, unconditional_update=False, status_update_keeps=ALL_OF_METADATA,
            selectable=tuple(_selectable(field.jsonPath) for field in self._version.selectableFields), row=self._row,
            storage_path=f"/{self.served.group}/{self.served.plural}",
        )

    @cached_property
    def has_status(self) -> bool:
        return self.served.subresource("status") is not None

    @cached_property
    def fields(self) -> Mapping[str, Callable[[Any], str]]:
        own = {label: _of_served(self.view, value) for label, value in self.own_fields.items()}
        everywhere: dict[str, Callable[[Any], str]] = {"metadata.name": lambda obj: str(obj.metadata.name)}
        if self.served.namespaced:
            everywhere["metadata.namespace"] = lambda obj: str(obj.metadata.namespace)
        return {**everywhere, **own}

    def unknown_field(self, field: str) -> str:
        return self.rules.field_error.format(field)

    @property
    def scaling(self) -> Scaling:
        assert self._scaling is not None
        return self._scaling

    def check_creation(self) -> None:
        if not has_condition(self.definition, "Terminating"):
            return
        details = {"group": self.served.group, "kind": self.served.plural}
        raise MethodNotAllowed("create not allowed while custom resource definition is terminating", details=details)

    def empty(self, metadata: ObjectMeta) -> Unstructured:
        return Unstructured(kind=self.served.kind, apiVersion=self.served.api_version, metadata=metadata)

    def watched(self, end: Callable[[], None]) -> None:
        self._watches[end] = None

    def unwatched(self, end: Callable[[], None]) -> None:
        self._watches.pop(end, None)

    def retire(self) -> None:
        """The definition is gone, or another one now: whoever watches must look again."""
        for end in list(self._watches):
            end()

    # ---- forms

    def normalised(self, obj: Unstructured) -> Unstructured:
        return obj

    def kept(self, obj: Unstructured) -> Unstructured:
        if obj.apiVersion == self._stored_as:
            return obj
        self._check_convertible(self._stored_as)
        return replace(obj, apiVersion=self._stored_as, fields=prune(self._schemas[self._stored_as], obj.fields)[0])

    def convert(self, obj: Unstructured, api_version: str) -> Unstructured | None:
        schema = self._schemas.get(api_version)
        if schema is None or api_version == obj.apiVersion:
            return None if schema is None else obj
        return replace(obj, apiVersion=api_version, fields=prune(schema, obj.fields)[0])

    def _serve(self, obj: Unstructured) -> Unstructured:
        """A stored object, or one on its way there, in this version: with the defaults and without the unknown fields of today's schemas."""
        own = self._schemas.get(obj.apiVersion, self._schema)
        fields = _defaulted(own, prune(own, obj.fields)[0])
        if obj.apiVersion != self.served.api_version:
            self._check_convertible(self.served.api_version)
            fields = prune(self._schema, fields)[0]
            return replace(obj, apiVersion=self.served.api_version, fields=fields)
        return obj if fields is obj.fields else replace(obj, fields=fields)

    def _check_convertible(self, into: str) -> None:
        if self._by_webhook:
            raise InternalError(
                f"Internal error occurred: conversion webhook for {into}, Kind={self.served.kind} failed: kubelet-lite does not call conversion "
                "webhooks yet; objects are served in the version in which they are stored"
            )

    def _default(self, obj: Unstructured) -> Unstructured:
        fields = _defaulted(self._schema, obj.fields)
        return obj if fields is obj.fields else replace(obj, fields=fields)

    # ---- what is sent

    def decoded(self, ctx: RequestContext, body: Any) -> Unstructured:
        if isinstance(body, Body):
            found = decode_unstructured(body.data, body.content_type, kind=self.served.kind, api_version=self.served.api_version)
        else:
            found = self._handed_over(body)
        obj, unknown = self._coerced(found.object)
        problems = (*found.problems, *unknown)
        if problems and ctx.field_validation == "Strict":
            kind, version = obj.kind, self.served.version
            raise BadRequest(f'{kind} in version "{version}" cannot be handled as a {self.served.kind}: {strict_message(problems)}')
        if problems and ctx.field_validation == "Warn":
            ctx.warnings += problems
        return obj

    def _handed_over(self, obj: Any) -> Decoded[Unstructured]:
        """An object of this process, whose values may be anybody's: they are copied."""
        if not isinstance(obj, Unstructured):
            raise BadRequest(f"the object provided is unrecognized (must be of type {self.served.kind})")
        if obj.apiVersion not in ("", self.served.api_version):
            raise BadRequest(
                f"the API version in the data ({obj.apiVersion}) does not match the expected API version ({self.served.api_version})"
            )
        try:
            value = msgspec.json.decode(encoding.encode_value(dict(obj.fields)))
            if is_too_deep(value):
                raise TypeError(TOO_DEEP)
            fields = unstructured({"kind": obj.kind or self.served.kind, "apiVersion": self.served.api_version, **value}).object.fields
            return Decoded(Unstructured(
                kind=obj.kind or self.served.kind, apiVersion=self.served.api_version, metadata=canonicalise(obj.metadata), fields=fields,
            ))
        except (TypeError, msgspec.MsgspecError, DecodingError, TimeError, QuantityError, RecursionError) as error:
            raise BadRequest(f'{self.served.kind} in version "{self.served.version}" cannot be handled as a {self.served.kind}: {error}') from error

    def canonical(self, sent: Unstructured, live: Any | None) -> Unstructured:
        return sent

    def patched(self, ctx: RequestContext, live: Unstructured, patch: bodies.Patch) -> Unstructured:
        return self.merged(ctx, bodies.applied(encoding.to_json(live), patch, Unstructured), patch)

    def merged(self, ctx: RequestContext, value: Any, patch: bodies.Patch) -> Unstructured:
        try:
            found = unstructured(value)
        except DecodingError as error:
            raise bodies.unfit(value, str(error), patch) from error
        obj, unknown = self._coerced(found.object)
        bodies.report(ctx, (*patch.problems, *found.problems, *unknown), value, patch)
        return obj

    def _coerced(self, obj: Unstructured) -> tuple[Unstructured, list[str]]:
        """Without fields that the schema does not know, and what is to be said of them. Raises BadRequest."""
        if is_too_deep(obj.fields):
            raise BadRequest(f'{self.served.kind} in version "{self.served.version}" cannot be handled as a {self.served.kind}: {TOO_DEEP}')
        fields, gone = prune(self._schema, obj.fields)
        fields = embedded.coerce(self._schema, fields)
        unknown = [f'unknown field "{path}"' for path in gone]
        return (obj if fields is obj.fields else replace(obj, fields=fields)), unknown

    # ---- status

    def without_status(self, obj: Unstructured) -> Unstructured:
        return self._with_status(obj, _NO_FIELDS)

    def with_status_of(self, obj: Unstructured, live: Unstructured) -> Unstructured:
        return self._with_status(obj, self.view(live).fields)

    def with_all_but_status_of(self, obj: Unstructured, live: Unstructured) -> Unstructured:
        return self._with_status(replace(obj, fields=self.view(live).fields), obj.fields)

    @staticmethod
    def _with_status(obj: Unstructured, of: Mapping[str, Any]) -> Unstructured:
        if obj.fields.get("status", NOTHING) is of.get("status", NOTHING):
            return obj
        fields = {name: value for name, value in obj.fields.items() if name != "status"}
        return replace(obj, fields={**fields, "status": of["status"]} if "status" in of else fields)

    def _has_moved(self, new: Unstructured, live: Unstructured) -> bool:
        """Whether anything but metadata (and status, where it is a subresource) has changed."""
        before = self.view(live)
        return bool((self._with_status(new, before.fields) if self.has_status else new).fields != before.fields)

    # ---- what must hold

    def _errors(self, obj: Unstructured) -> Sequence[FieldError]:
        schema, fields = self._schema, obj.fields
        return self._names(obj) or [
            *wrong("", schema, _whole(schema, obj)), *self._scale_errors(fields), *embedded.errors(schema, fields),
            *list_types.duplicates(schema, fields),
        ]

    def _update_errors(self, new: Unstructured, live: Unstructured) -> Sequence[FieldError]:
        """What was wrong before and has not changed is let be."""
        schema, fields, before = self._schema, new.fields, self.view(live)
        return self._names(new) or [
            *wrong("", schema, _whole(schema, new), "", _whole(schema, before)), *self._scale_errors(fields), *embedded.errors(schema, fields),
            *self._new_duplicates(fields, before.fields),
        ]

    def _status_errors(self, new: Unstructured, live: Unstructured) -> Sequence[FieldError]:
        schema, before = self._schema.properties.get("status"), self.view(live).fields
        found = self._names(new)
        if found:
            return found
        if schema is not None and "status" in new.fields:
            found += wrong("status", schema, new.fields["status"], "", before.get("status", NOTHING))
        if self._scaling is not None:
            found += self._scaling.status_errors(new.fields)
        return [*found, *self._new_duplicates(new.fields, before)]

    def _new_duplicates(self, fields: Mapping[str, Any], before: Mapping[str, Any]) -> Iterator[FieldError]:
        if next(list_types.duplicates(self._schema, before), None) is None:
            yield from list_types.duplicates(self._schema, fields)

    def _names(self, obj: Unstructured) -> list[FieldError]:
        """Nothing else is said of an object that calls itself something else."""
        said = (("kind", obj.kind, self.served.kind), ("apiVersion", obj.apiVersion, self.served.api_version))
        return [invalid(name, value, f"must be {expected}") for name, value, expected in said if value != expected]

    def _scale_errors(self, fields: Mapping[str, Any]) -> Iterator[FieldError]:
        if self._scaling is not None:
            yield from self._scaling.spec_errors(fields)
            yield from self._scaling.status_errors(fields)

    # ---- tables

    @cached_property
    def _cells(self) -> Sequence[Callable[[Any, float], Any]]:
        return tuple(cell(column) for column in printed(self._version))

    def _row(self, obj: Unstructured, now: float) -> Sequence[Any]:
        value = encoding.to_json(obj)
        return obj.metadata.name, *(show(value, now) for show in self._cells)


def _schema_of(version: CustomResourceDefinitionVersion) -> JSONSchemaProps:
    schema = version.schema.openAPIV3Schema if version.schema is not None else None
    return schema if schema is not None else _ANYTHING


def _defaulted(schema: JSONSchemaProps, fields: Mapping[str, Any]) -> Mapping[str, Any]:
    filled: Mapping[str, Any] = default(schema, fields)
    return filled


def _whole(schema: JSONSchemaProps, obj: Unstructured) -> Mapping[str, Any]:
    """An object as a schema describes it: metadata in full only where the schema says anything of it."""
    meta: Any = encoding.to_json(obj.metadata) if "metadata" in schema.properties else _NO_FIELDS
    return {"apiVersion": obj.apiVersion, "kind": obj.kind, "metadata": meta, **obj.fields}


def _selectable(path: str) -> Selectable:
    names = path.strip(".").split(".")

    def value(obj: Unstructured) -> str:
        found: Any = obj.fields
        for name in names:
            found = found.get(name) if isinstance(found, Mapping) else None
        if isinstance(found, bool):
            return "true" if found else "false"
        return str(found) if isinstance(found, (str, int)) else ""

    return Selectable(path.strip("."), value)


def _of_served(view: Callable[[Any], Any], value: Callable[[Any], str]) -> Callable[[Any], str]:
    return lambda obj: value(view(obj))


def _finalizer_warnings(new: Unstructured, old: Unstructured | None) -> Sequence[str]:
    known = old.metadata.finalizers if old is not None else ()
    return [
        f'metadata.finalizers: "{name}": prefer a domain-qualified finalizer name including a path (/) to avoid accidental conflicts with other '
        "finalizer writers"
        for name in new.metadata.finalizers if name not in known and "/" not in name and name not in STANDARD_FINALIZERS
    ]


def _deprecation(definition: CustomResourceDefinition, version: CustomResourceDefinitionVersion) -> str:
    if version.deprecationWarning is not None:
        return version.deprecationWarning
    spec, kind = definition.spec, definition.spec.names.kind
    better = sorted(
        (one.name for one in spec.versions if one.served and not one.deprecated and precedence(one.name) < precedence(version.name)), key=precedence,
    )
    text = f"{spec.group}/{version.name} {kind} is deprecated"
    return f"{text}; use {spec.group}/{better[0]} {kind}" if better else text
