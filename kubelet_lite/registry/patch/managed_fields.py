"""Who owns which field: metadata.managedFields of an object after a create, update or patch (server-side apply has its own file).

`updated` is on every write's path, so it is cheap: what did not change is found by comparing whole parts, sets that stay are not
written again, and the set of a created object is remembered by the object's shape.
https://kubernetes.io/docs/reference/using-api/server-side-apply/#field-management
"""
from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cache
from operator import attrgetter
from typing import Any, Final, NamedTuple

import msgspec

from kubelet_lite.api.meta_v1 import ManagedFieldsEntry
from kubelet_lite.api.resources import Resource
from kubelet_lite.api.timestamps import format_time
from kubelet_lite.api.unstructured import Unstructured
from kubelet_lite.registry.patch.comparison import Comparison, MergeError, compare
from kubelet_lite.registry.patch.field_set import EMPTY, FieldSet, fields, of, parse
from kubelet_lite.registry.patch.reset_fields import ignored
from kubelet_lite.registry.patch.schema import node_of, root_node
from kubelet_lite.registry.patch.shape import change_of, fields_of, shape_of
from kubelet_lite.registry.sharing import Recurring

MAX_UPDATE_MANAGERS: Final = 10
"""Entries of managers that update; the oldest beyond are merged into one."""
OLD_UPDATES: Final = "ancient-changes"
MAX_SHAPES: Final = 4096
"""Shapes of created objects whose sets are remembered."""
MAX_STEPS: Final = 16_384
"""Changes whose steps are remembered."""

Entries = tuple[ManagedFieldsEntry, ...]
Convert = Callable[[Any, str], Any]
"""(object, API version) → the object in that version, or None where there is no such version."""
IDENTITY: Final = frozenset((
    "clusterName", "creationTimestamp", "generation", "managedFields", "name", "namespace", "resourceVersion", "selfLink", "uid",
))
"""Fields of metadata that nobody owns."""
_NEVER_OWNED: Final = of([fields("apiVersion"), fields("kind"), fields("metadata"), *(fields("metadata", name) for name in sorted(IDENTITY))])


class ManagerKey(NamedTuple):
    """Entries of one manager under one operation, version and subresource are one. Apply has one whatever its version."""

    operation: str
    manager: str
    api_version: str
    subresource: str


class Owned(NamedTuple):
    """One entry, decoded; `entry` is what it was read from as long as nothing changed."""

    fields: FieldSet
    api_version: str
    time: str | None
    entry: ManagedFieldsEntry | None = None


Managers = dict[ManagerKey, Owned]


def updated(
    live: Any | None, new: Any, *, manager: str, operation: str = "Update", subresource: str = "", now: float, resource: Resource,
    convert: Convert | None = None,
) -> Entries:
    """The entries of `new` after a write by `manager` at `now` (Unix seconds): live (None on create) is what was stored, both in
    the request's version; `live`'s own entries where the write changes nothing.

    To be called with `new` decoded and defaulted, before admission and before the kind puts back what a write cannot change.
    """
    assert operation == "Update"
    if live is None and not new.metadata.managedFields:
        return _of_creation(new, manager, subresource, now, resource)
    stored = _given(live, new, subresource)
    if not stored and live is not None:
        return ()
    mine = ManagerKey(operation, manager, resource.api_version, subresource)
    try:
        steps = _remembered_steps(live, new, mine, stored, resource) if live is not None else None
        if steps is None:
            steps = _steps(live, new, mine, stored, resource, convert)
    except (MergeError, ValueError):
        return ()
    return _carried_out(steps, stored, mine, format_time(now))


class Step(NamedTuple):
    """What becomes of one entry. An entry that no step is about goes."""

    entry: int
    """Which of the stored ones; -1: a new one of the manager."""
    data: bytes | None
    """Its new set; None: the old one."""
    timed: bool
    """Whether the manager has set something by this write."""


Steps = tuple[Step, ...]


def _carried_out(steps: Steps, stored: Entries, mine: ManagerKey, now: str) -> Entries:
    if len(steps) == len(stored) and all(data is None and not timed for _, data, timed in steps):
        return stored
    time = None if mine.subresource == "scale" else now
    found = []
    for position, data, timed in steps:
        if position < 0:
            found.append(_entry(mine, mine.api_version, time, data or b"{}"))
            continue
        entry = stored[position]
        if timed and entry.time != time:
            entry = msgspec.structs.replace(entry, time=time)
        found.append(entry if data is None else msgspec.structs.replace(entry, fieldsV1=msgspec.Raw(data)))
    if len(found) > MAX_UPDATE_MANAGERS:
        return encoded(capped(decode(found)))
    return tuple(sorted(found, key=_entry_order)) if len(found) > 1 else tuple(found)


