"""Reads: get, list in pages, and watch, at whichever revision was asked for.

https://kubernetes.io/docs/reference/using-api/api-concepts/#efficient-detection-of-changes
"""
from __future__ import annotations

import base64
import posixpath
import string
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any, Final

import anyio
import msgspec
from msgspec.structs import replace

from kubelet_lite.actors.environment import Environment
from kubelet_lite.api import selectors
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
from kubelet_lite.api.meta_v1 import ObjectMeta
from kubelet_lite.api.requests import ListOptions, ListResult, WatchEvent
from kubelet_lite.registry.stored import Stored
from kubelet_lite.store import Compacted, Event, Key, Store
from kubelet_lite.store.watch import WatchChannel

BOOKMARK_SECONDS: Final = 60.0
"""How often a watch that wants bookmarks gets one, as kube-apiserver does about."""
LAST_BOOKMARK_SECONDS: Final = 2.0
"""A bookmark comes so long before a watch ends by its timeout."""
INITIAL_EVENTS_END: Final = "k8s.io/initial-events-end"
SCANNED_AT_ONCE: Final = 2_000
"""Objects looked at, or sent as initial events, between two awaits."""
INCONSISTENT: Final = (
    "The provided continue parameter is too old to display a consistent list result. You can start a new list without the continue "
    "parameter, or use the continue token in this response to retrieve the remainder of the results. Continuing with the provided token "
    "results in an inconsistent list - objects that were created, modified, or deleted between the time the first chunk was returned and "
    "now may show up in the list."
)
TOO_OLD_LIST: Final = "The resourceVersion for the provided list is too old."

_ALPHABET: Final = frozenset(string.ascii_letters + string.digits + "-_")
Matches = Callable[[Any], bool]


class Filter(msgspec.Struct, frozen=True, eq=False):
    """Label and field selector of one request. `name`, `field`: what the store itself can select by."""

    matches: Matches | None
    """None: everything."""
    namespace: str
    name: str
    field: tuple[str, str] | None
    nothing: bool
    """Contradicts itself."""


class Reader:
    """Reads from one store. `indexed`: the fields by which the store selects, for each resource."""

    def __init__(self, store: Store, environment: Environment, indexed: Callable[[str], Sequence[str]]) -> None:
        self._store = store
        self._environment = environment
        self._indexed = indexed

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
        chosen = self.filter(target, namespace, options)
        after: tuple[str, str] | None = None
        revision: int | None = None
        if options.continue_:
            if options.resource_version and options.resource_version != "0":
                raise BadRequest("specifying resource version is not allowed when using continue")
            at, after = _parse_continue(options.continue_, namespace, target.resource.namespaced)
            revision = at if at > 0 else None
        elif options.resource_version not in ("", "0"):
            wanted = _revision(options.resource_version)
            self._await_revision(wanted)
            if options.resource_version_match == "Exact" or (options.limit and not options.resource_version_match):
                revision = wanted
        if options.resource_version == "0" and not options.resource_version_match:
            options = replace(options, limit=0)  # the watch cache answers whole lists
        try:
            return await self._page(target, chosen, max(options.limit, 0), after, revision)
        except Compacted as error:
            if after is None:
                raise Expired(TOO_OLD_LIST) from error
            token = _continue(-1, after, target.resource.namespaced, namespace)
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
            token = _continue(page.revision, _place(page.items[-1]), target.resource.namespaced, chosen.namespace) if page.more else ""
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
                    if limit and len(found) > limit:
                        token = _continue(at, _place(found[limit - 1]), target.resource.namespaced, chosen.namespace)
                        return ListResult(items=tuple(found[:limit]), resource_version=str(at), continue_=token)
            if not page.more:
                return ListResult(items=tuple(found), resource_version=str(at))
            after = _place(page.items[-1])
            await self._environment.sleep(0)

    # Watch

    @asynccontextmanager
    async def watch(self, target: Stored, namespace: str, options: ListOptions) -> AsyncIterator[AsyncIterator[Sequence[WatchEvent]]]:
        """Batches of events until the timeout of the options. Raises Expired, also while it is read."""
        _check_watch(options)
        chosen = self.filter(target, namespace, options)
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
        with self._open(target, chosen, min(start, self._store.revision)) as channel:
            yield WatchStream(target, chosen, options, channel, initial, after if start == after else 0, self._environment)

    def _open(self, target: Stored, chosen: Filter, after: int) -> WatchChannel:
        try:
            return self._store.watch(
                target.resource.qualified, after=after, namespace=chosen.namespace, name=chosen.name, field=chosen.field,
            )
        except Compacted as error:
            raise Expired(f"too old resource version: {after} ({error.compacted})") from error

    # Selectors and revisions

    def filter(self, target: Stored, namespace: str, options: ListOptions) -> Filter:
        """What the selectors of the options select. Raises BadRequest."""
        if not options.label_selector and not options.field_selector:
            return Filter(None, namespace, "", None, False)
        try:
            labels = selectors.parse_labels(options.label_selector)
            fields = selectors.parse_fields(options.field_selector) if options.field_selector else ()
        except selectors.SelectorError as error:
            raise BadRequest(str(error)) from error
        checks: list[Matches] = []
        name, indexed, nothing = "", None, False
        for requirement in fields:
            getter = target.fields.get(requirement.field)
            if getter is None:
                raise BadRequest(_unknown_field(target, requirement.field))
            if requirement.equal and requirement.field == "metadata.namespace":
                nothing = nothing or (bool(namespace) and namespace != requirement.value)
                namespace = namespace or requirement.value
            elif requirement.equal and requirement.field == "metadata.name" and requirement.value:
                nothing = nothing or (bool(name) and name != requirement.value)
                name = requirement.value
            elif requirement.equal and requirement.field in self._indexed(target.resource.qualified):
                indexed = (requirement.field, requirement.value)
            checks.append(_field_check(getter, requirement.value, requirement.equal))
        if not labels.empty:
            checks.append(_label_check(labels))
        matches = None if not checks else checks[0] if len(checks) == 1 else _all_of(checks)
        return Filter(matches, namespace, name, indexed, nothing)

    def _await_revision(self, wanted: int) -> None:
        """Raises Timeout for a revision that has not happened: in this process nothing is behind, so waiting would not bring it."""
        if wanted > self._store.revision:
            raise Timeout(
                f"Too large resource version: {wanted}, current: {self._store.revision}", retry_after_seconds=1,
                causes=(Cause(reason="ResourceVersionTooLarge", message="Too large resource version"),),
            )


