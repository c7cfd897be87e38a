"""Binds the volumes of pods whose claims waited for a node: says which, then waits until the volume controller has bound them.

https://kubernetes.io/docs/concepts/storage/storage-classes/#volume-binding-mode
"""
from __future__ import annotations

from collections.abc import Sequence
from typing import Final, TypeVar

import anyio
import msgspec

from kubelet_lite.actors.environment import Environment
from kubelet_lite.api.core_v1 import ObjectReference, PersistentVolume, PersistentVolumeClaim
from kubelet_lite.api.errors import ApiError
from kubelet_lite.api.requests import MERGE_PATCH
from kubelet_lite.client.base import Client
from kubelet_lite.scheduler import claims
from kubelet_lite.scheduler.informed import Informed
from kubelet_lite.scheduler.plugins.volume_binding import Choice

T = TypeVar("T", PersistentVolume, PersistentVolumeClaim)
LONGEST_WAIT_SECONDS: Final = 600.0


class NotBoundError(Exception):
    """The volumes of a pod could not be bound."""


class VolumeBinder:
    """For one run of the scheduler."""

    def __init__(self, client: Client, environment: Environment, known: Informed) -> None:
        self._client = client
        self._environment = environment
        self._known = known
        self._moved = anyio.Event()

    def claims_changed(self) -> None:
        """Tells those who wait to look again."""
        self._moved.set()
        self._moved = anyio.Event()

    def assume(self, choice: Choice, node_name: str) -> Sequence[PersistentVolume | PersistentVolumeClaim]:
        """From now on the volumes count as taken: what is to be written."""
        assumed: list[PersistentVolume | PersistentVolumeClaim] = [_bound_to(volume, claim) for claim, volume in choice.bind]
        assumed += [_annotated(claim, claims.SELECTED_NODE, node_name) for claim in choice.provision]
        for obj in assumed:
            self._known.assume(obj)
        return assumed

    def revert(self, assumed: Sequence[PersistentVolume | PersistentVolumeClaim]) -> None:
        for obj in assumed:
            self._known.forget(obj)

    async def bind(self, choice: Choice, assumed: Sequence[PersistentVolume | PersistentVolumeClaim]) -> None:
        """Writes what was assumed, and waits for the claims. Raises NotBoundError."""
        try:
            for obj in assumed:
                await self._write(obj)
        except ApiError as error:
            raise NotBoundError(error.message) from error
        wanted = [claim for claim, _ in choice.bind] + list(choice.provision)
        until = self._environment.monotonic() + LONGEST_WAIT_SECONDS
        while not all(self._is_bound(claim) for claim in wanted):
            left = until - self._environment.monotonic()
            if left <= 0:
                raise NotBoundError("binding volumes: context deadline exceeded")
            with anyio.move_on_after(left):
                await self._moved.wait()

    def _is_bound(self, claim: PersistentVolumeClaim) -> bool:
        meta = claim.metadata
        now = self._known.get(PersistentVolumeClaim, meta.name, meta.namespace)
        if now is None or now.metadata.uid != meta.uid:
            raise NotBoundError(f'binding volumes: failed to check binding: could not find v1.PersistentVolumeClaim "{meta.namespace}/{meta.name}"')
        return claims.is_bound(now)

    async def _write(self, obj: PersistentVolume | PersistentVolumeClaim) -> None:
        meta = obj.metadata
        changed: dict[str, object] = {"annotations": dict(meta.annotations), "resourceVersion": meta.resourceVersion}
        change: dict[str, object] = {"metadata": changed}
        if isinstance(obj, PersistentVolume):
            change["spec"] = {"claimRef": msgspec.to_builtins(obj.spec.claimRef)}
        await self._client.patch(type(obj), meta.name, change, namespace=meta.namespace, content_type=MERGE_PATCH)


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
