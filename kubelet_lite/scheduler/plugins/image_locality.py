"""ImageLocality: prefers nodes that have the pod's images already, weighed by size and by how many nodes have them."""
from __future__ import annotations

from typing import Final

import numpy as np

from kubelet_lite.scheduler.framework import MAX_NODE_SCORE, Lasting
from kubelet_lite.scheduler.node_table import Column, NodeTable, Rows
from kubelet_lite.scheduler.pod_info import PodInfo

MEGABYTE: Final = 1024 * 1024
SMALLEST_BYTES: Final = 23 * MEGABYTE
"""Below this an image is not worth a preference."""
LARGEST_BYTES_PER_CONTAINER: Final = 1000 * MEGABYTE


class ImageLocality(Lasting):
    steady = True
    relative = False

    def column(self, pod: PodInfo, nodes: NodeTable, rows: Rows) -> Column | None:
        spec = pod.pod.spec
        images = [normalised_name(c.image) for c in (*spec.containers, *spec.initContainers)]
        states = [state for image in images if (state := nodes.image(image)) is not None]
        if not states:
            return None
        present = np.zeros(nodes.width, np.int64)
        for state in states:
            present[list(state.rows)] += int(state.size_bytes * (len(state.rows) / len(nodes)))
        largest = LARGEST_BYTES_PER_CONTAINER * len(images)
        clamped = np.clip(present[rows], SMALLEST_BYTES, largest)
        column: Column = MAX_NODE_SCORE * (clamped - SMALLEST_BYTES) // (largest - SMALLEST_BYTES)
        return column


def normalised_name(image: str) -> str:
    """An image without a tag means its `latest`."""
    return image if ":" in image.rsplit("/", 1)[-1] or "@" in image else f"{image}:latest"
