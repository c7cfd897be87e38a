"""The subresource `ephemeralcontainers` of pods: adds containers for debugging to a pod that runs; nothing else, and none goes again.

https://kubernetes.io/docs/concepts/workloads/pods/ephemeral-containers/
"""
from __future__ import annotations

from collections.abc import Iterator, Sequence

from msgspec.structs import replace

from kubelet_lite.api.core_v1 import Pod
from kubelet_lite.api.errors import FieldError, forbidden
from kubelet_lite.registry.kinds import pods
from kubelet_lite.registry.part import transition_errors
from kubelet_lite.registry.rules import spec_changed

MIRROR_ANNOTATION = "kubernetes.io/config.mirror"
generation_moves = spec_changed


def prepare(new: Pod, live: Pod, now: float) -> Pod:
    meta = replace(live.metadata, uid=new.metadata.uid, resourceVersion=new.metadata.resourceVersion)
    return replace(live, metadata=meta, spec=replace(live.spec, ephemeralContainers=new.spec.ephemeralContainers))


def validate(new: Pod, live: Pod) -> Sequence[FieldError]:
    if MIRROR_ANNOTATION in live.metadata.annotations:
        return [forbidden("", "static pods do not support ephemeral containers")]
    return [*transition_errors(new, live), *pods.validate(new), *_kept(new, live)]


def _kept(new: Pod, live: Pod) -> Iterator[FieldError]:
    present = {container.name: container for container in new.spec.ephemeralContainers}
    for old in live.spec.ephemeralContainers:
        found = present.get(old.name)
        if found is None:
            yield forbidden("spec.ephemeralContainers", f'existing ephemeral containers "{old.name}" may not be removed\n')
        elif found != old:
            yield forbidden("spec.ephemeralContainers", f'existing ephemeral containers "{old.name}" may not be changed\n')
