"""Server-side apply: merges what a manager wants into what is there, refuses where others own it, removes what it no longer wants.

https://kubernetes.io/docs/reference/using-api/server-side-apply/
"""
from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final, NamedTuple

import msgspec

from kubelet_lite.api.encoding import from_json, to_json
from kubelet_lite.api.errors import ApiError, BadRequest, Cause, Conflict
from kubelet_lite.api.reading import DecodingError
from kubelet_lite.api.resources import Resource
from kubelet_lite.api.timestamps import format_time
from kubelet_lite.api.unstructured import Unstructured
from kubelet_lite.registry.patch import field_set
from kubelet_lite.registry.patch.comparison import Comparison, MergeError, compare
from kubelet_lite.registry.patch.field_set import EMPTY, FieldSet, Path
from kubelet_lite.registry.patch.managed_fields import (
    Convert,
    Entries,
    ManagerKey,
    Managers,
    Owned,
    capped,
    compare_objects,
    decode,
    encoded,
    without_identity,
)
from kubelet_lite.registry.patch.merging import fields_of, merge, problems, remove, with_named_fields
from kubelet_lite.registry.patch.reset_fields import Ignored, ignored
from kubelet_lite.registry.patch.schema import Node, root_node
from kubelet_lite.registry.patch.strategic import unusable

BEFORE_FIRST_APPLY: Final = "before-first-apply"
"""The manager of what an object without managedFields held when it was first applied."""
KUBECTL: Final = "kubectl"
LAST_APPLIED: Final = "kubectl.kubernetes.io/last-applied-configuration"
MAX_ANNOTATIONS_BYTES: Final = 256 * 1024
"""Kubernetes' limit of all annotations: the last-applied one is dropped rather than go beyond."""


class Applied(NamedTuple):
    value: dict[str, Any] | None
    """The whole object as plain JSON values, without managedFields, not yet defaulted; None: the object stays as it is."""
    managed_fields: Entries


def apply(
    live: Any | None, applied: Any, *, manager: str, force: bool, now: float, resource: Resource, subresource: str = "",
    convert: Convert | None = None,
) -> Applied:
    """What becomes of `live` (None: created) in the request's version. Raises BadRequest, Conflict, or a 500 as Kubernetes does.

    `applied`: JSON values; for the scale subresource a Scale, `live` being its parent.
    """
    config = _checked(applied, resource, subresource)
    state = _State(live, config, manager, format_time(now), resource, subresource, convert)
    try:
        return state.run(force)
    except ConflictsFound as found:
        if manager == KUBECTL and live is not None:
            rest = _beyond_last_applied(found.conflicts, state)
            if not rest:
                return state.run(True)
            raise conflict_error(rest) from None
        raise conflict_error(found.conflicts) from None


def _checked(applied: Any, resource: Resource, subresource: str) -> dict[str, Any]:
    """The configuration as one of the resource itself."""
    if not isinstance(applied, dict):
        raise BadRequest("error decoding YAML: json: cannot unmarshal into Go value of type map[string]interface {}")
    scale = subresource == "scale"
    wanted = ("autoscaling/v1", "Scale") if scale else (resource.api_version, resource.kind)
    given = (applied.get("apiVersion") or "", applied.get("kind") or "")
    if given != wanted:
        raise BadRequest(f"invalid object type: {_gvk(*given)}")
    metadata = applied.get("metadata")
    if isinstance(metadata, dict) and metadata.get("managedFields") is not None:
        raise BadRequest("metadata.managedFields must be nil")
    if not scale:
        return applied
    spec = applied.get("spec") or {}
    return {
        "apiVersion": resource.api_version, "kind": resource.kind, "metadata": metadata or {},
        "spec": {name: v for name, v in spec.items() if name == "replicas"},
    }


def _gvk(api_version: Any, kind: Any) -> str:
    """As Go prints a GroupVersionKind."""
    return f"{api_version if '/' in str(api_version) else f'/{api_version}'}, Kind={kind}"


class ConflictsFound(Exception):
    """Others own what the manager wants to change."""

    def __init__(self, conflicts: Mapping[ManagerKey, FieldSet]) -> None:
        super().__init__("conflicts")
        self.conflicts = conflicts


