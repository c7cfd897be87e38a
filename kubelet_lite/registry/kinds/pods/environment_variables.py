"""Validation of env and envFrom.

https://kubernetes.io/docs/tasks/inject-data-application/define-environment-variable-container/
"""
from __future__ import annotations

from collections.abc import Iterator, Mapping

from kubelet_lite.api import names
from kubelet_lite.api.core_v1 import EnvFromSource, EnvVar, FileKeySelector, Volume
from kubelet_lite.api.errors import FieldError, invalid, not_found, required
from kubelet_lite.registry.kinds.pods.references import (
    ENVIRONMENT_FIELDS,
    validate_field_ref,
    validate_key_ref,
    validate_resource_field_ref,
)
from kubelet_lite.registry.validation.named import dns_subdomain, each
from kubelet_lite.registry.validation.paths import not_reserved


def validate_env(path: str, variables: tuple[EnvVar, ...], volumes: Mapping[str, Volume]) -> Iterator[FieldError]:
    for i, variable in enumerate(variables):
        at = f"{path}[{i}]"
        if not variable.name:
            yield required(f"{at}.name")
        else:
            yield from each(f"{at}.name", variable.name, names.environment_variable_name(variable.name))
        yield from _value_from(f"{at}.valueFrom", variable, volumes)


def _value_from(path: str, variable: EnvVar, volumes: Mapping[str, Volume]) -> Iterator[FieldError]:
    source = variable.valueFrom
    if source is None:
        return
    if source.fieldRef is not None:
        yield from validate_field_ref(f"{path}.fieldRef", source.fieldRef, ENVIRONMENT_FIELDS)
    if source.resourceFieldRef is not None:
        yield from validate_resource_field_ref(f"{path}.resourceFieldRef", source.resourceFieldRef, needs_container=False)
    if source.configMapKeyRef is not None:
        yield from validate_key_ref(f"{path}.configMapKeyRef", source.configMapKeyRef.name, source.configMapKeyRef.key)
    if source.secretKeyRef is not None:
        yield from validate_key_ref(f"{path}.secretKeyRef", source.secretKeyRef.name, source.secretKeyRef.key)
    if source.fileKeyRef is not None:
        yield from _file_key_ref(f"{path}.fileKeyRef", source.fileKeyRef, volumes)
    count = sum(getattr(source, field) is not None for field in source.__struct_fields__)
    if not count:
        yield invalid(path, "", "must specify one of: `fieldRef`, `resourceFieldRef`, `configMapKeyRef`, `secretKeyRef` or `fileKeyRef`")
    elif variable.value:
        yield invalid(path, "", "may not be specified when `value` is not empty")
    elif count > 1:
        yield invalid(path, "", "may not have more than one field specified at a time")


def _file_key_ref(path: str, ref: FileKeySelector, volumes: Mapping[str, Volume]) -> Iterator[FieldError]:
    if not ref.key:
        yield required(f"{path}.key")
    else:
        yield from each(f"{path}.key", ref.key, names.environment_variable_name(ref.key))
    if not ref.path:
        yield required(f"{path}.path")
    else:
        yield from not_reserved(f"{path}.path", ref.path)
    if not ref.volumeName:
        yield required(f"{path}.volumeName")
    elif ref.volumeName not in volumes:
        yield not_found(f"{path}.volumeName", ref.volumeName)
    elif volumes[ref.volumeName].emptyDir is None:
        yield invalid(f"{path}.volumeName", ref.volumeName, "referenced volume must be of type emptyDir")


def validate_env_from(path: str, sources: tuple[EnvFromSource, ...]) -> Iterator[FieldError]:
    for i, source in enumerate(sources):
        at = f"{path}[{i}]"
        if source.prefix:
            yield from each(f"{at}.prefix", source.prefix, names.environment_variable_name(source.prefix))
        count = 0
        for kind, ref in (("configMapRef", source.configMapRef), ("secretRef", source.secretRef)):
            if ref is None:
                continue
            count += 1
            if not ref.name:
                yield required(f"{at}.{kind}.name")
            else:
                yield from dns_subdomain(f"{at}.{kind}.name", ref.name)
        if not count:
            yield invalid(path, "", "must specify one of: `configMapRef` or `secretRef`")
        elif count > 1:
            yield invalid(path, "", "may not have more than one field specified at a time")
