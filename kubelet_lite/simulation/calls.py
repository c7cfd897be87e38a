"""What users do, as data: through the API, as an administrator with kubectl does it; and what only bad luck does, to what is stored.

An error that comes back is an answer, and stands in the archive: it fails no run.
"""
from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Mapping
from operator import attrgetter
from typing import TYPE_CHECKING, Any, Final, Literal

from kubelet_lite.api import timestamps
from kubelet_lite.api.core_v1 import Node, Pod
from kubelet_lite.api.encoding import decode, encode_value, to_json
from kubelet_lite.api.errors import ApiError, BadRequest, NotFound
from kubelet_lite.api.meta_v1 import ObjectMeta
from kubelet_lite.api.policy_v1 import Eviction
from kubelet_lite.api.requests import MERGE_PATCH, STRATEGIC_MERGE_PATCH, Body, RequestContext
from kubelet_lite.client import manifests
from kubelet_lite.client.base import Propagation
from kubelet_lite.simulation.checked import Count, Name, Seconds, WrongValue, check, shown
from kubelet_lite.simulation.snapshot import UnknownKind
from kubelet_lite.simulation.step import Call
from kubelet_lite.simulation.which import Which

if TYPE_CHECKING:
    from kubelet_lite.api.resources import Resource
    from kubelet_lite.simulation.simulation import Simulation

CALL_ANSWERED: Final = "call_answered"
"""Log record of a call that did not succeed: `call` is its sentence, `error` what came back."""
AGAIN_SECONDS: Final = 1.0
"""After so long a user asks again who must not give up."""
MANAGER: Final = "kubectl-create"
RESTARTED_AT: Final = "kubectl.kubernetes.io/restartedAt"
KEPT: Final = frozenset({"kind", "apiVersion", "metadata.name", "metadata.namespace", "metadata.resourceVersion"})
"""What of a stored object is never corrupted: with another name it would be another object."""
UNREAD: Final = ("metadata.managedFields", "metadata.selfLink")
"""What nobody acts on."""


class UserCall(Call, frozen=True, kw_only=True):
    """One or several requests."""

    async def play(self, simulation: Simulation) -> None:
        try:
            await self.ask(simulation)
        except ApiError as error:
            tell(self, error, simulation)

    @abstractmethod
    async def ask(self, simulation: Simulation) -> None: ...


class NothingThere(NotFound):
    """There is nothing to ask for: nobody was asked."""


def tell(call: Call, error: ApiError, simulation: Simulation) -> None:
    """Puts an answer into the archive."""
    if isinstance(error, NothingThere):
        simulation.unmade(call)
    fields = {"event": CALL_ANSWERED, "call": str(call), "error": error.message, "code": error.code}
    simulation.archive.log(simulation.environment.now(), "info", fields)


def found(which: Which, simulation: Simulation) -> tuple[Any, Resource]:
    """The object and its resource. Raises NothingThere."""
    try:
        obj = which.find(simulation.snapshot)
    except UnknownKind as error:
        raise NothingThere(str(error)) from error
    if obj is None:
        raise NothingThere(f"there is none of {which.kind} {which.name}" + (f" in {which.namespace}" if which.namespace else ""))
    resource = simulation.cluster.registry.find_kind(obj.apiVersion, obj.kind)
    assert resource is not None
    return obj, resource


# ---- objects come


class ManifestCall(UserCall, frozen=True, kw_only=True):
    """Brings an object, whose kind and fields are the API's to judge."""

    manifest: Mapping[str, Any]

    def __post_init__(self) -> None:
        super().__post_init__()
        where = f"{type(self).__name__}.manifest"
        for name in ("apiVersion", "kind"):
            check(f"{where}[{name!r}]", self.manifest.get(name), Name)
        check(f"{where}['metadata']", self.manifest.get("metadata"), Mapping[str, Any] | None)
        _check_plain(where, self.manifest)


class Apply(ManifestCall, frozen=True, kw_only=True):
    """Applies a manifest, as `kubectl apply --server-side` does."""

    async def ask(self, simulation: Simulation) -> None:
        await manifests.apply(simulation.client, self.manifest)

    def __str__(self) -> str:
        return f"applies {_named(self.manifest)}"


