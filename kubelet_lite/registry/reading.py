"""Reads: get, list in pages, and watch, at whichever revision was asked for.

https://kubernetes.io/docs/reference/using-api/api-concepts/#efficient-detection-of-changes
"""
from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any, Final
from weakref import WeakKeyDictionary

from msgspec.structs import replace

from kubelet_lite.actors.environment import Environment
from kubelet_lite.api.errors import (
    ApiError,
    BadRequest,
    Cause,
    Expired,
    FieldError,
    Invalid,
    NotFound,
    Timeout,
    forbidden,
    not_supported,
)
from kubelet_lite.api.requests import ListOptions, ListResult, WatchEvent
from kubelet_lite.registry import continue_token
from kubelet_lite.registry.selection import Filter, filter_of
from kubelet_lite.registry.stored import Stored
from kubelet_lite.registry.watching import Shown, WatchStream
from kubelet_lite.store import Compacted, Key, Store
from kubelet_lite.store.watch import WatchChannel

SCANNED_AT_ONCE: Final = 2_000
"""Objects that a filtered page looks at between two awaits."""
INCONSISTENT: Final = (
    "The provided continue parameter is too old to display a consistent list result. You can start a new list without the continue "
    "parameter, or use the continue token in this response to retrieve the remainder of the results. Continuing with the provided token "
    "results in an inconsistent list - objects that were created, modified, or deleted between the time the first chunk was returned and "
    "now may show up in the list."
)
TOO_OLD_LIST: Final = "The resourceVersion for the provided list is too old."

class Reader:
    """Reads from one store. `indexed`: the fields by which the store selects, for each resource."""

    def __init__(self, store: Store, environment: Environment, indexed: Callable[[str], Sequence[str]]) -> None:
        self._store = store
        self._environment = environment
        self._indexed = indexed
        self._shown: WeakKeyDictionary[Stored, Shown] = WeakKeyDictionary()

    def get(self, target: Stored, namespace: str, name: str, resource_version: str = "") -> Any:
        """The stored object. Raises NotFound."""
        if resource_version:
            self._await_revision(_revision(resource_version))
        obj = self._store.get(Key(target.resource.qualified, namespace, name))
        if obj is None:
            raise NotFound.of(target.served.group, target.served.plural, name)
        return obj

    # List

    async def list(self, target: Stored, namespace: str, options: ListOptions) -> ListResult:
        """One page of stored objects."""
        _check_list(options)
        chosen = filter_of(target, namespace, options, self._indexed(target.resource.qualified))
        after: tuple[str, str] | None = None
        revision: int | None = None
        if options.continue_:
            if options.resource_version and options.resource_version != "0":
                raise BadRequest("specifying resource version is not allowed when using continue")
            at, after = continue_token.parse(options.continue_, namespace, target.resource.namespaced)
            revision = at if at > 0 else None
        elif options.resource_version not in ("", "0"):
            wanted = _revision(options.resource_version)
            self._await_revision(wanted)
            if options.resource_version_match == "Exact" or (options.limit and not options.resource_version_match):
                revision = wanted
        if options.resource_version == "0":
            options = replace(options, limit=0)  # Kubernetes' watch cache answers whole lists
        try:
            return await self._page(target, chosen, max(options.limit, 0), after, revision)
        except Compacted as error:
            if after is None:
                raise Expired(TOO_OLD_LIST) from error
            token = continue_token.encode(continue_token.LATEST, after, target.resource.namespaced, namespace)
            raise Expired(INCONSISTENT, continue_=token) from error

    async def _page(
        self, target: Stored, chosen: Filter, limit: int, after: tuple[str, str] | None, revision: int | None,
    ) -> ListResult:
        resource, matches = target.resource.qualified, chosen.matches
        at = revision if revision is not None else self._store.revision
        if chosen.nothing:
            return ListResult(items=(), resource_version=str(at))
        if matches is None:
            page = self._store.list(resource, chosen.namespace, revision=revision, after=after, limit=limit)
            token = continue_token.encode(page.revision, _place(page.items[-1]), target.resource.namespaced, chosen.namespace) if page.more else ""
            return ListResult(
                items=page.items, resource_version=str(page.revision), continue_=token, remaining=page.remaining if page.more else None,
            )
        found: list[Any] = []
        while True:
            page = self._store.list(
                resource, chosen.namespace, revision=at, after=after, limit=SCANNED_AT_ONCE, field=chosen.field if revision is None else None,
            )
            for obj in page.items:
                if matches(obj):
                    found.append(obj)
                    if len(found) == limit:  # there may be no match among those that follow: Kubernetes does not look either
                        more = page.more or obj is not page.items[-1]
                        token = continue_token.encode(at, _place(obj), target.resource.namespaced, chosen.namespace) if more else ""
                        return ListResult(items=tuple(found), resource_version=str(at), continue_=token)
            if not page.more:
                return ListResult(items=tuple(found), resource_version=str(at))
            after = _place(page.items[-1])
            await self._environment.sleep(0)

    # Watch

    @asynccontextmanager
    async def watch(self, target: Stored, namespace: str, options: ListOptions) -> AsyncIterator[AsyncIterator[Sequence[WatchEvent]]]:
        """Batches of events until the timeout of the options. Raises Expired, also while it is read."""
        _check_watch(options)
        chosen = filter_of(target, namespace, options, self._indexed(target.resource.qualified))
        after = _revision(options.resource_version) if options.resource_version else 0
        send = options.send_initial_events if options.send_initial_events is not None else not after
        initial: Sequence[Any] = ()
        start = after
        if send or not after:
            if after:
                self._await_revision(after)
            start = self._store.revision
            if send:
                initial = (await self._page(target, chosen, 0, None, None)).items if not chosen.nothing else ()
        channel = self._open(target, chosen, min(start, self._store.revision))
        not_before = after if start == after else 0
        shown = self._shown.get(target)
        if shown is None:
            shown = self._shown[target] = Shown(target)
        with WatchStream(target, chosen, options, channel, initial, not_before, self._environment, shown) as stream:
            end = stream.end
            target.watched(end)
            try:
                yield stream
            finally:
                target.unwatched(end)

    def _open(self, target: Stored, chosen: Filter, after: int) -> WatchChannel:
        try:
            return self._store.watch(
                target.resource.qualified, after=after, namespace=chosen.namespace, name=chosen.name, field=chosen.field,
            )
        except Compacted as error:
            raise Expired(f"too old resource version: {after} ({error.compacted})") from error

    # Selectors and revisions

    def _await_revision(self, wanted: int) -> None:
        """Raises Timeout for a revision that has not happened: in this process nothing is behind, so waiting would not bring it."""
        if wanted > self._store.revision:
            raise Timeout(
                f"Too large resource version: {wanted}, current: {self._store.revision}", retry_after_seconds=1,
                causes=(Cause(reason="ResourceVersionTooLarge", message="Too large resource version"),),
            )


