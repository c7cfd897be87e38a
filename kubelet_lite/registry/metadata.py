"""The rules of `metadata` that hold for every kind: what the server sets, what may change, and what is wrong with it.

Pure. Errors come in Kubernetes' words and order.
https://kubernetes.io/docs/reference/kubernetes-api/common-definitions/object-meta/
"""
from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from random import Random
from typing import Any, Final

from kubelet_lite.api import names
from kubelet_lite.api.errors import FieldError, forbidden, invalid, required, too_long
from kubelet_lite.api.meta_v1 import ObjectMeta, OwnerReference
from kubelet_lite.registry.sharing import by_identity

MAX_ANNOTATIONS_BYTES: Final = 256 * 1024
"""Keys and values of all annotations of an object together."""
GENERATED_SUFFIX: Final = 5
LONGEST_GENERATED_BASE: Final = 63 - GENERATED_SUFFIX
"""What is longer of a generateName is cut off, so that the name stays a DNS label."""
SUFFIX_ALPHABET: Final = "bcdfghjklmnpqrstvwxz2456789"
"""No vowels, and nothing that looks like one."""
ORPHAN: Final = "orphan"
FOREGROUND: Final = "foregroundDeletion"
STANDARD_FINALIZERS: Final = frozenset({"kubernetes", ORPHAN, FOREGROUND})
MAX_CHECKED_VALUES: Final = 4096
"""Label maps and the like whose check is remembered: equal ones are one object (sharing.py)."""

NameErrors = Callable[[str, bool], Sequence[str]]
default_name_errors: Final[NameErrors] = names.masked_prefix(names.dns1123_subdomain)
path_segment_errors: Final[NameErrors] = names.path_segment_name_or_prefix


def generated_name(base: str, random: Random) -> str:
    """`base` with five random letters."""
    return base[:LONGEST_GENERATED_BASE] + "".join(random.choices(SUFFIX_ALPHABET, k=GENERATED_SUFFIX))


def untouched(new: ObjectMeta, old: ObjectMeta) -> bool:
    """Whether `new` has the very values of `old` in all that is checked here: what was right is right still."""
    return (
        new.labels is old.labels and new.annotations is old.annotations and new.ownerReferences is old.ownerReferences
        and new.finalizers is old.finalizers and new.name == old.name and new.generateName == old.generateName and new.uid == old.uid
        and new.namespace == old.namespace and new.deletionTimestamp == old.deletionTimestamp
        and new.deletionGracePeriodSeconds == old.deletionGracePeriodSeconds and new.creationTimestamp == old.creationTimestamp
    )


def errors(meta: ObjectMeta, namespaced: bool, name_errors: NameErrors) -> Sequence[FieldError]:
    """What is wrong with the metadata of an object, whatever it was before."""
    wrong: list[FieldError] = []
    if meta.generateName:
        wrong += [invalid("metadata.generateName", meta.generateName, text) for text in name_errors(meta.generateName, True)]
    if not meta.name:
        wrong.append(required("metadata.name", "name or generateName is required"))
    elif messages := name_errors(meta.name, False):
        wrong += [invalid("metadata.name", meta.name, text) for text in messages]
    if namespaced and not meta.namespace:
        wrong.append(required("metadata.namespace"))
    elif namespaced and (messages := names.dns1123_label(meta.namespace)):
        wrong += [invalid("metadata.namespace", meta.namespace, text) for text in messages]
    if meta.generation < 0:
        wrong.append(invalid("metadata.generation", meta.generation, "must be greater than or equal to 0"))
    wrong += _maps_and_references(meta)
    if meta.finalizers:
        wrong += _finalizers(meta.finalizers)
    return wrong


def core_errors(meta: ObjectMeta) -> Sequence[FieldError]:
    """What the built-in kinds check beside `errors`: a finalizer without a domain must be one of Kubernetes' own."""
    return [
        invalid(f"metadata.finalizers[{i}]", name, "name is neither a standard finalizer name nor is it fully qualified")
        for i, name in enumerate(meta.finalizers) if "/" not in name and name not in STANDARD_FINALIZERS
    ]


def transition_errors(new: ObjectMeta, old: ObjectMeta) -> Sequence[FieldError]:
    """What is wrong with a change of metadata."""
    wrong: list[FieldError] = []
    if old.deletionTimestamp is not None and new.finalizers is not old.finalizers:
        added = sorted(set(new.finalizers) - set(old.finalizers))
        if added:
            shown = ", ".join(json.dumps(name, ensure_ascii=False) for name in added)
            wrong.append(forbidden(
                "metadata.finalizers", f"no new finalizers can be added if the object is being deleted, found new finalizers []string{{{shown}}}",
            ))
    if not new.resourceVersion:
        wrong.append(invalid("metadata.resourceVersion", "", "must be specified for an update"))
    if new.generation < old.generation:
        wrong.append(invalid("metadata.generation", new.generation, "must not be decremented"))
    for field in ("name", "namespace", "uid", "creationTimestamp", "deletionTimestamp", "deletionGracePeriodSeconds"):
        value = getattr(new, field)
        if value != getattr(old, field):
            wrong.append(invalid(f"metadata.{field}", value, "field is immutable"))
    wrong += _maps_and_references(new)
    return wrong