class WatchStream:
    """The events of one watch, in batches; ends by the timeout of its options. (No generator: those end when the collector finds them.)"""

    def __init__(
        self, target: Stored, chosen: Filter, options: ListOptions, channel: WatchChannel, initial: Sequence[Any], not_before: int,
        environment: Environment,
    ) -> None:
        self._target = target
        self._chosen = chosen
        self._channel = channel
        self._not_before = not_before
        """Set where a revision was asked for that had not happened yet: events up to it are nobody's."""
        self._environment = environment
        self._now = environment.monotonic
        self._bookmarks = options.allow_watch_bookmarks
        self._ends = self._now() + options.timeout_seconds if options.timeout_seconds else None
        self._initial = initial
        self._sent = 0
        """How many of `initial` have been."""
        self._ends_initial = bool(options.send_initial_events and self._bookmarks)
        """Whether a bookmark is due when they all have."""
        self._marks_at = self._next_mark() if self._bookmarks else None

    def __aiter__(self) -> AsyncIterator[Sequence[WatchEvent]]:
        return self

    async def __anext__(self) -> Sequence[WatchEvent]:
        if self._sent < len(self._initial) or self._ends_initial:
            return await self._next_initial()
        while True:
            events = self._selected(await self._next_batch())
            if events:
                return events
            if self._marks_at is not None and self._now() >= self._marks_at:
                self._marks_at = self._next_mark()
                return [_bookmark(self._target, self._channel.progress)]
            if self._ends is not None and self._now() >= self._ends:
                raise StopAsyncIteration

    async def _next_initial(self) -> Sequence[WatchEvent]:
        """What was there when the watch began, a part at a time."""
        if self._sent:
            await self._environment.sleep(0)
        part = self._initial[self._sent:self._sent + SCANNED_AT_ONCE]
        self._sent += len(part)
        events = [WatchEvent("ADDED", self._target.view(obj)) for obj in part]
        if self._sent == len(self._initial):
            self._initial, self._sent = (), 0
            if self._ends_initial:
                self._ends_initial = False
                events.append(_bookmark(self._target, self._channel.progress, initial_end=True))
        return events

    async def _next_batch(self) -> Sequence[Event]:
        """What has happened; nothing when it is time for something else."""
        wakes_at = self._ends if self._marks_at is None else self._marks_at
        batch: Sequence[Event] = ()
        try:
            if wakes_at is None:
                return await self._channel.next_batch()
            with anyio.move_on_after(wakes_at - self._now()):
                batch = await self._channel.next_batch()
        except Compacted as error:
            raise Expired(f"too old resource version: {self._channel.progress} ({error.compacted})") from error
        return batch

    def _next_mark(self) -> float | None:
        """When the next bookmark is due: never again when the watch is about to end."""
        now = self._now()
        if self._ends is None:
            return now + BOOKMARK_SECONDS
        at = min(now + BOOKMARK_SECONDS, self._ends - LAST_BOOKMARK_SECONDS)
        return at if at > now else None

    def _selected(self, batch: Sequence[Event]) -> Sequence[WatchEvent]:
        if not batch or self._chosen.nothing:
            return ()
        if batch[0].revision <= self._not_before:
            batch = [event for event in batch if event.revision > self._not_before]
        matches, view = self._chosen.matches, self._target.view
        events = []
        for event in batch:
            obj, previous = event.object, event.previous
            if matches is not None:
                if previous is not None and not matches(previous):
                    previous = None
                if obj is not None and not matches(obj):
                    obj = None
                if obj is None and previous is None:
                    continue
            if obj is None:
                last = event.final if event.final is not None else _at(previous, event.revision)
                events.append(WatchEvent("DELETED", view(last)))
            else:
                events.append(WatchEvent("ADDED" if previous is None else "MODIFIED", view(obj)))
        return events


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


