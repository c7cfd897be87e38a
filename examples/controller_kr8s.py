"""A controller written with kr8s and nothing else: every Namespace with a label gets a copy of a ConfigMap, and keeps it.

The ConfigMaps to copy are those labelled `copy-to: LABEL`; the Namespaces are those with `LABEL: ""`. A copy that is edited or deleted is
made anew; a copy whose original is gone is deleted. Against any cluster of the current kubeconfig: `python examples/controller_kr8s.py`.
In virtual time, under a seed: `tests/simulation/test_operators.py`.
"""
from __future__ import annotations

import asyncio
import logging
from typing import Any

import httpx
import kr8s
from kr8s.asyncio.objects import ConfigMap, Namespace

COPY_TO = "copy-to"
COPY_OF = "copy-of"
RESYNC_SECONDS = 30.0
BACKOFF_SECONDS = 1.0
FAILURES = (kr8s.ServerError, kr8s.APITimeoutError, kr8s.NotFoundError, httpx.HTTPError)
log = logging.getLogger(__name__)


async def run() -> None:
    """For ever: brings the copies in order whenever something has changed, and now and then unasked."""
    api = await kr8s.asyncio.api()
    changed = asyncio.Event()
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(watch(api, "namespaces", changed), name="watch namespaces")
        tasks.create_task(watch(api, "configmaps", changed), name="watch configmaps")
        while True:
            changed.clear()
            try:
                await reconcile(api)
            except FAILURES as error:
                log.warning("not reconciled: %s", error)
                await asyncio.sleep(BACKOFF_SECONDS)
                continue
            try:
                async with asyncio.timeout(RESYNC_SECONDS):
                    await changed.wait()
            except TimeoutError:
                pass


async def watch(api: Any, kind: str, changed: asyncio.Event) -> None:
    """Tells of every change, over a watch that is begun anew when it ends."""
    while True:
        try:
            async for _ in api.watch(kind, namespace=kr8s.ALL):
                changed.set()
        except FAILURES as error:
            log.warning("watch of %s ended: %s", kind, error)
        await asyncio.sleep(BACKOFF_SECONDS)


async def reconcile(api: Any) -> None:
    """Compares what there is with what should be, and writes the difference."""
    namespaces = [namespace async for namespace in api.get("namespaces")]
    maps = [each async for each in api.get("configmaps", namespace=kr8s.ALL)]
    wanted = {(target.name, original.name): original for original in maps for target in namespaces if is_wanted(original, target)}
    for copy in maps:
        if COPY_OF in copy.labels and (copy.namespace, copy.name) not in wanted:
            await copy.delete()
    found = {(each.namespace, each.name): each for each in maps}
    for (namespace, name), original in wanted.items():
        existing = found.get((namespace, name))
        if existing is None:
            labels = {COPY_OF: f"{original.namespace}.{original.name}"}
            await (await ConfigMap(
                {"metadata": {"name": name, "namespace": namespace, "labels": labels}, "data": original.raw.get("data", {})}, api=api,
            )).create()
        elif COPY_OF in existing.labels and existing.raw.get("data", {}) != original.raw.get("data", {}):
            await existing.patch([{"op": "add", "path": "/data", "value": original.raw.get("data", {})}], type="json")


def is_wanted(original: ConfigMap, target: Namespace) -> bool:
    label = original.labels.get(COPY_TO)
    return label is not None and label in target.labels and target.name != original.namespace and "deletionTimestamp" not in target.metadata


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO)
    asyncio.run(run())
