"""PodTopologyLabels: a pod that is bound to a node takes over the labels that say where the node stands.

https://kubernetes.io/docs/reference/access-authn-authz/admission-controllers/#podtopologylabels
"""
from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from msgspec.structs import replace

from kubelet_lite.registry.admission.plugin import Plugin, Review, World, on

COPIED: Final = ("topology.kubernetes.io/zone", "topology.kubernetes.io/region")


def _mutate(new: Any, review: Review, world: World) -> Any:
    """`new` is a Binding, or a Pod that names its node itself."""
    name = new.target.name if review.subresource else new.spec.nodeName
    labels = _labels(name, world) if name else {}
    return replace(new, metadata=replace(new.metadata, labels={**new.metadata.labels, **labels})) if labels else new


def _labels(node_name: str, world: World) -> Mapping[str, str]:
    node = world.view.get("nodes", "", node_name)
    if node is None:
        return {}
    return {label: node.metadata.labels[label] for label in COPIED if label in node.metadata.labels}


PLUGIN: Final = Plugin(name="PodTopologyLabels", handles=on("pods", "CREATE", subresources=("", "binding")), mutate=_mutate)
