"""What is checked of a definition beside its schemas: group, scope, names, versions, columns, scale, selectable fields, conversion."""
from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Final

import msgspec

from kubelet_lite.api import names
from kubelet_lite.api.apiextensions_v1 import (
    CustomResourceColumnDefinition,
    CustomResourceConversion,
    CustomResourceDefinition,
    CustomResourceDefinitionNames,
    CustomResourceDefinitionSpec,
    CustomResourceDefinitionVersion,
    CustomResourceSubresources,
    CustomResourceValidation,
    JSONSchemaProps,
    SelectableField,
)
from kubelet_lite.api.errors import FieldError, duplicate, forbidden, invalid, not_supported, required, too_many
from kubelet_lite.registry.kinds.customresourcedefinitions.field_paths import follow
from kubelet_lite.registry.kinds.customresourcedefinitions.schemas import validation_errors
from kubelet_lite.registry.validation import callouts
from kubelet_lite.registry.validation.go_values import go_value
from kubelet_lite.registry.validation.named import each

SCOPES: Final = ("Cluster", "Namespaced")
STRATEGIES: Final = ("None", "Webhook")
REVIEW_VERSIONS: Final = ("v1", "v1beta1")
COLUMN_TYPES: Final = ("boolean", "date", "integer", "number", "string")
COLUMN_FORMATS: Final = ("byte", "date", "date-time", "double", "float", "int32", "int64", "password")
SELECTABLE_TYPES: Final = ("string", "boolean", "integer")
MAX_SELECTABLE_FIELDS: Final = 8
MAX_WARNING_BYTES: Final = 256
APPROVED: Final = "api-approved.kubernetes.io"
_SEE: Final = ", see https://github.com/kubernetes/enhancements/pull/1111"


class Shared(msgspec.Struct, frozen=True):
    """The parts that are equal in all versions: Kubernetes checks them once, as fields of the spec."""

    schema: CustomResourceValidation | None
    subresources: CustomResourceSubresources | None
    columns: tuple[CustomResourceColumnDefinition, ...]
    selectable: tuple[SelectableField, ...]
    versions: tuple[CustomResourceDefinitionVersion, ...]
    """With what else they have."""


def shared_parts(versions: tuple[CustomResourceDefinitionVersion, ...]) -> Shared:
    def common(field: str, nothing: Any) -> Any:
        values = [getattr(version, field) for version in versions]
        return values[0] if values and all(value == values[0] for value in values) else nothing

    empty: dict[str, Any] = {"schema": None, "subresources": None, "additionalPrinterColumns": (), "selectableFields": ()}
    found = {field: common(field, nothing) for field, nothing in empty.items()}
    taken = {field: nothing for field, nothing in empty.items() if found[field] != nothing}
    rest = tuple(msgspec.structs.replace(version, **taken) for version in versions) if versions else versions
    return Shared(found["schema"], found["subresources"], found["additionalPrinterColumns"], found["selectableFields"], rest)


def spec_errors(spec: CustomResourceDefinitionSpec) -> Iterator[FieldError]:
    shared = shared_parts(spec.versions)
    yield from _group(spec.group)
    yield from _one_of("spec.scope", spec.scope, SCOPES)
    if shared.schema is None or shared.schema.openAPIV3Schema is None:
        for i, version in enumerate(shared.versions):
            if version.schema is None or version.schema.openAPIV3Schema is None:
                yield required(f"spec.versions[{i}].schema.openAPIV3Schema")
    status = any(v.subresources is not None and v.subresources.status is not None for v in spec.versions)
    for i, version in enumerate(shared.versions):
        yield from _version(f"spec.versions[{i}]", version, spec.versions[i])
    yield from _versions(shared.versions)
    if spec.versions and spec.versions[0].name:
        yield from _joined("spec.version", spec.versions[0].name, names.dns1035_label(spec.versions[0].name))
    for name in ("plural", "singular", "kind", "listKind"):
        if not getattr(spec.names, name):
            yield required(f"spec.names.{name}")
    yield from names_errors("spec.names", spec.names)
    yield from validation_errors("spec.validation", shared.schema, has_status=status)
    yield from _scale("spec.subresources", shared.subresources)
    for i, column in enumerate(shared.columns):
        yield from _column(f"spec.additionalPrinterColumns[{i}]", column)
    if shared.selectable:
        schema = shared.schema.openAPIV3Schema if shared.schema is not None else None
        if schema is None:
            yield invalid("spec.selectableFields", "", "may only be set when validations.schema is included")
        else:
            yield from _selectable("spec.selectableFields", shared.selectable, schema)
    if spec.conversion is not None:
        yield from _conversion("spec.conversion", spec.conversion)


def _group(group: str) -> Iterator[FieldError]:
    wrong = names.dns1123_subdomain(group)
    if not group:
        yield required("spec.group")
    elif wrong:
        yield from _joined("spec.group", group, wrong)
    elif "." not in group:
        yield invalid("spec.group", group, "should be a domain with at least one dot")


