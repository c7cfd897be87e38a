"""DefaultBinder: tells the API server which node a pod has; many pods at once.

https://kubernetes.io/docs/reference/kubernetes-api/workload-resources/binding-v1/
"""
from __future__ import annotations

from collections.abc import Sequence

from kubelet_lite.api.core_v1 import Binding, ObjectReference
from kubelet_lite.api.meta_v1 import ObjectMeta
from kubelet_lite.scheduler.framework import Plugin
from kubelet_lite.scheduler.pod_info import PodInfo


class DefaultBinder(Plugin):
    async def bind_all(self, placed: Sequence[tuple[PodInfo, str]]) -> Sequence[Exception | None]:
        assert self.handle.client is not None
        return await self.handle.client.bind([_binding(pod, node_name) for pod, node_name in placed])


def _binding(info: PodInfo, node_name: str) -> Binding:
    meta = info.pod.metadata
    return Binding(
        metadata=ObjectMeta(namespace=meta.namespace, name=meta.name, uid=meta.uid),
        target=ObjectReference(kind="Node", name=node_name),
    )
