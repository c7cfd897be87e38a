"""What the API server does: every verb on every resource, for the HTTP server and for clients in this process alike.

Each request is authorized, then served by the pipeline (stored objects), or by what stands in the way of a subresource or a resource
without storage. Methods raise ApiError. Objects are typed, immutable and shared with the store.
"""
from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, suppress
from typing import Any, Final, Protocol

from msgspec.structs import replace

from kubelet_lite.actors.environment import Environment
from kubelet_lite.api import resources
from kubelet_lite.api.authentication_v1 import TokenRequest
from kubelet_lite.api.autoscaling_v1 import Scale
from kubelet_lite.api.core_v1 import Binding, Pod, PodLogOptions
from kubelet_lite.api.errors import (
    ApiError,
    BadRequest,
    Conflict,
    InternalError,
    MethodNotAllowed,
    NotFound,
    NotImplementedHere,
)
from kubelet_lite.api.identity import Identity
from kubelet_lite.api.meta_v1 import DeleteOptions, Status
from kubelet_lite.api.meta_v1 import Preconditions as DeletePreconditions
from kubelet_lite.api.policy_v1 import Eviction
from kubelet_lite.api.requests import (
    APPLY_PATCH,
    STRATEGIC_MERGE_PATCH,
    Body,
    ListOptions,
    ListResult,
    RequestContext,
    WatchEvent,
)
from kubelet_lite.api.resources import Resource
from kubelet_lite.registry import bodies, component_statuses
from kubelet_lite.registry.admission.plugin import Review
from kubelet_lite.registry.authorization.attributes import Attributes
from kubelet_lite.registry.custom.served import CustomResources
from kubelet_lite.registry.part import Part, main_part, status_part
from kubelet_lite.registry.patch import managed_fields
from kubelet_lite.registry.patch.server_side_apply import apply
from kubelet_lite.registry.pipeline import Admission, Change, Pipeline, manager
from kubelet_lite.registry.reading import Reader
from kubelet_lite.registry.rules import KindRules
from kubelet_lite.registry.store_view import StoreView
from kubelet_lite.registry.stored import Stored, StoredResources
from kubelet_lite.registry.subresources import binding, eviction, log
from kubelet_lite.registry.unstored import NOT_ALLOWED, UnstoredResources
from kubelet_lite.store import Key, Store, stamped
from kubelet_lite.wire.node_connection import NodeConnection

DELETED_AT_ONCE: Final = 200
"""Objects that a deletecollection deletes between two awaits: some milliseconds."""
DEPRECATED: Final[Mapping[str, str]] = {
    "endpoints": "v1 Endpoints is deprecated in v1.33+; use discovery.k8s.io/v1 EndpointSlice",
    component_statuses.NAME: component_statuses.DEPRECATION,
}
"""What every request for such a resource is warned of."""
SUCCESS: Final = Status(status="Success", code=201)
_INDEXED: Final[Mapping[str, Mapping[str, Callable[[Any], str]]]] = {"pods": {"spec.nodeName": lambda pod: str(pod.spec.nodeName)}}
"""Fields by which the store itself selects."""


class Authorizer(Protocol):
    """Raises Forbidden for what the caller may not do."""

    def check(self, identity: Identity, attributes: Attributes) -> None: ...


class Tokens(Protocol):
    """Answers requests for service account tokens."""

    def issue(self, namespace: str, name: str, request: TokenRequest) -> TokenRequest: ...


class Reviewer(Protocol):
    """Answers reviews: objects that ask a question and are not stored."""

    def answer(self, identity: Identity, namespace: str, review: Any) -> Any: ...