def _entry_order(entry: ManagedFieldsEntry) -> Any:
    return entry.operation, entry.time or "", entry.manager, entry.apiVersion, entry.subresource


_STEPS: Final[Recurring[Steps]] = Recurring(MAX_STEPS)
_encode: Final = msgspec.json.encode


def _remembered_steps(live: Any, new: Any, mine: ManagerKey, stored: Entries, resource: Resource) -> Steps | None:
    """The steps by the shape of the change and the present sets; None where they are to be worked out each time."""
    if type(live) is not type(new) or isinstance(new, Unstructured):
        return None
    without = _without(resource, mine.subresource)
    names = _names(live, new)
    if names:
        live, new, stored = _renamed(live, names), _renamed(new, names), _with_names(stored, names)
    change = change_of(live, new, without, IDENTITY)
    changed: Sequence[bytes] | None = None
    sets: list[tuple[str, str, str, bytes | None]] = []
    for e in stored:
        if e.apiVersion != resource.api_version:
            return None
        data = bytes(e.fieldsV1)
        if e.manager != mine.manager or e.subresource != mine.subresource or e.operation != mine.operation:
            if changed is None:
                changed = [b'"f:%b"' % name.encode() for name in fields_of(change, type(new), without, IDENTITY)]
            if _stays(data, changed):
                sets.append((e.manager, e.operation, e.subresource, None))
                continue
        sets.append((e.manager, e.operation, e.subresource, data))
    if not change:
        return tuple(Step(i, None, False) for i in range(len(stored)))
    key = (resource, mine, change, *sets)
    known = _STEPS.get(key)
    if known is None:
        known = _steps(live, new, mine, stored, resource, None)
        _STEPS.add(key, known)
    return _with_names_back(known, names) if names else known


_OWNERS: Final = attrgetter("metadata.ownerReferences")
_ADDRESSES: Final = ("podIPs", "hostIPs")
Names = Mapping[tuple[str, str], str]


def _names(live: Any, new: Any) -> Names:
    """Keys of list items that are others in each object: addresses of a pod, the UID of an owner. What stands for each while steps are
    looked up, so that the steps of one object are those of the next. Where a list has more of them than one, their order would matter."""
    found: dict[tuple[str, str], str] = {}
    owners = _OWNERS(new)
    if len(owners) == 1 and owners == _OWNERS(live):
        found["uid", owners[0].uid] = "#0"
    kind: Any = type(new)
    if _has_addresses(kind):
        lists = [dict.fromkeys(item.ip for status in (live.status, new.status) for item in getattr(status, field)) for field in _ADDRESSES]
        for address in dict.fromkeys(itertools.chain(*lists)) if all(len(addresses) <= 1 for addresses in lists) else ():
            found["ip", address] = f"#{len(found)}"
    return found


@cache
def _has_addresses(kind: Any) -> bool:
    return "status" in kind.__struct_fields__ and set(_ADDRESSES) <= set(kind().status.__struct_fields__)


def _renamed(obj: Any, names: Names) -> Any:
    """The owner keeps its name: it does not change, so that nobody looks at it."""
    kind: Any = type(obj)
    if not _has_addresses(kind):
        return obj
    status = obj.status
    changes = {
        field: tuple(msgspec.structs.replace(item, ip=names.get(("ip", item.ip), item.ip)) for item in items)
        for field in _ADDRESSES if (items := getattr(status, field))
    }
    return msgspec.structs.replace(obj, status=msgspec.structs.replace(status, **changes)) if changes else obj


def _with_names(entries: Entries, names: Names) -> Entries:
    pairs = [(_key_text(field, value), _key_text(field, name)) for (field, value), name in names.items()]
    return tuple(msgspec.structs.replace(entry, fieldsV1=msgspec.Raw(_replaced(bytes(entry.fieldsV1), pairs))) for entry in entries)


