"""A scheduler plug-in that looks at all nodes at once: pods go where the grid is greenest, by a label that says its grams of CO2 a kWh.

    python examples/scheduler_columns.py

With 5,000 nodes it costs a few microseconds a pod: labels are columns of numbers, made once.
"""
from __future__ import annotations

import asyncio

import numpy as np

from kubelet_lite import Cluster
from kubelet_lite.api.core_v1 import Container, Node, Pod, PodSpec
from kubelet_lite.api.meta_v1 import ObjectMeta
from kubelet_lite.api.requests import MERGE_PATCH
from kubelet_lite.scheduler.framework import Column, Mask, NodeTable, Plugin, PodInfo, Refusals, Rejection, Rows

CARBON = "example.com/carbon-intensity"
LIMIT = "example.com/most-carbon"
"""On a pod: it would rather wait than run on a dirtier node."""
UNKNOWN = 500


class GreenNodes(Plugin):
    def applies(self, pod: PodInfo, nodes: NodeTable) -> bool:
        """As a filter: without the annotation it costs nothing."""
        return LIMIT in pod.pod.metadata.annotations

    def mask(self, pod: PodInfo, nodes: NodeTable, rows: Rows) -> Mask:
        mask: Mask = carbon(nodes)[rows] <= int(pod.pod.metadata.annotations[LIMIT])
        return mask

    def reject(self, pod: PodInfo, nodes: NodeTable, rows: Rows) -> Refusals:
        return [(Rejection(self.name, ("node(s) were too dirty",), resolvable=False), rows)]

    def column(self, pod: PodInfo, nodes: NodeTable, rows: Rows) -> Column:
        column: Column = 100 - np.clip(carbon(nodes)[rows], 0, 1000) // 10
        return column


def carbon(nodes: NodeTable) -> Column:
    """Of every row. A label's column numbers its values in order of first sight, -1 where there is none: the last finds that."""
    label = nodes.label(CARBON)
    return np.array([*(int(value) for value in label.numbers), UNKNOWN], np.int64)[label.codes]


async def main() -> None:
    async with Cluster(nodes=3, runtime="fake", scheduler_plugins=[GreenNodes]) as cluster:
        for name, grams in (("node-1", "380"), ("node-2", "40"), ("node-3", "220")):
            await cluster.client.patch(Node, name, {"metadata": {"labels": {CARBON: grams}}}, content_type=MERGE_PATCH)
        for name, most in (("anywhere", ""), ("picky", "30")):
            meta = ObjectMeta(name=name, namespace="default", annotations={LIMIT: most} if most else {})
            await cluster.client.create(Pod(metadata=meta, spec=PodSpec(containers=(Container(name="c", image="web:1"),))))
        await cluster.wait("pod/anywhere", "condition=Ready")
        await cluster.wait("pod/picky", "condition=PodScheduled=false")
        picky = await cluster.client.get(Pod, "picky", namespace="default")
        print("anywhere runs on", (await cluster.client.get(Pod, "anywhere", namespace="default")).spec.nodeName)
        print("picky waits:", next(c.message for c in picky.status.conditions if c.type == "PodScheduled"))


if __name__ == "__main__":
    asyncio.run(main())
