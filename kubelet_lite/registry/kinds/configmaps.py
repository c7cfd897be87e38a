"""ConfigMaps. https://kubernetes.io/docs/concepts/configuration/configmap/"""
from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from kubelet_lite.api import names
from kubelet_lite.api.core_v1 import ConfigMap
from kubelet_lite.api.errors import FieldError, forbidden, invalid, too_long
from kubelet_lite.registry.kinds.ages import age
from kubelet_lite.registry.rules import KindRules
from kubelet_lite.registry.validation.collected import collected

MAX_SIZE_BYTES: Final = 1024 * 1024
"""Keys and values of binary data and text together count by their values alone, as in Kubernetes."""
IMMUTABLE: Final = "field is immutable when `immutable` is set"


@collected
def _validate(config_map: ConfigMap) -> Iterator[FieldError]:
    yield from _keys("data", config_map.data, config_map.binaryData, "binaryData")
    yield from _keys("binaryData", config_map.binaryData, config_map.data, "data")
    size = sum(len(value.encode()) for value in config_map.data.values()) + sum(len(value) for value in config_map.binaryData.values())
    if size > MAX_SIZE_BYTES:
        yield too_long("", MAX_SIZE_BYTES)


def _keys(path: str, values: Mapping[str, Any], others: Mapping[str, Any], where: str) -> Iterator[FieldError]:
    for key in sorted(values):
        for message in names.config_map_key(key):
            yield invalid(f"{path}[{key}]", key, message)
        if key in others:
            yield invalid(f"{path}[{key}]", key, f"duplicate of key present in {where}")


@collected
def _validate_update(new: ConfigMap, old: ConfigMap) -> Iterator[FieldError]:
    if not old.immutable:
        return
    if not new.immutable:
        yield forbidden("immutable", IMMUTABLE)
    if new.data != old.data:
        yield forbidden("data", IMMUTABLE)
    if new.binaryData != old.binaryData:
        yield forbidden("binaryData", IMMUTABLE)


def _row(config_map: ConfigMap, now: float) -> Sequence[Any]:
    return config_map.metadata.name, len(config_map.data) + len(config_map.binaryData), age(config_map, now)


RULES: Final = KindRules(
    resource="configmaps", validate=_validate, validate_update=_validate_update, validate_on_update="after", row=_row,
)