class Create(ManifestCall, frozen=True, kw_only=True):
    """Creates the object of a manifest."""

    async def ask(self, simulation: Simulation) -> None:
        manifest, registry = self.manifest, simulation.cluster.registry
        resource = registry.find_kind(str(manifest.get("apiVersion", "")), str(manifest.get("kind", "")))
        if resource is None:
            raise BadRequest(f'no matches for kind "{manifest.get("kind")}" in version "{manifest.get("apiVersion")}"')
        context = RequestContext(identity=simulation.client.identity, field_manager=MANAGER, field_validation="Strict")
        namespace = (manifest.get("metadata") or {}).get("namespace", "default") if resource.namespaced else ""
        await registry.create(context, resource, namespace, Body(encode_value(manifest)))

    def __str__(self) -> str:
        return f"creates {_named(self.manifest)}"


# ---- objects change


class Edit(UserCall, frozen=True, kw_only=True):
    """Changes an object: `change` is a merge patch."""

    which: Which
    change: Mapping[str, Any]
    subresource: str = ""

    def __post_init__(self) -> None:
        super().__post_init__()
        _check_plain("Edit.change", self.change)

    async def ask(self, simulation: Simulation) -> None:
        await _patch(simulation, self.which, self.change, MERGE_PATCH, self.subresource)

    def __str__(self) -> str:
        return f"edits {self.which}: {encode_value(self.change).decode()}"


class Scale(UserCall, frozen=True, kw_only=True):
    """Sets the number of replicas."""

    which: Which
    replicas: int

    async def ask(self, simulation: Simulation) -> None:
        await _patch(simulation, self.which, {"spec": {"replicas": self.replicas}}, MERGE_PATCH)

    def __str__(self) -> str:
        return f"scales {self.which} to {self.replicas}"


class SetImage(UserCall, frozen=True, kw_only=True):
    """Sets the image of all containers of a pod or of a pod template."""

    which: Which
    image: str

    async def ask(self, simulation: Simulation) -> None:
        obj, _ = found(self.which, simulation)
        pod = obj.spec if isinstance(obj, Pod) else _at(obj, "spec.template.spec", self.which)
        spec = {"containers": [{"name": container.name, "image": self.image} for container in pod.containers]}
        change = {"spec": spec if isinstance(obj, Pod) else {"template": {"spec": spec}}}
        await _patch(simulation, self.which, change, STRATEGIC_MERGE_PATCH)

    def __str__(self) -> str:
        return f"sets the image of {self.which} to {self.image}"


class Restart(UserCall, frozen=True, kw_only=True):
    """Has all pods of a workload replaced, as `kubectl rollout restart` does."""

    which: Which

    async def ask(self, simulation: Simulation) -> None:
        annotations = {RESTARTED_AT: timestamps.format_time(simulation.environment.now())}
        await _patch(simulation, self.which, {"spec": {"template": {"metadata": {"annotations": annotations}}}}, MERGE_PATCH)

    def __str__(self) -> str:
        return f"restarts {self.which}"


class LabelTheft(UserCall, frozen=True, kw_only=True):
    """Takes an object's labels off; `like`: and puts those on that another object selects by. So it leaves who keeps it, for another."""

    which: Which = Which(kind="pods")
    like: Which | None = None

    async def ask(self, simulation: Simulation) -> None:
        obj, _ = found(self.which, simulation)
        labels: dict[str, str | None] = dict.fromkeys(obj.metadata.labels)
        if self.like is not None:
            labels.update(_selected(found(self.like, simulation)[0], self.like))
        await _patch(simulation, self.which, {"metadata": {"labels": labels}}, MERGE_PATCH)

    def __str__(self) -> str:
        return f"takes the labels of {self.which} off" + (f" and puts on those of {self.like}" if self.like is not None else "")


# ---- objects go


