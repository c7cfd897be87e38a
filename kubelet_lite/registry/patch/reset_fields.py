"""The fields that a write cannot change whatever it sends, so that nobody comes to own them by it.

A write to a resource leaves its status, a write to a subresource the rest: by rule, and for some kinds as the table says.
"""
from __future__ import annotations

from functools import lru_cache
from typing import Final, NamedTuple

from kubelet_lite.api.resources import Resource
from kubelet_lite.registry.patch.comparison import Comparison
from kubelet_lite.registry.patch.field_set import EMPTY, FieldSet, Pattern, fields, of

_SPEC, _STATUS, _METADATA = fields("spec"), fields("status"), fields("metadata")
_RESET: Final = {
    ("certificatesigningrequests.certificates.k8s.io", ""): (_SPEC, _STATUS),
    ("customresourcedefinitions.apiextensions.k8s.io", "status"): (_METADATA, _SPEC),
    ("deployments.apps", "status"): (_SPEC, fields("metadata", "labels")),
    ("namespaces", "finalize"): (_STATUS,),
    ("pods", "status"): (_SPEC, fields("metadata", "deletionTimestamp"), fields("metadata", "ownerReferences")),
    ("resourceclaims.resource.k8s.io", "status"): (_METADATA, _SPEC),
    ("volumeattachments.storage.k8s.io", "status"): (_METADATA, _SPEC),
}
MAX_RESOURCES: Final = 1024
"""Resources and subresources of which this is remembered; custom ones come and go."""
_RESIZED: Final[Pattern] = {"*": {"f:resources": None, "f:resizePolicy": None}}
_ONLY: Final[dict[tuple[str, str], Pattern]] = {
    ("pods", "ephemeralcontainers"): {"f:spec": {"f:ephemeralContainers": None}},
    ("pods", "resize"): {"f:spec": {"f:containers": _RESIZED, "f:initContainers": _RESIZED}},
}


class Ignored(NamedTuple):
    """What a kind's strategy puts back: whole trees, or everything but a pattern."""

    trees: FieldSet
    only: Pattern | None

    def drop(self, fields: FieldSet) -> FieldSet:
        if self.only is not None:
            return fields.within(self.only)
        return fields.without_trees(self.trees)

    def drop_all(self, comparison: Comparison) -> Comparison:
        return Comparison(*map(self.drop, comparison)) if self.trees or self.only is not None else comparison


@lru_cache(maxsize=MAX_RESOURCES)
def ignored(resource: Resource, subresource: str) -> Ignored:
    """What a write to this resource or subresource never changes."""
    named = (resource.qualified, subresource)
    if named in _ONLY:
        return Ignored(EMPTY, _ONLY[named])
    if named in _RESET:
        return Ignored(of(_RESET[named]), None)
    if subresource == "status" and not resource.module:
        return Ignored(of([_METADATA, _SPEC]), None)
    if subresource:
        return Ignored(of([_SPEC]) if subresource in ("status", "approval") else EMPTY, None)
    return Ignored(of([_STATUS]) if resource.subresource("status") else EMPTY, None)