class Registry:
    """One cluster's API. `rules`: the table of kinds, keyed by Resource.qualified. `connections`: node name → its kubelet, if it is there.
    `health`: what is wrong with each component of the control plane, by name."""

    def __init__(
        self, store: Store, environment: Environment, *, rules: Mapping[str, KindRules] | None = None, authorizer: Authorizer | None = None,
        admission: Admission | None = None, tokens: Tokens | None = None, reviewer: Reviewer | None = None,
        connections: Callable[[str], NodeConnection | None] = lambda node: None, health: Callable[[], Mapping[str, str]] = dict,
    ) -> None:
        if rules is None:
            from kubelet_lite.registry.kinds import RULES
            rules = RULES
        self.store = store
        self.environment = environment
        self.view = StoreView(store)
        self.authorizer = authorizer
        self.admission = admission
        self.tokens = tokens
        self.reviewer = reviewer
        self.connections = connections
        self.unstored = UnstoredResources(component_statuses.ComponentStatuses(health))
        self.custom = CustomResources(self.view)
        self._resources = StoredResources(rules, self.custom.stored)
        self._pipeline = Pipeline(store, environment, self.view, lambda: self.admission)
        self._reader = Reader(store, environment, lambda resource: tuple(_INDEXED.get(resource, ())))
        self._served: tuple[tuple[Resource, ...], tuple[Resource, ...], tuple[Resource, ...]] = ((), (), resources.RESOURCES)
        """Custom resources, those offered without being stored, and all together."""
        for resource, fields in _INDEXED.items():
            for field, value in fields.items():
                store.add_index(resource, field, value)

    # Read

    async def get(
        self, ctx: RequestContext, resource: Resource, namespace: str, name: str, *, subresource: str = "", resource_version: str = "",
    ) -> Any:
        self._begin(ctx, "get", resource, namespace, name, subresource)
        target = self._resources.get(resource)
        if target is None:
            return await self.unstored.of(resource).get(namespace, name)
        obj = self._reader.get(target, namespace, name, resource_version)
        if subresource == "scale":
            return target.scaling.show(target.view(obj))
        self._part(target, subresource)
        return target.view(obj)

    async def list(self, ctx: RequestContext, resource: Resource, namespace: str, options: ListOptions) -> ListResult:
        self._begin(ctx, "list", resource, namespace, "", "", options.field_selector)
        target = self._resources.get(resource)
        if target is None:
            return await self.unstored.of(resource).list(namespace, options)
        result = await self._reader.list(target, namespace, options)
        return result if target.to_served is None else replace(result, items=tuple(map(target.view, result.items)))

    def watch(
        self, ctx: RequestContext, resource: Resource, namespace: str, options: ListOptions,
    ) -> AbstractAsyncContextManager[AsyncIterator[Sequence[WatchEvent]]]:
        self._begin(ctx, "watch", resource, namespace, "", "", options.field_selector)
        return self._reader.watch(self._target(resource), namespace, options)

    def logs(self, ctx: RequestContext, namespace: str, name: str, options: PodLogOptions) -> AsyncIterator[bytes] | None:
        """A container's log in chunks of whole lines; None for a pod that has no node yet."""
        self._begin(ctx, "get", _PODS, namespace, name, "log")
        log.check(options, name)
        pod = self._reader.get(self._target(_PODS), namespace, name)
        query = log.query(pod, options, self.environment.now())
        if not pod.spec.nodeName:
            return None
        connection = self.connections(pod.spec.nodeName)
        if connection is None:
            raise InternalError(f"no connection to the kubelet of node {pod.spec.nodeName}")
        return connection.logs(namespace, name, pod.metadata.uid, query)

    # Write

    async def create(self, ctx: RequestContext, resource: Resource, namespace: str, body: Any, *, name: str = "", subresource: str = "") -> Any:
        self._begin(ctx, "create", resource, namespace, name if subresource else "", subresource)
        if subresource:
            return self._create_subresource(ctx, resource, namespace, name, subresource, body)
        target = self._resources.get(resource)
        if target is None:
            return self._create_virtual(ctx, resource, namespace, body)
        target.check_creation()
        sent = target.decoded(ctx, body)
        return target.view(self._pipeline.create_sent(ctx, target, namespace, sent, canonical=isinstance(body, Body)))

    async def update(
        self, ctx: RequestContext, resource: Resource, namespace: str, name: str, body: Any, *, subresource: str = "",
    ) -> tuple[Any, bool]:
        self._begin(ctx, "update", resource, namespace, name, subresource)
        target = self._target(resource)
        if subresource == "scale":
            wanted = bodies.typed(ctx, Scale, body)
            _check_name(wanted, name, namespace)
            return self._rescale(ctx, target, namespace, name, lambda shown: wanted, uid=wanted.metadata.uid)
        part = self._part(target, subresource)
        sent = target.decoded(ctx, body)
        _check_name(sent, name, namespace)

        def make(live: Any | None) -> Any:
            return self._pipeline.received(target, sent if isinstance(body, Body) else target.canonical(sent, live), live)

        change = Change(
            make=make, part=part, uid=sent.metadata.uid,
            may_create=self._creating(ctx, resource, namespace, name) if target.rules.create_on_update and not subresource else None,
        )
        new, created = self._pipeline.update(ctx, target, namespace, name, change)
        return target.view(new), created

    async def patch(
        self, ctx: RequestContext, resource: Resource, namespace: str, name: str, patch: Any, content_type: str, *, subresource: str = "",
    ) -> tuple[Any, bool]:
        self._begin(ctx, "patch", resource, namespace, name, subresource)
        target = self._target(resource)
        if content_type == STRATEGIC_MERGE_PATCH and not resource.module:
            raise bodies.unknown_format(bodies.CUSTOM_PATCHES)
        parsed = bodies.patch_of(patch, content_type)
        if content_type == APPLY_PATCH:
            return self._apply(ctx, target, namespace, name, parsed, subresource)
        if subresource == "scale":
            return self._rescale(ctx, target, namespace, name, lambda shown: bodies.patched(ctx, Scale, shown, parsed))

        def make(live: Any) -> Any:
            obj = target.patched(ctx, target.view(live), parsed)
            _check_name(obj, name, namespace)
            return self._pipeline.received(target, obj, live)

        change = Change(make=make, part=self._part(target, subresource))
        new, created = self._pipeline.update(ctx, target, namespace, name, change)
        return target.view(new), created

    def _apply(
        self, ctx: RequestContext, target: Stored, namespace: str, name: str, patch: bodies.Patch, subresource: str,
    ) -> tuple[Any, bool]:
        served = target.served

        def make(live: Any | None) -> Any:
            shown = target.view(live) if live is not None else None
            applied = apply(
                shown, patch.value, manager=manager(ctx), force=ctx.force, now=self.environment.now(), resource=served,
                subresource=subresource, convert=target.convert,
            )
            obj: Any = shown if applied.value is None else target.merged(ctx, applied.value, patch)
            _check_name(obj, name, namespace)
            if live is None and obj.metadata.uid:
                why = f"uid mismatch: the provided object specified uid {obj.metadata.uid}, and no existing object was found"
                raise Conflict.of(served.group, served.plural, name, why)
            obj = replace(obj, metadata=replace(obj.metadata, managedFields=applied.managed_fields))
            return self._pipeline.received(target, obj)

        part = self._part(target, subresource)
        may_create = self._creating(ctx, served, namespace, name) if not subresource else None
        change = Change(make=make, part=part, applies=True, may_create=may_create)
        new, created = self._pipeline.update(ctx, target, namespace, name, change)
        shown = target.view(new)
        return target.scaling.show(shown) if subresource == "scale" else shown, created

    def _rescale(
        self, ctx: RequestContext, target: Stored, namespace: str, name: str, wanted: Callable[[Scale], Scale], *, uid: str = "",
    ) -> tuple[Scale, bool]:
        scaling = target.scaling

        def make(live: Any) -> Any:
            shown = target.view(live)
            return self._pipeline.received(target, scaling.scaled(shown, wanted(scaling.show(shown))))

        new, _ = self._pipeline.update(ctx, target, namespace, name, Change(make=make, part=self._part(target, "scale"), uid=uid))
        return scaling.show(target.view(new)), False

    async def delete(self, ctx: RequestContext, resource: Resource, namespace: str, name: str, options: DeleteOptions) -> Any:
        """The object (while something keeps it, and for some kinds), or a Status."""
        self._begin(ctx, "delete", resource, namespace, name)
        target = self._target(resource)
        answer = self._pipeline.delete(ctx, target, namespace, name, options)
        return answer if isinstance(answer, Status) else target.view(answer)

    async def delete_collection(
        self, ctx: RequestContext, resource: Resource, namespace: str, list_options: ListOptions, options: DeleteOptions,
    ) -> ListResult:
        """What was there to be deleted."""
        self._begin(ctx, "deletecollection", resource, namespace)
        target = self._target(resource)
        found = await self._reader.list(target, namespace, list_options)
        for number, obj in enumerate(found.items, 1):
            with suppress(NotFound):
                self._pipeline.delete(ctx, target, obj.metadata.namespace, obj.metadata.name, options)
            if number % DELETED_AT_ONCE == 0:
                await self.environment.sleep(0)
        return replace(found, items=tuple(map(target.view, found.items)))

    # Subresources and resources without storage

    def _create_subresource(self, ctx: RequestContext, resource: Resource, namespace: str, name: str, subresource: str, body: Any) -> Any:
        match resource.qualified, subresource:
            case "pods", "binding":
                wanted = bodies.typed(ctx, Binding, body)
                return self._bind(ctx, namespace, name, wanted)
            case "pods", "eviction":
                return self._evict(ctx, namespace, name, bodies.typed(ctx, Eviction, body, any_version=True))
            case "serviceaccounts", "token" if self.tokens is not None:
                request = bodies.typed(ctx, TokenRequest, body)
                self._validate(ctx, request, resource, namespace, name, subresource)
                return self.tokens.issue(namespace, name, request)
        if resource.subresource(subresource) is None:
            raise MethodNotAllowed(NOT_ALLOWED, details={})
        raise NotImplementedHere(f"kubelet-lite does not serve {resource.qualified}/{subresource} yet")

    def _create_virtual(self, ctx: RequestContext, resource: Resource, namespace: str, body: Any) -> Any:
        if resource.qualified == "bindings":
            wanted = bodies.typed(ctx, Binding, body)
            return self._bind(ctx, namespace, wanted.metadata.name, wanted)
        if "create" not in resource.verbs or self.reviewer is None:
            raise MethodNotAllowed(NOT_ALLOWED, details={})
        review = bodies.typed(ctx, resource.type, body)
        owned = managed_fields.updated(None, review, manager=manager(ctx), now=self.environment.now(), resource=resource)
        review = replace(review, metadata=replace(review.metadata, managedFields=owned))
        return self.reviewer.answer(ctx.identity, namespace, review)

    def _bind(self, ctx: RequestContext, namespace: str, name: str, wanted: Binding) -> Status:
        binding.check(wanted, name)
        if self.admission is not None:
            review = Review(context=ctx, resource=_PODS, operation="CREATE", namespace=namespace, name=name, subresource="binding")
            wanted = self.admission.mutate(wanted, review)
            self.admission.validate(wanted, review)
        binding.bind(self.store, namespace, wanted, self._pipeline.now_text(), dry_run=ctx.dry_run)
        return SUCCESS

    async def bind(self, ctx: RequestContext, bindings: Sequence[Binding]) -> Sequence[Exception | None]:
        """Many pods at once: watchers wake once. One answer a binding."""
        answers: list[Exception | None] = []
        with self.store.transaction():
            for wanted in bindings:
                namespace, name = wanted.metadata.namespace, wanted.metadata.name
                try:
                    self._begin(ctx, "create", _PODS, namespace, name, "binding")
                    self._bind(ctx, namespace, name, wanted)
                except ApiError as error:
                    answers.append(error)
                else:
                    answers.append(None)
        return answers

    def _evict(self, ctx: RequestContext, namespace: str, name: str, wanted: Eviction) -> Status:
        if wanted.metadata.name != name:
            raise BadRequest("name in URL does not match name in Eviction object")
        target = self._target(_PODS)
        pod = self._reader.get(target, namespace, name)
        self._validate(ctx, wanted, _PODS, namespace, name, "eviction", pod)
        options = wanted.deleteOptions or DeleteOptions()
        dry = ctx.dry_run or bool(options.dryRun)
        context = replace(ctx, dry_run=dry)
        now = self._pipeline.now_text()
        budget = eviction.budget_of(pod, self.view.list(eviction.BUDGETS, namespace))
        if budget is not None:
            if eviction.is_guarded(pod, budget):
                self._write_status(context, eviction.BUDGETS, eviction.charged(budget, name, now))
            else:
                pinned = replace(options.preconditions or DeletePreconditions(), resourceVersion=pod.metadata.resourceVersion)
                options = replace(options, preconditions=pinned)
        if not dry:
            self._pipeline.check_deletable(target, pod, options)
            marked = self._write_status(context, "pods", eviction.marked(pod, now))
            conditions = options.preconditions
            if conditions is not None and conditions.resourceVersion is not None:
                options = replace(options, preconditions=replace(conditions, resourceVersion=marked.metadata.resourceVersion))
        self._pipeline.delete(context, target, namespace, name, options)
        return SUCCESS

    def _write_status(self, ctx: RequestContext, resource: str, obj: Any) -> Any:
        """Writes the status of an object of which the registry itself is the author."""
        target = self._resources.by_name(resource)
        change = Change(make=lambda live: obj, part=self._part(target, "status"))
        return self._pipeline.update(ctx, target, obj.metadata.namespace, obj.metadata.name, change)[0]

    def write(self, resource: str, obj: Any) -> None:
        """Stores a changed object as it is, by the resource's qualified name: what admission itself writes (the usage of a quota)."""
        key = Key(resource, obj.metadata.namespace, obj.metadata.name)
        self.store.put(key, stamped(obj, self.store.next_revision), expected=self.store.mod_revision(key))

    def defaulted(self, resource: Resource, obj: Any) -> Any:
        """A stored object with the defaults that Kubernetes fills when it reads one."""
        return self._target(resource).rules.default(obj)

    # Resources

    def find(self, group: str, version: str, plural: str) -> Resource | None:
        """The resource of a path."""
        return resources.find(group, version, plural) or self.custom.find(group, version, plural) or self.unstored.find(group, version, plural)

    def find_kind(self, api_version: str, kind: str) -> Resource | None:
        """The resource of an object."""
        return resources.find_kind(api_version, kind) or self.custom.find_kind(api_version, kind) or self.unstored.find_kind(api_version, kind)

    def served(self) -> tuple[Resource, ...]:
        """All that is served, in the order of discovery; the same tuple as long as nothing changes."""
        custom, offered = self.custom.listed(), self.unstored.offered
        if custom is not self._served[0] or offered is not self._served[1]:
            self._served = (custom, offered, (*resources.RESOURCES, *custom, *offered))
        return self._served[2]

    def is_stored(self, resource: Resource) -> bool:
        """Whether its objects stand in the store, where others are made up for each answer."""
        return self._resources.get(resource) is not None

    def row(self, resource: Resource, obj: Any, now: float) -> Sequence[Any] | None:
        """The cells of a served object's row in a Table; None: name and creation."""
        return self._shown(resource).row(obj, now)

    def _shown(self, resource: Resource) -> Stored:
        """What can be read, stored or made up."""
        return self._resources.get(resource) or self.unstored.of(resource).shown

    def _target(self, resource: Resource) -> Stored:
        target = self._resources.get(resource)
        if target is None:
            raise MethodNotAllowed(NOT_ALLOWED, details={})
        return target

    def _part(self, target: Stored, subresource: str) -> Part:
        part: Part | None = target.parts.get(subresource)
        if part is None:
            part = target.parts[subresource] = self._new_part(target, subresource)
        return part

    @staticmethod
    def _new_part(target: Stored, subresource: str) -> Part:
        if not subresource:
            return main_part(target)
        if subresource == "status" and target.has_status:
            return status_part(target)
        if subresource == "scale" and target.resource.subresource("scale") is not None:
            return replace(main_part(target), subresource="scale")
        from kubelet_lite.registry.subresources.parts import part_of  # loads the rules of pods

        part = part_of(target, subresource)
        if part is None:
            raise MethodNotAllowed(NOT_ALLOWED, details={})
        return part

    def _validate(
        self, ctx: RequestContext, obj: Any, resource: Resource, namespace: str, name: str, subresource: str, old: Any = None,
    ) -> None:
        if self.admission is not None:
            self.admission.validate(obj, Review(
                context=ctx, resource=resource, operation="CREATE", namespace=namespace, name=name, subresource=subresource, old=old,
            ))

    def _creating(self, ctx: RequestContext, resource: Resource, namespace: str, name: str) -> Callable[[], None]:
        """The check of who creates by an update or apply: that alone is what has been authorized."""

        def check() -> None:
            if self.authorizer is not None:
                self.authorizer.check(ctx.identity, Attributes(
                    verb="create", group=resource.group, version=resource.version, resource=resource.plural, namespace=namespace, name=name,
                ))

        return check

    def _begin(
        self, ctx: RequestContext, verb: str, resource: Resource, namespace: str, name: str = "", subresource: str = "", field_selector: str = "",
    ) -> None:
        if self.authorizer is not None and not ctx.authorized:
            self.authorizer.check(ctx.identity, Attributes(
                verb=verb, group=resource.group, version=resource.version, resource=resource.plural, subresource=subresource,
                namespace=name if resource.qualified == "namespaces" else namespace, name=name, field_selector=field_selector,
            ))
        if resource.qualified in DEPRECATED:
            ctx.warnings.append(DEPRECATED[resource.qualified])
        elif not resource.module and (deprecation := self.custom.stored(resource).deprecation):
            ctx.warnings.append(deprecation)


def _check_name(obj: Any, name: str, namespace: str) -> None:
    meta = obj.metadata
    if not meta.name:
        raise BadRequest(f"the name of the object ({name} based on URL) was undeterminable: name must be provided")
    if meta.name != name:
        raise BadRequest(f"the name of the object ({meta.name}) does not match the name on the URL ({name})")
    if meta.namespace != namespace and meta.namespace and namespace:
        raise BadRequest("the namespace of the provided object does not match the namespace sent on the request")


_PODS: Final = resources.resource_of(Pod)
