"""CustomResourceDefinitions. https://kubernetes.io/docs/tasks/extend-kubernetes/custom-resources/custom-resource-definitions/"""
from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from msgspec.structs import replace

from kubelet_lite.api.apiextensions_v1 import (
    CustomResourceConversion,
    CustomResourceDefinition,
    CustomResourceDefinitionCondition,
    CustomResourceDefinitionStatus,
)
from kubelet_lite.api.custom_resources import CLEANUP_FINALIZER, has_condition
from kubelet_lite.api.errors import FieldError, invalid
from kubelet_lite.registry.kinds.ages import name_and_creation
from kubelet_lite.registry.kinds.customresourcedefinitions.definition import (
    approval_errors,
    names_errors,
    spec_errors,
    stored_version_errors,
)
from kubelet_lite.registry.rules import KindRules
from kubelet_lite.registry.validation.collected import collected

DEFAULT_PORT: Final = 443
NO_CONVERSION: Final = CustomResourceConversion(strategy="None")


def _default(found: CustomResourceDefinition) -> CustomResourceDefinition:
    spec = found.spec
    given = spec.names
    filled = replace(given, singular=given.singular or given.kind.lower(), listKind=given.listKind or (given.kind and f"{given.kind}List"))
    return replace(found, spec=replace(spec, names=filled, conversion=_default_conversion(spec.conversion)))


def _default_conversion(conversion: CustomResourceConversion | None) -> CustomResourceConversion:
    if conversion is None:
        return NO_CONVERSION
    webhook = conversion.webhook
    config = webhook.clientConfig if webhook is not None else None
    service = config.service if config is not None else None
    if webhook is None or config is None or service is None or service.port is not None:
        return conversion
    config = replace(config, service=replace(service, port=DEFAULT_PORT))
    return replace(conversion, webhook=replace(webhook, clientConfig=config))


def _with_stored_version(found: CustomResourceDefinition) -> CustomResourceDefinition:
    """Whatever has been a storage version may still be in the store."""
    stored = found.status.storedVersions
    version = next((version.name for version in found.spec.versions if version.storage), None)
    if version is None or version in stored:
        return found
    return replace(found, status=replace(found.status, storedVersions=(*stored, version)))


def _prepare_create(found: CustomResourceDefinition) -> CustomResourceDefinition:
    return _with_stored_version(replace(found, status=CustomResourceDefinitionStatus()))


def _prepare_update(new: CustomResourceDefinition, old: CustomResourceDefinition) -> CustomResourceDefinition:
    return _with_stored_version(new)


@collected
def _validate(found: CustomResourceDefinition) -> Iterator[FieldError]:
    name = found.metadata.name
    if name and name != f"{found.spec.names.plural}.{found.spec.group}":
        yield invalid("metadata.name", name, 'must be spec.names.plural+"."+spec.group')
    yield from spec_errors(found.spec)
    yield from names_errors("status.acceptedNames", found.status.acceptedNames)
    yield from stored_version_errors(found.status.storedVersions, found.spec.versions)
    yield from approval_errors(found, None)
    yield from _unknown_fields(found, None)


@collected
def _validate_update(new: CustomResourceDefinition, old: CustomResourceDefinition) -> Iterator[FieldError]:
    spec, before = new.spec, old.spec
    yield from spec_errors(spec)
    unchanging = [("group", spec.group, before.group), ("names.plural", spec.names.plural, before.names.plural)]
    if has_condition(old, "Established"):
        unchanging = [("scope", spec.scope, before.scope), ("names.kind", spec.names.kind, before.names.kind), *unchanging]
    for field, value, was in unchanging:
        if value != was:
            yield invalid(f"spec.{field}", value, "field is immutable")
    yield from names_errors("status.acceptedNames", new.status.acceptedNames)
    yield from stored_version_errors(new.status.storedVersions, spec.versions)
    yield from approval_errors(new, old)
    yield from _unknown_fields(new, old)


@collected
def _validate_status_update(new: CustomResourceDefinition, old: CustomResourceDefinition) -> Iterator[FieldError]:
    yield from names_errors("status.acceptedNames", new.status.acceptedNames)


def _unknown_fields(new: CustomResourceDefinition, old: CustomResourceDefinition | None) -> Iterator[FieldError]:
    if new.spec.preserveUnknownFields and not (old is not None and old.spec.preserveUnknownFields):
        why = "cannot set to true, set x-kubernetes-preserve-unknown-fields to true in spec.versions[*].schema instead"
        yield invalid("spec.preserveUnknownFields", True, why)


def _begin_deletion(found: CustomResourceDefinition) -> CustomResourceDefinition:
    """Its instances go first."""
    meta = found.metadata
    if CLEANUP_FINALIZER not in meta.finalizers:
        meta = replace(meta, finalizers=(*meta.finalizers, CLEANUP_FINALIZER))
    terminating = CustomResourceDefinitionCondition(
        type="Terminating", status="True", reason="InstanceDeletionPending", lastTransitionTime=meta.deletionTimestamp,
        message="CustomResourceDefinition marked for deletion; CustomResource deletion will begin soon",
    )
    others = tuple(condition for condition in found.status.conditions if condition.type != "Terminating")
    return replace(found, metadata=meta, status=replace(found.status, conditions=(*others, terminating)))


RULES: Final = KindRules(
    resource="customresourcedefinitions.apiextensions.k8s.io", default=_default, prepare_create=_prepare_create, prepare_update=_prepare_update,
    validate=_validate, validate_update=_validate_update, validate_status_update=_validate_status_update, validate_on_update="never",
    generation=True, unconditional_update=False, begin_deletion=_begin_deletion,
    storage_path="/apiextensions.k8s.io/customresourcedefinitions", row=name_and_creation,
)
