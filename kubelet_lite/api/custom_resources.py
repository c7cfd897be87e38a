"""The resources that a CustomResourceDefinition makes: for the server that serves them, and for all who read definitions.

https://kubernetes.io/docs/concepts/extend-kubernetes/api-extension/custom-resources/
"""
from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from kubelet_lite.api.apiextensions_v1 import (
    CustomResourceColumnDefinition,
    CustomResourceDefinition,
    CustomResourceDefinitionVersion,
)
from kubelet_lite.api.resources import Column, Resource, Subresource, define

VERBS: Final = ("create", "delete", "deletecollection", "get", "list", "patch", "update", "watch")
VERBS_WHILE_TERMINATING: Final = ("delete", "deletecollection", "get", "list", "watch")
CLEANUP_FINALIZER: Final = "customresourcecleanup.apiextensions.k8s.io"
_PART_VERBS: Final = ("get", "patch", "update")
_NAME: Final = Column("Name", "string", "name", 0)
_AGE: Final = CustomResourceColumnDefinition(name="Age", type="date", jsonPath=".metadata.creationTimestamp")
_VERSION: Final = re.compile(r"v([1-9]\d*)(?:(alpha|beta)([1-9]\d*))?")
_STABILITY: Final = {None: 2, "beta": 1, "alpha": 0}


def has_condition(definition: CustomResourceDefinition, type: str) -> bool:
    """Whether a condition of this type is True."""
    return any(condition.type == type and condition.status == "True" for condition in definition.status.conditions)


def served_versions(definition: CustomResourceDefinition) -> Sequence[CustomResourceDefinitionVersion]:
    """The versions that are served, once the definition is established, the preferred one first."""
    if not has_condition(definition, "Established"):
        return ()
    return sorted((version for version in definition.spec.versions if version.served), key=lambda version: precedence(version.name))


def storage_version(definition: CustomResourceDefinition) -> CustomResourceDefinitionVersion:
    return next(version for version in definition.spec.versions if version.storage)


def resources_of(definition: CustomResourceDefinition) -> tuple[Resource, ...]:
    """What a definition serves, the preferred version first."""
    return tuple(resource_of_version(definition, version) for version in served_versions(definition))


def resource_of_version(definition: CustomResourceDefinition, version: CustomResourceDefinitionVersion) -> Resource:
    spec, names = definition.spec, definition.status.acceptedNames
    parts, given = [], version.subresources
    if given is not None and given.status is not None:
        parts.append(Subresource("status", names.kind, "", "", _PART_VERBS))
    if given is not None and given.scale is not None:
        parts.append(Subresource("scale", "Scale", "autoscaling", "v1", _PART_VERBS))
    return define(
        group=spec.group, version=version.name, plural=names.plural, singular=names.singular, kind=names.kind,
        namespaced=spec.scope == "Namespaced", verbs=VERBS, short_names=names.shortNames, categories=names.categories,
        subresources=tuple(parts),
        columns=(_NAME, *(Column(column.name, column.type, column.format, column.priority) for column in printed(version))),
    )


def printed(version: CustomResourceDefinitionVersion) -> Sequence[CustomResourceColumnDefinition]:
    """The columns beside the name."""
    return version.additionalPrinterColumns or (_AGE,)


def precedence(version: str) -> tuple[object, ...]:
    """Sorts versions as Kubernetes does: v2, v1, v1beta2, v1beta1, v1alpha1, and then whatever else by name."""
    found = _VERSION.fullmatch(version)
    if found is None:
        return 1, version
    major, stability, minor = found.groups()
    return 0, -_STABILITY[stability], -int(major), -int(minor or 0)
