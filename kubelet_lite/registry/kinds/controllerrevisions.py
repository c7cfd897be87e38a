"""ControllerRevisions. https://kubernetes.io/docs/reference/kubernetes-api/workload-resources/controller-revision-v1/"""
from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from kubelet_lite.api.apps_v1 import ControllerRevision
from kubelet_lite.api.errors import FieldError, invalid, required
from kubelet_lite.registry.kinds.ages import NONE, age
from kubelet_lite.registry.rules import KindRules
from kubelet_lite.registry.validation.numbers import IMMUTABLE, nonnegative


def _create_errors(obj: ControllerRevision) -> Sequence[FieldError]:
    return (required("data", "data is mandatory"),) if obj.data is None else ()


def _update_errors(new: ControllerRevision, old: ControllerRevision) -> Sequence[FieldError]:
    return () if new.data == old.data else (invalid("data", new.data, IMMUTABLE),)


def _row(obj: ControllerRevision, now: float) -> Sequence[Any]:
    owner = next((reference for reference in obj.metadata.ownerReferences if reference.controller), None)
    controller = NONE
    if owner is not None:
        group = owner.apiVersion.rpartition("/")[0]
        kind = owner.kind.lower()
        controller = f"{kind}.{group}/{owner.name}" if group else f"{kind}/{owner.name}"
    return obj.metadata.name, controller, obj.revision, age(obj, now)


RULES: Final = KindRules(
    resource="controllerrevisions.apps",
    validate=lambda obj: tuple(nonnegative("revision", obj.revision)),
    validate_create=_create_errors,
    validate_update=_update_errors,
    row=_row,
)