def _maps_and_references(meta: ObjectMeta) -> list[FieldError]:
    """Of labels, annotations and owner references: checked at each write, so the common case (nothing wrong) is remembered."""
    wrong: list[FieldError] = []
    if meta.labels and (found := _labels(meta.labels)):
        wrong += found
    if meta.annotations and (found := _annotations(meta.annotations)):
        wrong += found
    if meta.ownerReferences and (found := _owner_references(meta.ownerReferences)):
        wrong += found
    return wrong


@by_identity(MAX_CHECKED_VALUES)
def _labels(labels: Mapping[str, str]) -> Sequence[FieldError]:
    return label_errors(labels, "metadata.labels")


def label_errors(labels: Mapping[str, str], path: str) -> Sequence[FieldError]:
    """For any map of labels: also those of templates and selectors."""
    wrong: list[FieldError] = []
    for key in sorted(labels):
        wrong += [invalid(path, key, text) for text in names.label_key(key)]
        wrong += [invalid(path, labels[key], text) for text in names.label_value(labels[key])]
    return wrong


@by_identity(MAX_CHECKED_VALUES)
def _annotations(annotations: Mapping[str, str]) -> Sequence[FieldError]:
    return annotation_errors(annotations, "metadata.annotations")


def annotation_errors(annotations: Mapping[str, str], path: str) -> Sequence[FieldError]:
    """For any map of annotations."""
    wrong: list[FieldError] = []
    for key in sorted(annotations):
        wrong += [invalid(path, key, text) for text in names.label_key(key.lower())]
    if sum(len(key.encode()) + len(value.encode()) for key, value in annotations.items()) > MAX_ANNOTATIONS_BYTES:
        wrong.append(too_long(path, MAX_ANNOTATIONS_BYTES))
    return wrong


@by_identity(MAX_CHECKED_VALUES)
def _owner_references(references: tuple[OwnerReference, ...]) -> Sequence[FieldError]:
    path = "metadata.ownerReferences"
    wrong: list[FieldError] = []
    controller = ""
    for reference in references:
        if not reference.apiVersion.rpartition("/")[2]:
            wrong.append(invalid(f"{path}.apiVersion", reference.apiVersion, "version must not be empty"))
        for field in ("kind", "name", "uid"):
            if not getattr(reference, field):
                wrong.append(invalid(f"{path}.{field}", "", "must not be empty"))
        if reference.apiVersion == "v1" and reference.kind == "Event":
            wrong.append(invalid(path, reference, "/v1, Kind=Event is disallowed from being an owner"))
        if reference.controller:
            this = f"{reference.kind}/{reference.name}"
            if controller:
                wrong.append(invalid(
                    path, references,
                    f'Only one reference can have Controller set to true. Found "true" in references for {controller} and {this}',
                ))
            else:
                controller = this
    return wrong


def _finalizers(finalizers: tuple[str, ...]) -> Sequence[FieldError]:
    path = "metadata.finalizers"
    wrong = [invalid(path, name, text) for name in finalizers for text in names.label_key(name)]
    if ORPHAN in finalizers and FOREGROUND in finalizers:
        wrong.append(invalid(path, finalizers, f"finalizer {FOREGROUND} and {ORPHAN} cannot be both set"))
    return wrong


def without_duplicate_owners(references: tuple[OwnerReference, ...]) -> tuple[tuple[OwnerReference, ...], Sequence[str]]:
    """(each reference once, the UIDs of those dropped)."""
    kept: list[OwnerReference] = []
    dropped: list[str] = []
    for reference in references:
        if reference in kept:
            dropped.append(reference.uid)
        else:
            kept.append(reference)
    return (tuple(kept), dropped) if dropped else (references, ())


def duplicate_owners_warning(uids: Sequence[str]) -> str:
    return (
        ".metadata.ownerReferences contains duplicate entries; API server dedups owner references in 1.20+, and may reject such requests "
        f"as early as 1.24; please fix your requests; duplicate UID(s) observed: {' '.join(uids)}"
    )


def controller_of(obj: Any) -> OwnerReference | None:
    """The reference to the object's managing controller."""
    return next((reference for reference in obj.metadata.ownerReferences if reference.controller), None)