class _State:
    """One apply: what it starts from. `run` may be called twice, since kubectl's own earlier fields are taken by force."""

    def __init__(
        self, live: Any | None, config: dict[str, Any], manager: str, now: str, resource: Resource, subresource: str, convert: Convert | None,
    ) -> None:
        self.live, self.config, self.now, self.resource, self.subresource, self.convert = live, config, now, resource, subresource, convert
        self.node: Node = root_node(resource)
        self.ignored: Ignored = ignored(resource, subresource)
        self.key = ManagerKey("Apply", manager, "", subresource)
        self.before: dict[str, Any] = {} if live is None else _plain(live)
        wrong = list(problems(config, self.node))
        if wrong:
            listed = wrong[0] if len(wrong) == 1 else "\n".join(["errors:", *(f"  {w}" for w in wrong)])
            raise unusable(f"failed to create typed patch object ({self._named()}): {listed}")

    def _named(self) -> str:
        metadata = self.config.get("metadata") or {}
        return f"{metadata.get('namespace') or ''}/{metadata.get('name') or ''}; {_gvk(self.config['apiVersion'], self.config['kind'])}"

    def run(self, force: bool) -> Applied:
        managers = self._managers()
        last = managers.get(self.key)
        wanted = without_identity(self.ignored.drop(fields_of(self.config, self.node)))
        managers[self.key] = Owned(wanted, self.resource.api_version, last.time if last else None)
        merged = merge(self.before, self.config, self.node)
        if last is not None and last.fields and last.api_version == self.resource.api_version:
            merged = self._pruned(merged, last.fields, managers)
        self._settle(managers, merged, force)
        unchanged = self.live is not None and merged == self.before
        if not unchanged and self.key in managers:
            managers[self.key] = managers[self.key]._replace(time=self.now)
        if self.live is not None and self.key.manager == KUBECTL:
            merged = self._with_last_applied(merged)
            unchanged = merged == self.before
        return Applied(None if unchanged else merged, encoded(capped(self._kept(managers, last))))

    def _managers(self) -> Managers:
        if self.live is None:
            return {}
        try:
            managers = decode(self.live.metadata.managedFields)
        except ValueError as error:
            raise unusable(f"failed to decode managed fields: {error}") from error
        if managers:
            return managers
        found = compare_objects(None, self.live, self.resource, self.subresource)
        held = found.added | found.modified
        first = ManagerKey("Update", BEFORE_FIRST_APPLY, self.resource.api_version, self.subresource)
        return {first: Owned(held, self.resource.api_version, self.now)} if held else {}

    def _pruned(self, merged: dict[str, Any], last: FieldSet, managers: Managers) -> dict[str, Any]:
        """Without what the manager applied last time and nobody wants any more."""
        node = self.node
        last_named = with_named_fields(last, node)
        owned = EMPTY
        for other in managers.values():
            owned |= other.fields
        merged_set = with_named_fields(fields_of(merged, node), node)
        pruned = remove(merged, last_named, node) or {}
        pruned_set = with_named_fields(fields_of(pruned, node), node)
        pruned = remove(merged, merged_set - (pruned_set | with_named_fields(owned, node)), node) or {}
        pruned_set = with_named_fields(fields_of(pruned, node), node)
        return remove(merged, (merged_set - pruned_set) & last_named, node) or {}

    def _settle(self, managers: Managers, merged: dict[str, Any], force: bool) -> None:
        """Takes from the other managers what changed under them, or finds the conflicts."""
        comparisons: dict[str, Comparison | None] = {}
        conflicts: dict[ManagerKey, FieldSet] = {}
        losses: dict[ManagerKey, FieldSet] = {}
        for key, owned in managers.items():
            if key == self.key:
                continue
            if owned.api_version not in comparisons:
                comparisons[owned.api_version] = self._comparison(merged, owned.api_version)
            there = comparisons[owned.api_version]
            if there is None:
                losses[key] = owned.fields
                continue
            taken = owned.fields & (there.modified | there.added)
            if taken:
                conflicts[key] = taken
            losses[key] = taken | there.removed
        if conflicts and not force:
            raise ConflictsFound(conflicts)
        for key, lost in losses.items():
            owned = managers[key]
            left = owned.fields - lost
            if left is not owned.fields:
                managers[key] = Owned(left, owned.api_version, owned.time)
        for key in [key for key, owned in managers.items() if not owned.fields]:
            del managers[key]

    def _comparison(self, merged: dict[str, Any], api_version: str) -> Comparison | None:
        if api_version == self.resource.api_version or self.convert is None or self.live is None:
            return self.ignored.drop_all(compare(self.before, merged, self.node))
        try:
            new = _object(merged, self.resource)
        except (msgspec.ValidationError, DecodingError):
            return self.ignored.drop_all(compare(self.before, merged, self.node))
        before, after = self.convert(self.live, api_version), self.convert(new, api_version)
        return None if after is None else compare_objects(before, after, self.resource, self.subresource)

    def _kept(self, managers: Managers, last: Owned | None) -> Managers:
        """With the manager's own entry as it was where nothing changed in it."""
        mine = managers.get(self.key)
        if last is not None and mine is not None and last == (*mine[:3], last.entry):
            managers[self.key] = last
        return managers

    def _with_last_applied(self, merged: dict[str, Any]) -> dict[str, Any]:
        """kubectl's client-side apply finds in its annotation what kubectl applied here."""
        metadata = merged.get("metadata") or {}
        annotations = metadata.get("annotations") or {}
        if not annotations.get(LAST_APPLIED):
            return merged
        config = dict(self.config)
        mine = dict(config.get("metadata") or {})
        if mine.get("annotations"):
            mine["annotations"] = {name: v for name, v in mine["annotations"].items() if name != LAST_APPLIED}
            if not mine["annotations"]:
                del mine["annotations"]
        config["metadata"] = mine
        text = json.dumps(config, sort_keys=True, separators=(",", ":"), ensure_ascii=False) + "\n"
        annotations = {**annotations, LAST_APPLIED: text}
        if sum(len(name.encode()) + len(str(v).encode()) for name, v in annotations.items()) > MAX_ANNOTATIONS_BYTES:
            del annotations[LAST_APPLIED]
        return {**merged, "metadata": {**metadata, "annotations": annotations}}


