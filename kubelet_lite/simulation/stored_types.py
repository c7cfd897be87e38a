"""Which type the objects of a resource have in a store: what a recording or a dump is read as."""
from __future__ import annotations

from functools import cache
from typing import Any

from kubelet_lite.api.resources import RESOURCES
from kubelet_lite.api.unstructured import Unstructured


@cache
def stored_type(resource: str) -> Any:
    """The type of a resource's objects in a store, by qualified name; Unstructured for a custom resource."""
    from kubelet_lite.registry.conversion import CONVERSIONS

    for found in RESOURCES:
        if found.qualified == resource and (found.api_version, found.plural) not in CONVERSIONS and found.module:
            return found.type
    return Unstructured
