"""The one path by which any stored object is created, changed and deleted. It knows no kind: what is particular is KindRules, a Part, or a hook.

All of it is synchronous, from the read of the live object to the write: so it is atomic, and what admission and allocators looked at
still holds when the object is stored. The order of the steps is that of Kubernetes' generic registry.
https://kubernetes.io/docs/reference/using-api/api-concepts/
"""
from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any, Final, Protocol

import msgspec
from msgspec.structs import replace

from kubelet_lite.actors.environment import Environment
from kubelet_lite.api.errors import (
    AlreadyExists,
    ApiError,
    BadRequest,
    Conflict,
    FieldError,
    Invalid,
    NotFound,
    ServerTimeout,
    invalid,
)
from kubelet_lite.api.meta_v1 import DeleteOptions, ManagedFieldsEntry, ObjectMeta, Status, StatusDetails
from kubelet_lite.api.requests import RequestContext
from kubelet_lite.api.timestamps import format_time
from kubelet_lite.registry import deletion, metadata
from kubelet_lite.registry.admission.plugin import Review
from kubelet_lite.registry.alike import Examples
from kubelet_lite.registry.part import Part
from kubelet_lite.registry.patch import managed_fields
from kubelet_lite.registry.rules import Allocator
from kubelet_lite.registry.sharing import Shares
from kubelet_lite.registry.store_view import StoreView
from kubelet_lite.registry.stored import Stored
from kubelet_lite.store import Key, Store, stamped

GENERATED_NAME_TRIES: Final = 8
"""Names tried for a generateName before the caller is told to try again."""
MAX_MANAGER_BYTES: Final = 128
MAX_USER_AGENTS: Final = 1024
STALE: Final = "the object has been modified; please apply your changes to the latest version and try again"


Entries = tuple[ManagedFieldsEntry, ...]


class Admission(Protocol):
    """The admission chain. Either method raises an ApiError to refuse."""

    def mutate(self, new: Any, review: Review) -> Any: ...
    def validate(self, new: Any, review: Review) -> None: ...


class Change(msgspec.Struct, kw_only=True):
    """One update: `make` turns the live object into the new one; both in the stored form, the new one as it was received."""

    make: Callable[[Any | None], Any]
    part: Part
    uid: str = ""
    """Of the object that is meant, where the whole new object was sent and names it."""
    may_create: Callable[[], None] | None = None
    """Called before an object that is not there is created; raises Forbidden. None: it is not created."""
    applies: bool = False
    """Whether this is server-side apply: then `make` has seen to managedFields."""


