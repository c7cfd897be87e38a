"""Carries out the actions of a plan: creates in batches of 1, 2, 4, …, deletes all at once, the rest in order; ends at the first failure."""
from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from typing import Any, Final

import anyio
import msgspec

from kubelet_lite.actors import logs
from kubelet_lite.api.errors import AlreadyExists, ApiError, Conflict, NotFound
from kubelet_lite.api.requests import JSON_PATCH
from kubelet_lite.client.base import Client, Preconditions
from kubelet_lite.client.events import EventRecorder
from kubelet_lite.controllers.base import (
    Action,
    Create,
    Delete,
    Failure,
    Patch,
    Record,
    Update,
    Write,
    controller_of,
    key_of,
)

FIRST_BATCH: Final = 1
"""Creates at once at first; each batch without a failure doubles it."""
DELETES_AT_ONCE: Final = 500
"""As many as the most that a ReplicaSet deletes before it looks again."""
DELETE_ATTEMPTS: Final = 10
"""An object that somebody else has written again at each of them is left to the key's next turn, which comes later and later."""
NAMESPACE_TERMINATING: Final = "NamespaceTerminating"

_log = logs.get_logger()


class Outcome(msgspec.Struct):
    """What became of a plan's actions."""

    written: list[Any] = msgspec.field(default_factory=list)
    """Objects as the server answered."""
    deleted: list[Any] = msgspec.field(default_factory=list)
    """Objects, as they were known, that are gone or will be."""
    failures: list[Failure] = msgspec.field(default_factory=list)


class Executor:
    """Acts for one controller."""

    def __init__(self, client: Client, recorder: EventRecorder) -> None:
        self._client = client
        self._recorder = recorder

    async def carry_out(self, actions: Sequence[Action], cause: str = "") -> Outcome:
        """Never raises an ApiError: failures are part of the outcome."""
        outcome = Outcome()
        for kind, same in itertools.groupby(actions, type):
            run = list(same)
            if issubclass(kind, Create):
                await self._create(run, outcome, cause)
            else:
                size = DELETES_AT_ONCE if issubclass(kind, Delete) else 1
                for start in range(0, len(run), size):
                    await self._at_once(run[start:start + size], outcome, cause)
                    if outcome.failures:
                        break
            if outcome.failures:
                break
        return outcome

    async def _create(self, creates: Sequence[Action], outcome: Outcome, cause: str) -> None:
        start, size = 0, FIRST_BATCH
        while start < len(creates) and not outcome.failures:
            await self._at_once(creates[start:start + size], outcome, cause)
            start, size = start + size, size * 2

    async def _at_once(self, actions: Sequence[Action], outcome: Outcome, cause: str) -> None:
        if len(actions) == 1:
            await self._one(actions[0], outcome, cause)
            return
        async with anyio.create_task_group() as tasks:
            for action in actions:
                tasks.start_soon(self._one, action, outcome, cause)

    async def _one(self, action: Action, outcome: Outcome, cause: str) -> None:
        if isinstance(action, Record):
            self._recorder.record(action.about, action.type, action.reason, action.message)
            return
        try:
            answer = await self._send(action, outcome, cause)
        except ApiError as error:
            self._failed(action, error, outcome)
            return
        if isinstance(action, Delete):
            outcome.deleted.append(action.object)
        else:
            outcome.written.append(answer)
        if action.success is not None:
            name = action.object.metadata.name or answer.metadata.name
            self._record(action.success, name)

    async def _send(self, action: Write, outcome: Outcome, cause: str) -> Any:
        client, obj = self._client, action.object
        namespace, name = obj.metadata.namespace, obj.metadata.name
        match action:
            case Create():
                return await client.create(obj, cause=cause)
            case Update():
                return await client.update(obj, subresource=action.subresource, cause=cause)
            case Patch():
                if action.if_alive is not None:
                    await self._check_alive(action.if_alive)
                return await client.patch(
                    type(obj), name, _guarded(action), namespace=namespace, subresource=action.subresource,
                    content_type=action.content_type, cause=cause,
                )
            case Delete():
                return await self._delete(action, obj, cause)

    async def _delete(self, action: Delete, obj: Any, cause: str, attempt: int = 1) -> Any:
        """`obj`: as it is known."""
        metadata = obj.metadata
        pinned = action.if_unchanged or action.if_managed
        conditions = Preconditions(uid=metadata.uid, resource_version=metadata.resourceVersion if pinned else None)
        try:
            return await self._client.delete(
                type(obj), metadata.name, namespace=metadata.namespace, propagation=action.propagation,
                grace_period_seconds=action.grace_period_seconds, preconditions=conditions, cause=cause,
            )
        except Conflict:
            if not action.if_managed or attempt == DELETE_ATTEMPTS:
                raise
        fresh = await self._client.get(type(obj), metadata.name, namespace=metadata.namespace)
        manager, now = controller_of(obj), controller_of(fresh)
        if fresh.metadata.uid != metadata.uid or manager is None or now is None or now.uid != manager.uid:
            raise NotFound(f"{key_of(obj)} is no longer what was to be deleted")
        return await self._delete(action, fresh, cause, attempt + 1)

    async def _check_alive(self, owner: Any) -> None:
        """Raises Conflict for one that is gone or about to be: it must not take anything any more."""
        metadata = owner.metadata
        fresh = await self._client.get(type(owner), metadata.name, namespace=metadata.namespace)
        if fresh.metadata.uid != metadata.uid:
            raise Conflict(f"original {owner.kind} {key_of(owner)} is gone: got uid {fresh.metadata.uid}, wanted {metadata.uid}")
        if fresh.metadata.deletionTimestamp is not None:
            raise Conflict(f"{owner.kind} {key_of(owner)} has just been deleted at {fresh.metadata.deletionTimestamp}")

    def _failed(self, action: Write, error: ApiError, outcome: Outcome) -> None:
        if isinstance(action, Create):
            if any(cause.reason == NAMESPACE_TERMINATING for cause in error.causes):
                return
        elif isinstance(error, NotFound) or (isinstance(action, Delete) and isinstance(error, Conflict) and not (action.if_unchanged or action.if_managed)):
            outcome.deleted.append(action.object)
            return
        outcome.failures.append(Failure(action, error))
        _log.info(
            "action_failed", action=type(action).__name__, kind=type(action.object).__name__, object=str(key_of(action.object)),
            error=error.message,
        )
        if action.failure is not None and not isinstance(error, AlreadyExists):
            self._record(action.failure, action.object.metadata.name, error.message)

    def _record(self, record: Record, name: str, error: str = "") -> None:
        message = record.message.replace("{name}", name).replace("{error}", error)
        self._recorder.record(record.about, record.type, record.reason, message)


def _guarded(action: Patch) -> Any:
    """The patch with the UID that the object must have."""
    metadata = action.object.metadata
    if action.content_type == JSON_PATCH:
        tests = [{"op": "test", "path": "/metadata/uid", "value": metadata.uid}]
        if action.if_unchanged:
            tests.append({"op": "test", "path": "/metadata/resourceVersion", "value": metadata.resourceVersion})
        return [*tests, *action.change]
    change: Mapping[str, Any] = action.change
    guard = {"uid": metadata.uid}
    if action.if_unchanged:
        guard["resourceVersion"] = metadata.resourceVersion
    return {**change, "metadata": {**change.get("metadata", {}), **guard}}