class Delete(UserCall, frozen=True, kw_only=True):
    """Deletes an object."""

    which: Which
    propagation: Propagation | None = None
    grace_period_seconds: int | None = None

    async def ask(self, simulation: Simulation) -> None:
        obj, resource = found(self.which, simulation)
        await simulation.client.delete(
            resource, obj.metadata.name, namespace=obj.metadata.namespace, propagation=self.propagation,
            grace_period_seconds=self.grace_period_seconds,
        )

    def __str__(self) -> str:
        return f"deletes {self.which}" + (f" ({self.propagation})" if self.propagation is not None else "")


class ForceDelete(Delete, frozen=True, kw_only=True):
    """Deletes an object without waiting for whoever has it: `kubectl delete --force --grace-period=0`."""

    which: Which = Which(kind="pods")
    grace_period_seconds: int | None = 0

    def __str__(self) -> str:
        return f"deletes {self.which} by force"


class Evict(UserCall, frozen=True, kw_only=True):
    """Evicts a pod, if its disruption budget has room."""

    which: Which = Which(kind="pods")

    async def ask(self, simulation: Simulation) -> None:
        pod, _ = found(self.which, simulation)
        await _evict(simulation, pod)

    def __str__(self) -> str:
        return f"evicts {self.which}"


# ---- nodes


class Cordon(UserCall, frozen=True, kw_only=True):
    """Lets a node take no more pods, for `seconds` (None: until somebody uncordons it); with `undo` it may take some again."""

    which: Which = Which(kind="nodes", namespace="")
    undo: bool = False
    seconds: Seconds | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.undo and self.seconds is not None:
            raise ValueError(f"Cordon.seconds={self.seconds!r}: what is undone does not last")

    async def ask(self, simulation: Simulation) -> None:
        node, _ = found(self.which, simulation)
        await _set_unschedulable(simulation, node, not self.undo)
        await _uncordon_after(simulation, node, self.seconds)

    def __str__(self) -> str:
        return f"{'uncordons' if self.undo else 'cordons'} {self.which}{_for(self.seconds)}"


class Drain(UserCall, frozen=True, kw_only=True):
    """Cordons a node for `seconds` (None: until somebody uncordons it) and evicts its pods, once each; those of DaemonSets stay."""

    which: Which = Which(kind="nodes", namespace="")
    seconds: Seconds | None = None

    async def ask(self, simulation: Simulation) -> None:
        node, _ = found(self.which, simulation)
        await _set_unschedulable(simulation, node, True)
        for pod in [pod for pod in simulation.snapshot.list(Pod) if pod.spec.nodeName == node.metadata.name]:
            if not any(owner.kind == "DaemonSet" for owner in pod.metadata.ownerReferences):
                try:
                    await _evict(simulation, pod)
                except ApiError as error:
                    tell(self, error, simulation)
        await _uncordon_after(simulation, node, self.seconds)

    def __str__(self) -> str:
        return f"drains {self.which}{_for(self.seconds)}"


async def _set_unschedulable(simulation: Simulation, node: Node, unschedulable: bool) -> None:
    change = {"spec": {"unschedulable": True if unschedulable else None}}
    await simulation.client.patch(Node, node.metadata.name, change, content_type=MERGE_PATCH)


async def _uncordon_after(simulation: Simulation, node: Node, seconds: float | None) -> None:
    """Whoever set a node aside for a while tries until it is back, or gone."""
    if seconds is None:
        return
    await simulation.sleep(seconds)
    while True:
        try:
            await _set_unschedulable(simulation, node, False)
        except NotFound:
            pass
        except ApiError:
            await simulation.sleep(AGAIN_SECONDS)
            continue
        return


def _for(seconds: float | None) -> str:
    return f" for {seconds:g} s" if seconds is not None else ""


# ---- bad luck


