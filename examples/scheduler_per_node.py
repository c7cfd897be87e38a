"""A scheduler plug-in that looks at a node at a time: no more than so many pods labelled `noisy` on a node, and the fewer the better.

    python examples/scheduler_per_node.py
    kubelet-lite up --runtime fake --nodes 3 --scheduler-plugin examples.scheduler_per_node:QuietNodes
"""
from __future__ import annotations

import asyncio
from collections import Counter

import msgspec

from kubelet_lite import Cluster
from kubelet_lite.api.core_v1 import Container, Pod, PodSpec
from kubelet_lite.api.meta_v1 import ObjectMeta
from kubelet_lite.scheduler.framework import Change, NodeInfo, Plugin, PodInfo


class QuietNodesArgs(msgspec.Struct, frozen=True):
    """As `pluginConfig` says them."""

    most: int = 2


class QuietNodes(Plugin):
    Args = QuietNodesArgs

    def filter(self, pod: PodInfo, node: NodeInfo) -> str | None:
        if is_noisy(pod) and noisy_on(node) >= self.args.most:
            return "node(s) were too noisy already"
        return None

    def score(self, pod: PodInfo, node: NodeInfo) -> int:
        return max(100 - 10 * noisy_on(node), 0)

    def hint(self, change: Change) -> bool:
        """A pod that it refused waits until another leaves, or a node comes."""
        return change.new is None if change.kind is Pod else change.old is None


def is_noisy(pod: PodInfo) -> bool:
    return pod.pod.metadata.labels.get("noisy") == "true"


def noisy_on(node: NodeInfo) -> int:
    return sum(map(is_noisy, node.pods))


async def main() -> None:
    async with Cluster(nodes=3, runtime="fake", scheduler_plugins=[QuietNodes]) as cluster:
        for i in range(7):
            meta = ObjectMeta(name=f"pod-{i}", namespace="default", labels={"noisy": "true"})
            await cluster.client.create(Pod(metadata=meta, spec=PodSpec(containers=(Container(name="c", image="noise:1"),))))
        for i in range(6):
            await cluster.wait(f"pod/pod-{i}", "condition=Ready")
        await cluster.wait("pod/pod-6", "condition=PodScheduled=false")
        pods = (await cluster.client.list(Pod)).items
        print(Counter(pod.spec.nodeName or "nowhere" for pod in pods))
        print(next(c.message for pod in pods for c in pod.status.conditions if c.status == "False" and c.type == "PodScheduled"))


if __name__ == "__main__":
    asyncio.run(main())