class Pipeline:
    """Writes to one store."""

    def __init__(self, store: Store, environment: Environment, view: StoreView, admission: Callable[[], Admission | None]) -> None:
        self._store = store
        self._environment = environment
        self._view = view
        self._admission = admission
        self._shares = Shares()
        self._examples = Examples(view)
        self._allocators: dict[str, Allocator] = {}
        self._now = (-1, "")

    # What is received

    def received(self, target: Stored, obj: Any, live: Any | None = None) -> Any:
        """A canonical served object as it came in, in the stored form, with defaults. `live`: the stored one, where there is one."""
        if target.to_stored is not None:
            obj = target.to_stored(obj)
        obj = target.normalised(obj)
        if not target.rules.shares_spec:
            return target.rules.default(obj)
        if live is not None and obj.spec is live.spec:
            return self._with_shared_spec(target.rules.default_beside_spec(obj))
        return self._with_shared_spec(target.rules.default(self._with_shared_spec(obj)))

    def _with_shared_spec(self, obj: Any) -> Any:
        shared = self._shares.share(obj.spec)
        return obj if shared is obj.spec else replace(obj, spec=shared)

    # Create

    def create_sent(self, ctx: RequestContext, target: Stored, namespace: str, sent: Any, *, canonical: bool) -> Any:
        """Stores a new object as a request sent it; `canonical`: whether it came in canonical form."""
        common_name = target.rules.common_name
        if common_name is None:
            return self._create_anew(ctx, target, namespace, sent, canonical=canonical)
        sent = self._with_shared_spec(sent)
        meta, admission = sent.metadata, self._admission()
        name = meta.name
        if not common_name(name or (meta.generateName and f"{meta.generateName}x")):
            return self._create_anew(ctx, target, namespace, sent, canonical=canonical)
        like = self._examples.like(ctx, sent, namespace, self.now_text(), admission)
        if like is None:
            return self._examples.remember(ctx, sent, admission, lambda: self._create_anew(ctx, target, namespace, sent, canonical=canonical))
        name = name or self._generated_name(target, namespace, meta.generateName)
        key, revision = Key(target.resource.qualified, namespace, name), self._store.next_revision
        uid = self._environment.uid()
        if (existing := self._store.get(key)) is not None:
            raise self._exists(target, existing)
        obj = replace(like, metadata=replace(like.metadata, name=name, uid=uid, resourceVersion=str(revision)))
        self._store.put(key, obj, expected=0)
        return obj

    def _create_anew(self, ctx: RequestContext, target: Stored, namespace: str, sent: Any, *, canonical: bool) -> Any:
        return self.create(ctx, target, namespace, self.received(target, sent if canonical else target.canonical(sent, None)))

    def create(self, ctx: RequestContext, target: Stored, namespace: str, obj: Any, *, owned: Entries | None = None) -> Any:
        """Stores a new object. `owned`: its managedFields, where the caller knows better (apply)."""
        meta: ObjectMeta = obj.metadata
        rules, resource, admission = target.rules, target.resource, self._admission()
        if meta.namespace != namespace and meta.namespace and namespace:
            raise BadRequest("the namespace of the provided object does not match the namespace sent on the request")
        meta = replace(
            meta, namespace=namespace, uid="", creationTimestamp=None, deletionTimestamp=None, deletionGracePeriodSeconds=None, selfLink="",
            ownerReferences=self._owners(ctx, meta), labels=self._shares.share(meta.labels) if meta.labels else meta.labels,
        )
        if target.has_status and not rules.creates_status:
            obj = replace(target.without_status(obj), metadata=meta)
        else:
            obj = replace(obj, metadata=meta)
        if owned is None:
            owned = managed_fields.updated(
                None, target.view(obj), manager=manager(ctx), now=self._environment.now(), resource=target.served, convert=target.convert,
            )
        review = Review(context=ctx, resource=target.served, operation="CREATE", namespace=namespace, name=meta.name)
        if admission is not None:
            obj = admission.mutate(obj, review)
        meta = obj.metadata
        obj = replace(obj, metadata=replace(
            meta, name=meta.name or self._generated_name(target, namespace, meta.generateName), uid=self._environment.uid(),
            creationTimestamp=self.now_text(), generation=1 if rules.generation else meta.generation, managedFields=owned,
        ))
        allocator = self._allocator(target)
        if allocator is not None:
            obj = allocator.allocate(obj, None, ctx.dry_run)
        obj = rules.prepare_create(obj)
        meta = obj.metadata
        wrong = [*metadata.errors(meta, resource.namespaced, rules.name_errors or metadata.default_name_errors), *rules.metadata_errors(meta)]
        wrong += rules.validate(obj)
        wrong += rules.validate_create(obj)
        if wrong:
            raise Invalid.of(resource.group, resource.kind, meta.name, wrong)
        ctx.warnings += rules.warnings(obj, None)
        if admission is not None:
            admission.validate(obj, review)
        if meta.resourceVersion:
            raise ApiError("resourceVersion should not be set on objects to be created", code=500, reason="")
        key = Key(resource.qualified, meta.namespace, meta.name)
        existing = self._store.get(key)
        if existing is not None:
            raise self._exists(target, existing)
        obj = target.kept(obj)
        if ctx.dry_run:
            return obj
        obj = stamped(obj, self._store.next_revision)
        self._store.put(key, obj, expected=0)
        if allocator is not None:
            allocator.written(None, obj)
        return obj

    def _owners(self, ctx: RequestContext, meta: ObjectMeta) -> Any:
        references = meta.ownerReferences
        if not references:
            return references
        if len(references) > 1:
            references, dropped = metadata.without_duplicate_owners(references)
            if dropped:
                ctx.warnings.append(metadata.duplicate_owners_warning(dropped))
        return self._shares.share(references)

    def _generated_name(self, target: Stored, namespace: str, base: str) -> str:
        if not base:
            return ""
        for _ in range(GENERATED_NAME_TRIES):
            name = metadata.generated_name(base, self._environment.random)
            if self._store.get(Key(target.resource.qualified, namespace, name)) is None:
                return name
        raise ServerTimeout(
            f"The POST operation against {target.served.qualified} could not be completed at this time, please try again.",
            details={"kind": target.served.plural}, retry_after_seconds=1,
        )

    @staticmethod
    def _exists(target: Stored, existing: Any) -> AlreadyExists:
        served = target.served
        error = AlreadyExists.of(served.group, served.plural, existing.metadata.name)
        if existing.metadata.deletionTimestamp is not None:
            error.message = f"object is being deleted: {error.message}"
        return error

    # Update

    def update(self, ctx: RequestContext, target: Stored, namespace: str, name: str, change: Change) -> tuple[Any, bool]:
        """Changes an object; returns it and whether it was created. An update that changes nothing writes nothing."""
        served, resource, rules, admission = target.served, target.resource, target.rules, self._admission()
        key = Key(resource.qualified, namespace, name)
        live = self._store.get(key)
        if change.uid:
            self._check_uid(target, key, live, change.uid)
        if live is None:
            if change.may_create is None:
                raise NotFound.of(served.group, served.plural, name)
            change.may_create()
            obj = change.make(None)
            if obj.metadata.resourceVersion:
                obj = replace(obj, metadata=replace(obj.metadata, resourceVersion=""))
            return self.create(ctx, target, namespace, obj, owned=obj.metadata.managedFields if change.applies else None), True
        part = change.part
        new = change.make(live)
        old_meta: ObjectMeta = live.metadata
        new = replace(new, metadata=self._carried(ctx, target, new.metadata, old_meta))
        new = part.prepare(new, live, self._environment.now())
        if not change.applies:
            owned = managed_fields.updated(
                target.view(live), target.view(new), manager=manager(ctx), subresource=part.subresource, now=self._environment.now(),
                resource=served, convert=target.convert,
            )
            new = replace(new, metadata=replace(new.metadata, managedFields=owned))
        review = Review(
            context=ctx, resource=served, operation="UPDATE", namespace=namespace, name=name, subresource=part.subresource, old=live,
        )
        if admission is not None:
            new = admission.mutate(new, review)
        allocator = self._allocator(target)
        if allocator is not None and not part.subresource:
            new = allocator.allocate(new, live, ctx.dry_run)
        if not part.subresource:
            new = rules.prepare_update(new, live)
        if rules.generation and part.moves_generation is not None and part.moves_generation(new, live):
            new = replace(new, metadata=replace(new.metadata, generation=old_meta.generation + 1))
        meta: ObjectMeta = new.metadata
        wrong: list[FieldError] = []
        if not metadata.untouched(meta, old_meta):
            wrong += metadata.errors(meta, resource.namespaced, metadata.path_segment_errors)
            wrong += metadata.transition_errors(meta, old_meta)
        wrong += part.validate(new, live)
        if wrong:
            raise Invalid.of(resource.group, resource.kind, meta.name, wrong)
        if part.warnings is not None:
            ctx.warnings += part.warnings(new, live)
        if admission is not None:
            admission.validate(new, review)
        new = target.kept(new)
        if deletion.ends_with(live, new, rules):
            if not ctx.dry_run:
                new = self._remove(target, key, live, new)
            return new, False
        if managed_fields.unchanged_but_times(live, new):
            return live, False
        new = _joined(new, live)
        if ctx.dry_run:
            return new, False
        return self._written(target, key, live, new), False

    @staticmethod
    def _check_uid(target: Stored, key: Key, live: Any | None, uid: str) -> None:
        """Raises Conflict when another object, or none, has the name."""
        found = live.metadata.uid if live is not None else ""
        if found != uid:
            path = target.rules.storage_path or f"/{target.served.plural}"
            where = f"{path}/{key.namespace}/{key.name}" if key.namespace else f"{path}/{key.name}"
            raise Conflict.of(
                target.served.group, target.served.plural, key.name, f"StorageError: invalid object, Code: 4, Key: {where}, ResourceVersion: 0, "
                f"AdditionalErrorMsg: Precondition failed: UID in precondition: {uid}, UID in object meta: {found}",
            )

    def _carried(self, ctx: RequestContext, target: Stored, meta: ObjectMeta, old: ObjectMeta) -> ObjectMeta:
        """The new metadata with what an update cannot change, after the check of when it was read."""
        served = target.served
        if meta.resourceVersion != old.resourceVersion:
            if meta.resourceVersion not in ("", "0"):
                raise Conflict.of(served.group, served.plural, old.name, STALE)
            if not target.rules.unconditional_update:
                raise Invalid.of(served.group, served.plural, old.name, [invalid("metadata.resourceVersion", 0, "must be specified for an update")])
        return replace(
            meta, namespace=old.namespace, uid=meta.uid or old.uid, resourceVersion=old.resourceVersion, generation=old.generation,
            creationTimestamp=old.creationTimestamp, selfLink="",
            deletionTimestamp=meta.deletionTimestamp if old.deletionTimestamp is None else old.deletionTimestamp,
            deletionGracePeriodSeconds=old.deletionGracePeriodSeconds if meta.deletionGracePeriodSeconds is None else meta.deletionGracePeriodSeconds,
            ownerReferences=old.ownerReferences if meta.ownerReferences == old.ownerReferences else self._owners(ctx, meta),
        )

    # Delete

    def delete(self, ctx: RequestContext, target: Stored, namespace: str, name: str, options: DeleteOptions) -> Any:
        """Deletes, or begins to; returns the object, or a Status for one that is gone."""
        served, resource, rules = target.served, target.resource, target.rules
        ctx.warnings += rules.delete_warnings(options)
        key = Key(resource.qualified, namespace, name)
        live = self._store.get(key)
        if live is None:
            raise NotFound.of(served.group, served.plural, name)
        self.check_deletable(target, live, options)
        admission = self._admission()
        if admission is not None:
            review = Review(context=ctx, resource=served, operation="DELETE", namespace=namespace, name=name, old=live)
            admission.validate(None, review)
        plan = deletion.plan(live, options, rules, self._environment.now())
        dry = ctx.dry_run or bool(options.dryRun)
        if plan.mark is not None:
            live = plan.mark if dry else self._written(target, key, live, plan.mark)
        if not plan.remove:
            return live
        if not dry:
            live = self._remove(target, key, live, live)
        if rules.returns_deleted:
            return live
        details = StatusDetails(name=name, group=served.group, kind=served.plural, uid=live.metadata.uid)
        return Status(status="Success", details=details)

    def check_deletable(self, target: Stored, live: Any, options: DeleteOptions) -> None:
        """Raises Invalid or Conflict when these options cannot delete this object."""
        deletion.check_options(options)
        deletion.check_preconditions(target.resource, live.metadata, options, target.rules)

    def _remove(self, target: Stored, key: Key, live: Any, last: Any) -> Any:
        final = stamped(last, self._store.next_revision)
        self._store.delete(key, expected=int(live.metadata.resourceVersion), final=final)
        allocator = self._allocator(target)
        if allocator is not None:
            allocator.written(live, None)
        return final

    def _written(self, target: Stored, key: Key, live: Any, new: Any) -> Any:
        new = stamped(new, self._store.next_revision)
        self._store.put(key, new, expected=int(live.metadata.resourceVersion))
        allocator = self._allocator(target)
        if allocator is not None:
            allocator.written(live, new)
        return new

    # Small things

    def now_text(self) -> str:
        """The present second, as metadata has it."""
        second = int(self._environment.now())
        if second != self._now[0]:
            self._now = (second, format_time(second))
        return self._now[1]

    def _allocator(self, target: Stored) -> Allocator | None:
        make = target.rules.allocator
        if make is None:
            return None
        allocator = self._allocators.get(target.resource.qualified)
        if allocator is None:
            allocator = self._allocators[target.resource.qualified] = make(self._view, self._environment)
        return allocator


def _joined(new: Any, live: Any) -> Any:
    """`new` with the live object's own values wherever they are equal, so that revisions share them."""
    same = {}
    for field in new.__struct_fields__:
        value, old = getattr(new, field), getattr(live, field)
        if value is not old and value == old:
            same[field] = old
    return replace(new, **same) if same else new


def manager(ctx: RequestContext) -> str:
    """The name under which managedFields remember the caller."""
    return ctx.field_manager or _of_user_agent(ctx.identity.user_agent)


@lru_cache(MAX_USER_AGENTS)
def _of_user_agent(text: str) -> str:
    """Its part before the first slash, as far as that can be printed and is not too long."""
    name = "".join(letter for letter in text.partition("/")[0] if letter.isprintable())
    return name.encode()[:MAX_MANAGER_BYTES].decode(errors="ignore")