class Corrupt(Call, frozen=True, kw_only=True):
    """One field of a stored object changes by itself, past all validation: `how` empties it, or flips one bit of it.

    `field` is its path (`spec.replicas`, `spec.containers.0.image`), or "" for the `nth` of those that the object has, beginning anew
    behind the last. What then has a default is read with it, as from etcd.
    """

    which: Which
    field: str = ""
    nth: Count = 0
    how: Literal["empty", "flip"] = "flip"

    async def play(self, simulation: Simulation) -> None:
        try:
            obj, resource = found(self.which, simulation)
            value = to_json(obj)
            fields = [path for path in _leaves(value, ()) if not self.field or path == tuple(self.field.split("."))]
            if not fields:
                raise NotFound(f"{self.which} has no field {self.field}")
            corrupted = _corrupted(type(obj), value, fields[self.nth % len(fields)], self.how)
            registry = simulation.cluster.registry
            registry.write(self.which.kind, registry.defaulted(resource, corrupted))
        except ApiError as error:
            tell(self, error, simulation)

    def __str__(self) -> str:
        return f"{self.field or 'a field'} of {self.which} is corrupted ({self.how})"


CALLS: Final[tuple[type[Call], ...]] = (
    Apply, Create, Edit, Scale, SetImage, Restart, LabelTheft, Delete, ForceDelete, Evict, Cordon, Drain, Corrupt,
)


async def _patch(simulation: Simulation, which: Which, change: Any, content_type: str, subresource: str = "") -> None:
    obj, resource = found(which, simulation)
    await simulation.client.patch(
        resource, obj.metadata.name, change, content_type=content_type, namespace=obj.metadata.namespace, subresource=subresource,
    )


async def _evict(simulation: Simulation, pod: Pod) -> None:
    await simulation.client.create(
        Eviction(metadata=ObjectMeta(name=pod.metadata.name, namespace=pod.metadata.namespace)), namespace=pod.metadata.namespace,
        name=pod.metadata.name, subresource="eviction",
    )


def _named(manifest: Mapping[str, Any]) -> str:
    metadata = manifest.get("metadata") or {}
    return f"{str(manifest.get('kind', 'an object')).lower()} {metadata.get('name') or metadata.get('generateName', '')}"


def _selected(obj: Any, which: Which) -> Mapping[str, str]:
    """The labels that an object selects by."""
    selector = _at(obj, "spec.selector", which)
    return selector if isinstance(selector, Mapping) else _at(selector, "matchLabels", which)


def _at(obj: Any, path: str, which: Which) -> Any:
    """A field of an object that was found. Raises NothingThere where such objects have none."""
    try:
        return attrgetter(path)(obj)
    except AttributeError:
        raise NothingThere(f"{which} has no {path}") from None


def _check_plain(where: str, value: Mapping[str, Any]) -> None:
    """Raises WrongValue for what JSON does not hold."""
    try:
        encode_value(value)
    except (TypeError, ValueError) as error:
        raise WrongValue(f"{where}={shown(value)}: plain JSON values are wanted ({error})") from None


def _leaves(value: Any, path: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
    """The paths of all fields that hold a plain value."""
    name = ".".join(path)
    if name in KEPT or name.startswith(UNREAD):
        return
    if isinstance(value, Mapping):
        for key, inner in value.items():
            yield from _leaves(inner, (*path, key))
    elif isinstance(value, list):
        for position, inner in enumerate(value):
            yield from _leaves(inner, (*path, str(position)))
    else:
        yield path


def _corrupted(kind: type[Any], value: Any, path: tuple[str, ...], how: str) -> Any:
    """The object of a JSON value in which the field at a path is corrupted."""
    holder = value
    for key in path[:-1]:
        holder = holder[int(key)] if isinstance(holder, list) else holder[key]
    last: Any = int(path[-1]) if isinstance(holder, list) else path[-1]
    if how == "flip":
        holder[last] = _flipped(holder[last])
    else:
        del holder[last]
    return decode(kind, encode_value(value))


def _flipped(value: Any) -> Any:
    """Another value of the same kind, one bit away; of a text its last digit, or else its last letter: a time stays a time."""
    if isinstance(value, bool):
        return not value
    if isinstance(value, int):
        return value ^ 1
    if not isinstance(value, str):
        return value
    position = max((i for i, c in enumerate(value) if c.isdecimal()), default=len(value) - 1)
    if position < 0:
        return "0"
    flipped = chr(ord(value[position]) ^ 1)
    return value[:position] + (flipped if flipped.isalnum() else chr(ord(value[position]) ^ 3)) + value[position + 1:]
