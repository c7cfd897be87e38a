"""The descriptor of a kind: all that the generic pipeline needs to know of it. One `RULES` per file in registry/kinds.

Every function is pure and synchronous over immutable typed values; what needs other objects (quota, service account,
addresses) is admission or an allocator, not a rule. Fields left at their default mean: nothing particular.
"""
from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final, Literal, Protocol

import msgspec

from kubelet_lite.actors.environment import Environment
from kubelet_lite.api.errors import FieldError
from kubelet_lite.api.meta_v1 import DeleteOptions, ObjectMeta
from kubelet_lite.registry.metadata import core_errors
from kubelet_lite.registry.view import View

ALL_OF_METADATA: Final = ("labels", "annotations", "finalizers", "ownerReferences")
"""For `status_update_keeps`: some kinds let an update of status change nothing else at all."""


def unchanged(obj: Any) -> Any:
    return obj


def no_errors(*_: Any) -> Sequence[FieldError]:
    return ()


def no_warnings(*_: Any) -> Sequence[str]:
    return ()


def keep_new(new: Any, old: Any) -> Any:
    return new


def spec_changed(new: Any, old: Any) -> bool:
    """Whether `generation` moves, for most kinds that have one."""
    return bool(getattr(new, "spec", None) != getattr(old, "spec", None))


class Selectable(msgspec.Struct, frozen=True):
    """A field that field selectors may name beside metadata.name and metadata.namespace."""

    label: str
    value: Callable[[Any], str]


class Allocator(Protocol):
    """Hands out what must be unique in the cluster (cluster addresses, node ports). One for each registry.

    Nothing waits between `allocate` and `written`, so what was allocated and not written (a dry run, an invalid object) is free again.
    """

    def allocate(self, new: Any, old: Any | None, dry_run: bool = False) -> Any:
        """`new` with its addresses, before `prepare_create` or `prepare_update` and validation; `old` is None at creation. Raises an
        ApiError for what cannot be had. (Kubernetes looks less closely in a dry run: it takes node ports outside the range.)"""
        ...

    def written(self, old: Any | None, new: Any | None) -> None:
        """The store now holds `new` in place of `old`; None: it did not exist, or is gone."""
        ...


class KindRules(msgspec.Struct, frozen=True, kw_only=True):
    """What is particular to one kind, keyed by the resource's name (`pods`, `deployments.apps`)."""

    resource: str
    default: Callable[[Any], Any] = unchanged
    """Fills every default that Kubernetes fills when it reads the kind (also nested pod templates)."""
    prepare_create: Callable[[Any], Any] = unchanged
    """After defaulting, before validation: drops what a creator may not set (status), sets initial values. The pipeline itself
    handles metadata (uid, creationTimestamp, generateName, generation) and drops `status` where a status subresource exists."""
    prepare_update: Callable[[Any, Any], Any] = keep_new
    """(new, old) -> new, after the pipeline has put the old status back: e.g. a deletion-only field kept from old."""
    validate: Callable[[Any], Sequence[FieldError]] = no_errors
    """All of the object but metadata, which the pipeline checks (names, labels, annotations, owner references, finalizers)."""
    metadata_errors: Callable[[ObjectMeta], Sequence[FieldError]] = core_errors
    """What is checked of metadata beside what holds for every object."""
    validate_create: Callable[[Any], Sequence[FieldError]] = no_errors
    """What is looked at only when an object is made, after `validate`."""
    validate_update: Callable[[Any, Any], Sequence[FieldError]] = no_errors
    """(new, old): the rules of transition (immutable fields). `validate` has run on new as well, before."""
    validate_status_update: Callable[[Any, Any], Sequence[FieldError]] = no_errors
    prepare_status_update: Callable[[Any, Any], Any] = keep_new
    """(new, old) -> new, after the pipeline has put everything but status (and managedFields) back from old."""
    warnings: Callable[[Any, Any | None], Sequence[str]] = no_warnings
    """(new, old or None on create) -> texts of Warning headers (without the 299 code)."""
    name_errors: Callable[[str, bool], Sequence[str]] | None = None
    """(name, is_generate_name_prefix) -> messages; None: a DNS-1123 subdomain."""
    generation: bool = False
    """Whether metadata.generation is kept: 1 at creation."""
    generation_moves: Callable[[Any, Any], bool] = spec_changed
    """(new, old) -> whether an update moves it (deletion with a grace period moves it too where `generation`)."""
    grace_period_seconds: Callable[[Any], int | None] | None = None
    """For gracefully deleted kinds (pods): the object's own default grace period. None: deletion is immediate."""
    prepare_graceful_delete: Callable[[Any, int | None], int] | None = None
    """(object, requested grace) -> the grace to use, 0 for at once."""
    selectable: tuple[Selectable, ...] = ()
    create_on_update: bool = False
    """PUT (and so merge patch? no: PUT only) of a name that does not exist creates it."""
    unconditional_update: bool = True
    """PUT without resourceVersion is allowed."""
    default_propagation: str = "background"
    """What a delete without propagationPolicy does to dependants: background, orphan (batch v1 Jobs, v1 ReplicationControllers), or
    unsupported (Events own nothing, so no policy leaves a finalizer)."""
    delete_warnings: Callable[[DeleteOptions], Sequence[str]] = no_warnings
    """Texts of Warning headers of a delete with these options."""
    returns_deleted: bool = False
    """Whether the answer to a delete is the object as it was last, not a Status."""
    creates_status: bool = False
    """Whether a creator may set status although there is a status subresource (nodes)."""
    status_update_keeps: tuple[str, ...] = ()
    """Fields of metadata that an update of status cannot change, beside those which nobody can: e.g. labels, ownerReferences."""
    validate_on_update: Literal["before", "after", "never", "instead"] = "before"
    """When an update runs metadata rules and `validate` on the new object: before `validate_update` and the rules of a change of metadata,
    after them, not at all, or instead of the latter. It shows in the order and the number of an Invalid's causes."""
    shares_spec: bool = False
    """Whether many objects have equal specs, to be stored once (pods)."""
    default_beside_spec: Callable[[Any], Any] = unchanged
    """What `default` does of an object whose spec is that of a stored one, for kinds that share specs."""
    common_name: Callable[[str], bool] | None = None
    """Of which many are made alike (pods): whether a name is like most others, so that no rule or warning looks at it."""
    begin_deletion: Callable[[Any], Any] | None = None
    """For kinds which are marked as deleted first and go when something has cleaned up (namespaces): the object so marked."""
    holds_deletion: Callable[[Any], bool] | None = None
    """Whether something other than metadata.finalizers keeps an object that is being deleted (a namespace's spec.finalizers)."""
    storage_path: str = ""
    """Where Kubernetes keeps the kind, when that is not its plural: it shows in a message (`/services/specs`)."""
    field_error: str = "field label not supported: {}"
    """Of a field selector that names a field outside `selectable`, for kinds that have any."""
    allocator: Callable[[View, Environment], Allocator] | None = None
    """Makes the allocator of this kind for one registry: (view of its store, its environment)."""
    row: Callable[[Any, float], Sequence[Any]] | None = None
    """(object, now) -> the cells of its Table row in the order of facts' columns; None: name and age."""


DEFAULT_RULES: Final = KindRules(resource="")