def _with_names_back(steps: Steps, names: Names) -> Steps:
    pairs = [(_key_text(field, name), _key_text(field, value)) for (field, value), name in names.items()]
    return tuple(step if step.data is None else step._replace(data=_replaced(step.data, pairs)) for step in steps)


def _key_text(field: str, value: str) -> bytes:
    """The key of an item as it stands in a set, a text within a text."""
    return _encode(_encode({field: value}).decode())[1:-1]


def _replaced(data: bytes, pairs: Iterable[tuple[bytes, bytes]]) -> bytes:
    for old, new in pairs:
        data = data.replace(old, new)
    return data


def _stays(data: bytes, changed: Sequence[bytes]) -> bool:
    """Whether another manager's set has none of the changed fields: it stays, whatever is in it. Who owns the metadata and spec of a pod, its
    owner's UID included, does not matter to a change of its status."""
    return data != b"{}" and not any(field in data for field in changed)


@cache
def _without(resource: Resource, subresource: str) -> frozenset[str]:
    """Fields of the whole object that a write through this way never changes."""
    return frozenset(element[2:] for element in ignored(resource, subresource).trees.members)


def _steps(live: Any | None, new: Any, mine: ManagerKey, stored: Entries, resource: Resource, convert: Convert | None) -> Steps:
    comparison = compare_objects(live, new, resource, mine.subresource)
    taken = comparison.added | comparison.modified
    managers = decode(stored)
    comparisons = _other_versions(live, new, resource, mine.subresource, managers, comparison, convert)
    positions = {_key(entry): i for i, entry in enumerate(stored)}
    steps = []
    for key, owned in managers.items():
        there = comparisons.get(owned.api_version)
        if there is None:
            continue
        if key == mine:
            left = (owned.fields - there.removed) | taken
        else:
            left = owned.fields - there.removed - there.added - there.modified
        if left:
            steps.append(Step(positions[key], None if left is owned.fields else left.to_fields_v1(), key == mine and bool(taken)))
    if taken and mine not in managers:
        steps.append(Step(-1, taken.to_fields_v1(), True))
    return tuple(steps)


def compare_objects(live: Any | None, new: Any, resource: Resource, subresource: str) -> Comparison:
    """What differs between two objects, but for what the write cannot change and nobody owns."""
    kind: Any = type(new)
    node = root_node(resource, new.apiVersion) if kind is Unstructured else node_of(kind)
    root, before = root_of(new), root_of(live) if live is not None else _zero(kind)
    found = ignored(resource, subresource).drop_all(compare(before, root, node))
    return Comparison(*map(without_identity, found))


def root_of(obj: Any) -> Any:
    """An object as the value to compare."""
    return {"metadata": obj.metadata, **obj.fields} if isinstance(obj, Unstructured) else obj


@cache
def _zero(kind: Any) -> Any:
    return {} if kind is Unstructured else kind()


def without_identity(owned: FieldSet) -> FieldSet:
    """Nobody owns an object's name, uid or version."""
    return owned - _NEVER_OWNED


def unchanged_but_times(live: Any, new: Any) -> bool:
    """Whether a write changes nothing except the times of managedFields: then nothing is written, and live stays as it is."""
    before, after = live.metadata, new.metadata
    if len(before.managedFields) != len(after.managedFields):
        return False
    if before.managedFields is not after.managedFields:
        for a, b in zip(before.managedFields, after.managedFields, strict=True):
            if a is not b and a != b and msgspec.structs.replace(a, time=None) != msgspec.structs.replace(b, time=None):
                return False
        after = msgspec.structs.replace(after, managedFields=before.managedFields)
        new = msgspec.structs.replace(new, metadata=after)
    return bool(live == new)


def decode(entries: Iterable[ManagedFieldsEntry]) -> Managers:
    """Raises ValueError where an entry is no set of fields."""
    managers: Managers = {}
    for entry in entries:
        if entry.operation not in ("Apply", "Update"):
            raise ValueError(f"operation must be `Apply` or `Update`: {entry.operation!r}")
        data = bytes(entry.fieldsV1)
        managers[_key(entry)] = Owned(parse(data) if data else EMPTY, entry.apiVersion, entry.time, entry)
    return managers


def _key(entry: ManagedFieldsEntry) -> ManagerKey:
    return ManagerKey(entry.operation, entry.manager, "" if entry.operation == "Apply" else entry.apiVersion, entry.subresource)


