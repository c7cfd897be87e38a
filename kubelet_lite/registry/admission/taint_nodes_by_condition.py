"""TaintNodesByCondition: a new node takes no pods before it was ready once.

https://kubernetes.io/docs/reference/access-authn-authz/admission-controllers/#taintnodesbycondition
"""
from __future__ import annotations

from typing import Final

from msgspec.structs import replace

from kubelet_lite.api.core_v1 import Node, Taint
from kubelet_lite.registry.admission.plugin import Plugin, Review, World, on

NOT_READY: Final = Taint(key="node.kubernetes.io/not-ready", effect="NoSchedule")


def _mutate(node: Node, review: Review, world: World) -> Node:
    if any(taint.key == NOT_READY.key and taint.effect == NOT_READY.effect for taint in node.spec.taints):
        return node
    return replace(node, spec=replace(node.spec, taints=(*node.spec.taints, NOT_READY)))


PLUGIN: Final = Plugin(name="TaintNodesByCondition", handles=on("nodes", "CREATE"), mutate=_mutate)