def _unknown_field(target: Stored, field: str) -> str:
    if target.own_fields:
        return target.rules.field_error.format(field)
    known = ", ".join(f'"{name}"' for name in ("metadata.name", "metadata.namespace"))
    return f'"{field}" is not a known field selector: only {known}'


def _field_check(getter: Callable[[Any], str], value: str, equal: bool) -> Matches:
    return lambda obj: (getter(obj) == value) is equal


def _label_check(labels: selectors.Selector) -> Matches:
    matches = labels.matches
    return lambda obj: matches(obj.metadata.labels)


def _all_of(checks: Sequence[Matches]) -> Matches:
    return lambda obj: all(check(obj) for check in checks)


def _place(obj: Any) -> tuple[str, str]:
    return obj.metadata.namespace, obj.metadata.name


def _at(obj: Any, revision: int) -> Any:
    return replace(obj, metadata=replace(obj.metadata, resourceVersion=str(revision)))


def _bookmark(target: Stored, revision: int, *, initial_end: bool = False) -> WatchEvent:
    annotations = {INITIAL_EVENTS_END: "true"} if initial_end else {}
    return WatchEvent("BOOKMARK", target.served.type(metadata=ObjectMeta(resourceVersion=str(revision), annotations=annotations)))


class _Token(msgspec.Struct, omit_defaults=True):
    """Kubernetes' own form of a continue token."""

    v: str
    rv: int
    start: str


def _continue(revision: int, place: tuple[str, str], namespaced: bool, namespace: str) -> str:
    """A token to go on behind `place`."""
    start = place[1] if namespace or not namespaced else f"{place[0]}/{place[1]}"
    data = msgspec.json.encode(_Token("meta.k8s.io/v1", revision, start + "\0"))
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _parse_continue(text: str, namespace: str, namespaced: bool) -> tuple[int, tuple[str, str]]:
    """(revision, the place behind which to go on). Raises BadRequest."""
    try:
        token = msgspec.json.decode(_base64(text), type=_Token)
    except (ValueError, msgspec.MsgspecError) as error:
        raise _bad_token(f": {error}") from error
    if token.v != "meta.k8s.io/v1":
        raise _bad_token(f": server does not recognize this encoded version {token.v}")
    if token.rv == 0:
        raise _bad_token(": incorrect encoded start resourceVersion (version meta.k8s.io/v1)")
    if not token.start:
        raise _bad_token(": encoded start key empty (version meta.k8s.io/v1)")
    start = token.start.rstrip("\0").removeprefix("/")
    if posixpath.normpath(f"/{start}") != f"/{start}":
        raise _bad_token(f": {token.start}")
    if namespace or not namespaced:
        return token.rv, (namespace, start)
    head, _, tail = start.partition("/")
    return token.rv, (head, tail)


def _bad_token(why: str) -> BadRequest:
    return BadRequest(f"invalid continue token: continue key is not valid{why}")


def _base64(text: str) -> bytes:
    """As Go reads it: URL alphabet, no padding."""
    wrong = next((i for i, letter in enumerate(text) if letter not in _ALPHABET), len(text) - 1 if len(text) % 4 == 1 else -1)
    if wrong >= 0:
        raise ValueError(f"illegal base64 data at input byte {wrong}")
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