def encoded(managers: Mapping[ManagerKey, Owned]) -> Entries:
    """In Kubernetes' order: by operation, time, manager, version."""
    ordered = sorted(managers.items(), key=lambda item: (item[0].operation, item[1].time or "", item[0].manager, item[1].api_version, item[0].subresource))
    return tuple(owned.entry or _entry(key, owned.api_version, owned.time, owned.fields.to_fields_v1()) for key, owned in ordered)


def _entry(key: ManagerKey, api_version: str, time: str | None, data: bytes) -> ManagedFieldsEntry:
    return ManagedFieldsEntry(
        manager=key.manager, operation=key.operation, apiVersion=api_version, time=time, fieldsType="FieldsV1",
        fieldsV1=msgspec.Raw(data), subresource=key.subresource,
    )


def _given(live: Any | None, new: Any, subresource: str) -> Entries:
    """What the request says of managers, unless it says nothing (or nothing sensible, or is no business of a subresource)."""
    stored: Entries = live.metadata.managedFields if live is not None else ()
    sent: Entries = new.metadata.managedFields
    if not subresource and sent and sent != stored:
        if is_reset(sent):
            return ()
        if _is_sensible(sent):
            return sent
    return stored


def _is_sensible(entries: Entries) -> bool:
    try:
        decode(entries)
    except ValueError:
        return False
    return True


def is_reset(entries: Sequence[ManagedFieldsEntry]) -> bool:
    """A list of one empty entry takes all managers away."""
    return len(entries) == 1 and entries[0] == ManagedFieldsEntry()


def _other_versions(
    live: Any | None, new: Any, resource: Resource, subresource: str, managers: Managers, comparison: Comparison, convert: Convert | None,
) -> dict[str, Comparison]:
    """The comparison in each version that a manager speaks; a version that is gone has none."""
    found = {resource.api_version: comparison}
    for owned in managers.values():
        version = owned.api_version
        if version in found:
            continue
        if convert is None:
            found[version] = comparison
            continue
        before, after = None if live is None else convert(live, version), convert(new, version)
        if after is not None:
            found[version] = compare_objects(before, after, resource, subresource)
    return found


def capped(managers: Managers) -> Managers:
    """With the oldest updates merged where there are too many."""
    updating = [key for key in managers if key.operation == "Update"]
    surplus = len(updating) - MAX_UPDATE_MANAGERS
    if surplus <= 0:
        return managers
    updating.sort(key=lambda key: (managers[key].time or "", key.manager, key.api_version, key.subresource))
    first_of: dict[str, ManagerKey] = {}
    for key in updating:
        if surplus <= 0:
            break
        owned = managers[key]
        first = first_of.setdefault(owned.api_version, key)
        if first == key:
            continue
        bucket = ManagerKey("Update", OLD_UPDATES, owned.api_version, "")
        into = managers[bucket] if bucket in managers else managers.pop(first)
        managers[bucket] = Owned(owned.fields | into.fields, owned.api_version, owned.time)
        del managers[key]
        surplus -= 1
    return managers


_SHAPES: dict[Any, bytes] = {}
_LATEST: dict[tuple[bytes, str, str, str], Entries] = {}


def _of_creation(new: Any, manager: str, subresource: str, now: float, resource: Resource) -> Entries:
    data = _created_fields(new, resource, subresource)
    if not data:
        return ()
    time = format_time(now)
    named = (data, manager, resource.api_version, subresource)
    latest = _LATEST.get(named)
    if latest is None or latest[0].time != time:
        if len(_LATEST) >= MAX_SHAPES:
            _LATEST.clear()
        latest = _LATEST[named] = (_entry(ManagerKey("Update", *named[1:]), resource.api_version, time, data),)
    return latest


def _created_fields(new: Any, resource: Resource, subresource: str) -> bytes:
    """What the creator owns, as FieldsV1: a pure function of the object's shape."""
    try:
        shape = None if isinstance(new, Unstructured) else (resource, subresource, shape_of(new, _without(resource, subresource), IDENTITY))
        known = _SHAPES.get(shape) if shape is not None else None
        if known is not None:
            return known
        comparison = compare_objects(None, new, resource, subresource)
    except MergeError:
        return b""
    owned = comparison.added | comparison.modified
    data = owned.to_fields_v1() if owned else b""
    if shape is not None:
        if len(_SHAPES) >= MAX_SHAPES:
            _SHAPES.clear()
        _SHAPES[shape] = data
    return data
