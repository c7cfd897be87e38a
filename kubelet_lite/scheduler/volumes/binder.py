"""Binds the volumes of pods whose claims waited for a node: says which, then waits until the volume controller has bound them.

https://kubernetes.io/docs/concepts/storage/storage-classes/#volume-binding-mode
"""
from __future__ import annotations

from typing import Final, TypeVar

import anyio
import msgspec

from kubelet_lite.api.core_v1 import ObjectReference, PersistentVolume, PersistentVolumeClaim
from kubelet_lite.api.errors import ApiError
from kubelet_lite.api.requests import MERGE_PATCH
from kubelet_lite.scheduler.framework import Handle
from kubelet_lite.scheduler.volumes import claims

T = TypeVar("T", PersistentVolume, PersistentVolumeClaim)
Key = tuple[str, str]


class Choice(msgspec.Struct, frozen=True):
    """What is to be done for a pod's waiting claims, once it has its node."""

    bind: tuple[tuple[PersistentVolumeClaim, PersistentVolume], ...]
    provision: tuple[PersistentVolumeClaim, ...]


NOTHING_TO_BIND: Final = Choice((), ())


class Assumed(msgspec.Struct, frozen=True):
    """What counts as written for one pod."""

    claims: tuple[PersistentVolumeClaim, ...]
    objects: tuple[PersistentVolume | PersistentVolumeClaim, ...]


class VolumeBinder:
    """By pod, what is assumed of its volumes."""

    def __init__(self, handle: Handle, timeout_seconds: float) -> None:
        self._handle = handle
        self._timeout_seconds = timeout_seconds
        self._assumed: dict[Key, Assumed] = {}

    def assume(self, pod: Key, choice: Choice, node_name: str) -> None:
        """From now on the volumes count as taken."""
        objects: list[PersistentVolume | PersistentVolumeClaim] = [_bound_to(volume, claim) for claim, volume in choice.bind]
        objects += [_annotated(claim, claims.SELECTED_NODE, node_name) for claim in choice.provision]
        for obj in objects:
            self._handle.surroundings.assume(obj)
        self._assumed[pod] = Assumed((*(claim for claim, _ in choice.bind), *choice.provision), tuple(objects))

    def has_assumed(self, pod: Key) -> bool:
        return pod in self._assumed

    def revert(self, pod: Key) -> None:
        assumed = self._assumed.pop(pod, None)
        for obj in assumed.objects if assumed is not None else ():
            self._handle.surroundings.forget(obj)

    def done(self, pod: Key) -> None:
        """What was assumed is written."""
        self._assumed.pop(pod, None)

    async def bind(self, pod: Key) -> str | None:
        """Writes what was assumed, and waits for the claims. Why that failed."""
        assumed, environment = self._assumed[pod], self._handle.environment
        assert environment is not None
        try:
            for obj in assumed.objects:
                await self._write(obj)
        except ApiError as error:
            return error.message
        until = environment.monotonic() + self._timeout_seconds
        while True:
            missing = False
            for claim in assumed.claims:
                meta = claim.metadata
                now = self._handle.surroundings.get(PersistentVolumeClaim, meta.name, meta.namespace)
                if now is None or now.metadata.uid != meta.uid:
                    return f'binding volumes: failed to check binding: could not find v1.PersistentVolumeClaim "{meta.namespace}/{meta.name}"'
                missing |= not claims.is_bound(now)
            if not missing:
                return None
            left = until - environment.monotonic()
            if left <= 0:
                return "binding volumes: context deadline exceeded"
            with anyio.move_on_after(left):
                await self._handle.surroundings.next_change(PersistentVolumeClaim)

    async def _write(self, obj: PersistentVolume | PersistentVolumeClaim) -> None:
        meta, client = obj.metadata, self._handle.client
        assert client is not None
        changed: dict[str, object] = {"annotations": dict(meta.annotations), "resourceVersion": meta.resourceVersion}
        change: dict[str, object] = {"metadata": changed}
        if isinstance(obj, PersistentVolume):
            change["spec"] = {"claimRef": msgspec.to_builtins(obj.spec.claimRef)}
        await client.patch(type(obj), meta.name, change, namespace=meta.namespace, content_type=MERGE_PATCH)


def _bound_to(volume: PersistentVolume, claim: PersistentVolumeClaim) -> PersistentVolume:
    meta = claim.metadata
    reference = ObjectReference(
        kind="PersistentVolumeClaim", apiVersion="v1", namespace=meta.namespace, name=meta.name, uid=meta.uid, resourceVersion=meta.resourceVersion,
    )
    spec = msgspec.structs.replace(volume.spec, claimRef=reference)
    changed = msgspec.structs.replace(volume, spec=spec)
    return changed if volume.spec.claimRef is not None else _annotated(changed, claims.BOUND_BY_CONTROLLER, "yes")


def _annotated(obj: T, key: str, value: str) -> T:
    metadata = msgspec.structs.replace(obj.metadata, annotations={**obj.metadata.annotations, key: value})
    return msgspec.structs.replace(obj, metadata=metadata)