def _joined(path: str, value: str, messages: Sequence[str], before: str = "") -> Iterator[FieldError]:
    if messages:
        yield invalid(path, value, before + ",".join(messages))


def _one_of(path: str, value: str, supported: Sequence[str]) -> Iterator[FieldError]:
    if not value:
        yield required(path)
    elif value not in supported:
        yield not_supported(path, value, supported)


def _version(path: str, version: CustomResourceDefinitionVersion, whole: CustomResourceDefinitionVersion) -> Iterator[FieldError]:
    """`version`: without what all versions share."""
    yield from _joined(f"{path}.name", version.name, names.dns1035_label(version.name))
    yield from each(f"{path}.deprecationWarning", version.deprecationWarning or "", tuple(_warning_errors(version)))
    has_status = whole.subresources is not None and whole.subresources.status is not None
    yield from validation_errors(f"{path}.schema", version.schema, has_status=has_status)
    yield from _scale(f"{path}.subresources", version.subresources)
    for i, column in enumerate(version.additionalPrinterColumns):
        yield from _column(f"{path}.additionalPrinterColumns[{i}]", column)
    if version.selectableFields:
        schema = whole.schema.openAPIV3Schema if whole.schema is not None else None
        if version.schema is None or schema is None:
            yield invalid(f"{path}.selectableFields", "", "may only be set when version.schema.openAPIV3Schema is not included")
        else:
            yield from _selectable(f"{path}.selectableFields", version.selectableFields, schema)


def _warning_errors(version: CustomResourceDefinitionVersion) -> Iterator[str]:
    text = version.deprecationWarning
    if text is None:
        return
    if not version.deprecated:
        yield "can only be set for deprecated versions"
        return
    if len(text.encode()) > MAX_WARNING_BYTES:
        yield f"must be <= {MAX_WARNING_BYTES} characters long"
    if not text:
        yield "must not be an empty string"
    bad = next((i for i, character in enumerate(text) if not character.isprintable()), None)
    if bad is not None:
        yield f"must only contain printable UTF-8 characters; non-printable character found at index {len(text[:bad].encode())}"


def _versions(versions: tuple[CustomResourceDefinitionVersion, ...]) -> Iterator[FieldError]:
    if len({version.name for version in versions}) != len(versions):
        yield invalid("spec.versions", go_value(versions), "must contain unique version names")
    if sum(version.storage for version in versions) != 1:
        yield invalid("spec.versions", go_value(versions), "must have exactly one version marked as storage version")


def names_errors(path: str, given: CustomResourceDefinitionNames) -> Iterator[FieldError]:
    mixed = "may have mixed case, but should otherwise match: "
    for field, value, before in (
        ("plural", given.plural, ""), ("singular", given.singular, ""), ("kind", given.kind, mixed), ("listKind", given.listKind, mixed),
    ):
        if value:
            yield from _joined(f"{path}.{field}", value, names.dns1035_label(value.lower() if before else value), before)
    for i, value in enumerate(given.shortNames):
        yield from _joined(f"{path}.shortNames[{i}]", value, names.dns1035_label(value))
    if given.kind and given.kind == given.listKind:
        yield invalid(f"{path}.listKind", given.listKind, "kind and listKind may not be the same")
    for i, value in enumerate(given.categories):
        yield from _joined(f"{path}.categories[{i}]", value, names.dns1035_label(value))


def _scale(path: str, subresources: CustomResourceSubresources | None) -> Iterator[FieldError]:
    scale = subresources.scale if subresources is not None else None
    if scale is None:
        return
    for field, value, prefix in (("specReplicasPath", scale.specReplicasPath, ".spec"), ("statusReplicasPath", scale.statusReplicasPath, ".status")):
        where = f"{path}.scale.{field}"
        if not value:
            yield required(where)
        elif not value.startswith("."):
            yield _no_simple_path(where, value)
        elif not value.startswith(f"{prefix}."):
            yield invalid(where, value, f"should be a json path under {prefix}")
    selector, where = scale.labelSelectorPath, f"{path}.scale.labelSelectorPath"
    if selector and not selector.startswith("."):
        yield _no_simple_path(where, selector)
    elif selector and not selector.startswith((".spec.", ".status.")):
        yield invalid(where, selector, "should be a json path under either .spec or .status")


def _no_simple_path(path: str, value: str) -> FieldError:
    return invalid(path, value, "must be a simple json path starting with .")


def _column(path: str, column: CustomResourceColumnDefinition) -> Iterator[FieldError]:
    types = f"must be one of {','.join(COLUMN_TYPES)}"
    if not column.name:
        yield required(f"{path}.name")
    if not column.type:
        yield required(f"{path}.type", types)
    elif column.type not in COLUMN_TYPES:
        yield invalid(f"{path}.type", column.type, types)
    if column.format and column.format not in COLUMN_FORMATS:
        yield invalid(f"{path}.format", column.format, f"must be one of {','.join(COLUMN_FORMATS)}")
    if not column.jsonPath:
        yield required(f"{path}.JSONPath")
    elif not column.jsonPath.startswith("."):
        yield _no_simple_path(f"{path}.JSONPath", column.jsonPath)