def _check_list(options: ListOptions) -> None:
    wrong: list[FieldError] = []
    if match := options.resource_version_match:
        if not options.resource_version:
            wrong.append(forbidden("resourceVersionMatch", "resourceVersionMatch is forbidden unless resourceVersion is provided"))
        if options.continue_:
            wrong.append(forbidden("resourceVersionMatch", "resourceVersionMatch is forbidden when continue is provided"))
        if match not in ("Exact", "NotOlderThan"):
            wrong.append(not_supported("resourceVersionMatch", match, ("Exact", "NotOlderThan", "")))
        if match == "Exact" and options.resource_version == "0":
            wrong.append(forbidden("resourceVersionMatch", 'resourceVersionMatch "exact" is forbidden for resourceVersion "0"'))
    if options.send_initial_events is not None:
        wrong.append(forbidden("sendInitialEvents", "sendInitialEvents is forbidden for list"))
    if wrong:
        raise Invalid.of("meta.k8s.io", "ListOptions", "", wrong)


def _check_watch(options: ListOptions) -> None:
    wrong: list[FieldError] = []
    match = options.resource_version_match
    if options.send_initial_events is not None and match != "NotOlderThan":
        wrong.append(forbidden("resourceVersionMatch", "sendInitialEvents requires setting resourceVersionMatch to NotOlderThan"))
    if match:
        if options.send_initial_events is None:
            wrong.append(forbidden("resourceVersionMatch", "resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided"))
        if match != "NotOlderThan":
            wrong.append(not_supported("resourceVersionMatch", match, ("NotOlderThan",)))
        if options.continue_:
            wrong.append(forbidden("resourceVersionMatch", "resourceVersionMatch is forbidden when continue is provided"))
    if wrong:
        raise Invalid.of("meta.k8s.io", "ListOptions", "", wrong)


def _revision(text: str) -> int:
    if text.isascii() and text.isdigit():
        return int(text)
    raise ApiError(f'resourceVersion: Invalid value: "{text}": strconv.ParseUint: parsing "{text}": invalid syntax', code=500, reason="")


def _place(obj: Any) -> tuple[str, str]:
    return obj.metadata.namespace, obj.metadata.name