def _plain(live: Any) -> dict[str, Any]:
    value: dict[str, Any] = to_json(live)
    value["metadata"].pop("managedFields", None)
    return value


def _object(value: dict[str, Any], resource: Resource) -> Any:
    kind = resource.type
    return from_json(kind, value) if kind is Unstructured else msgspec.convert(_without_nulls(value), kind)


def _without_nulls(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _without_nulls(v) for name, v in value.items() if v is not None}
    return [_without_nulls(v) for v in value] if isinstance(value, list) else value


def _beyond_last_applied(conflicts: Mapping[ManagerKey, FieldSet], state: _State) -> Mapping[ManagerKey, FieldSet]:
    """The conflicts that are not about what kubectl itself applied from the client before."""
    text = ((state.before.get("metadata") or {}).get("annotations") or {}).get(LAST_APPLIED) or ""
    try:
        before = json.loads(text)
        if not isinstance(before, dict) or before.get("apiVersion") != state.resource.api_version or next(problems(before, state.node), None):
            return conflicts
        since = compare(before, state.before, state.node)
        allowed = fields_of(before, state.node) - since.modified - since.added - since.removed
    except (ValueError, MergeError):
        return conflicts
    rest = {key: taken - allowed for key, taken in conflicts.items()}
    return {key: taken for key, taken in rest.items() if taken}


def conflict_error(conflicts: Mapping[ManagerKey, FieldSet]) -> ApiError:
    """In Kubernetes' words."""
    found: list[tuple[str, Path]] = []
    ordered = sorted(conflicts, key=lambda key: (key.manager, key.operation, key.api_version, key.subresource))
    for key in ordered:
        found += [(_shown(key), path) for path in conflicts[key].paths()]
    causes = [Cause(reason="FieldManagerConflict", message=f"conflict with {who}", field=field_set.shown_path(path)) for who, path in found]
    if len(found) == 1:
        message = f"Apply failed with 1 conflict: conflict with {found[0][0]}: {field_set.shown_path(found[0][1])}"
    else:
        lines = []
        for key in ordered:
            lines += [f"conflicts with {_shown(key)}:", *(f"- {field_set.shown_path(path)}" for path in conflicts[key].paths())]
        message = f"Apply failed with {len(found)} conflicts: " + "\n".join(lines)
    return Conflict(message, causes=causes)


def _shown(key: ManagerKey) -> str:
    name = json.dumps(key.manager, ensure_ascii=False)
    if key.subresource:
        name += f' with subresource "{key.subresource}"'
    return f"{name} using {key.api_version}" if key.operation == "Update" else name