def _selectable(path: str, fields: Sequence[SelectableField], schema: JSONSchemaProps) -> Iterator[FieldError]:
    seen: set[tuple[str, ...]] = set()
    for i, field in enumerate(fields):
        where, text = f"{path}[{i}].jsonPath", field.jsonPath
        if not text:
            yield required(where)
            continue
        found = follow(text, schema, brackets=False)
        if isinstance(found, str):
            yield invalid(where, text, f"is an invalid path: {found}")
            continue
        if found.names and found.names[0] == "metadata":
            yield invalid(where, text, "must not point to fields in metadata")
        if found.schema.type not in SELECTABLE_TYPES:
            yield invalid(where, text, "must point to a field of type string, boolean or integer. Enum string fields and strings with formats are allowed.")
        if found.names in seen:
            yield duplicate(where, text)
        seen.add(found.names)
    if len(seen) > MAX_SELECTABLE_FIELDS:
        yield too_many(path, len(seen), MAX_SELECTABLE_FIELDS)


def _conversion(path: str, conversion: CustomResourceConversion) -> Iterator[FieldError]:
    yield from _one_of(f"{path}.strategy", conversion.strategy, STRATEGIES)
    webhook = conversion.webhook
    config, versions = (webhook.clientConfig, webhook.conversionReviewVersions) if webhook is not None else (None, ())
    where = f"{path}.webhookClientConfig"
    if conversion.strategy != "Webhook":
        if config is not None:
            yield forbidden(where, "should not be set when strategy is not set to Webhook")
        if versions:
            yield forbidden(f"{path}.conversionReviewVersions", "should not be set when strategy is not set to Webhook")
        return
    if config is None:
        yield required(where, "required when strategy is set to Webhook")
    elif (config.url is None) == (config.service is None):
        yield required(where, "exactly one of url or service is required")
    elif config.url is not None:
        yield from callouts.url(f"{where}.url", config.url)
    elif config.service is not None:
        service = config.service
        yield from callouts.service(f"{where}.service", ("name", service.name), ("namespace", service.namespace), service.path, service.port)
    yield from _review_versions(f"{path}.conversionReviewVersions", versions)


def _review_versions(path: str, versions: Sequence[str]) -> Iterator[FieldError]:
    if not versions:
        yield required(path)
        return
    for i, version in enumerate(versions):
        if version in versions[:i]:
            yield invalid(f"{path}[{i}]", version, "duplicate version")
        else:
            yield from each(f"{path}[{i}]", version, names.dns1035_label(version))
    if not set(versions) & set(REVIEW_VERSIONS):
        yield invalid(path, versions, f"must include at least one of {', '.join(REVIEW_VERSIONS)}")


def stored_version_errors(stored: Sequence[str], versions: Sequence[CustomResourceDefinitionVersion]) -> Iterator[FieldError]:
    path = "status.storedVersions"
    if not stored:
        yield invalid(path, None, "must have at least one stored version")
        return
    left = {name: i for i, name in enumerate(stored)}
    for version in versions:
        if version.storage and version.name not in left:
            yield invalid(path, stored, f"must have the storage version {version.name}")
        left.pop(version.name, None)
    for name, i in left.items():
        yield invalid(f"{path}[{i}]", name, (
            f"missing from spec.versions; {name} was previously a storage version, and must remain in spec.versions until a storage migration "
            f"ensures no data remains persisted in {name} and removes {name} from status.storedVersions"
        ))


def approval_errors(new: CustomResourceDefinition, old: CustomResourceDefinition | None) -> Iterator[FieldError]:
    """Groups of Kubernetes' own community need a word of who approved them."""
    if not is_protected(new.spec.group):
        return
    text = new.metadata.annotations.get(APPROVED, "")
    state = approval(text)
    if old is not None and approval(old.metadata.annotations.get(APPROVED, "")) == state:
        return
    path = f"metadata.annotations[{APPROVED}]"
    if state == "missing":
        yield required(path, needs_approval(state))
    elif state == "invalid":
        yield invalid(path, text, needs_approval(state))


def is_protected(group: str) -> bool:
    return f".{group}".endswith((".k8s.io", ".kubernetes.io"))


def needs_approval(state: str) -> str:
    """What is wrong with an annotation that is missing or invalid."""
    how = "" if state == "missing" else ' with either a URL or a reason starting with "unapproved"'
    return f'protected groups must have approval annotation "{APPROVED}"{how}{_SEE}'


def approval(text: str) -> str:
    if not text:
        return "missing"
    if text.startswith("unapproved"):
        return "bypassed"
    scheme, _, rest = text.partition("://")
    return "approved" if scheme and rest and not rest.startswith("/") else "invalid"
