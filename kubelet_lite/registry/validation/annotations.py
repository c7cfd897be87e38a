"""A map of annotations inside a template (those of the object's own metadata are the pipeline's)."""
from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from kubelet_lite.api import names
from kubelet_lite.api.errors import FieldError, too_long
from kubelet_lite.registry.validation.named import each

MAX_ANNOTATIONS_BYTES: Final = 256 * 1024


def annotation_map(path: str, annotations: Mapping[str, str]) -> Iterator[FieldError]:
    size = 0
    for key in sorted(annotations):
        yield from each(path, key, names.qualified_name(key.lower()))
        size += len(key.encode()) + len(annotations[key].encode())
    if size > MAX_ANNOTATIONS_BYTES:
        yield too_long(path, MAX_ANNOTATIONS_BYTES)
