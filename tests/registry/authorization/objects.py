"""Builders for tests of admission and authorization: a view over a handful of objects, a review, a world."""
from kubelet_lite.actors.environment import Environment
from kubelet_lite.api import encoding
from kubelet_lite.api.identity import ADMIN
from kubelet_lite.api.requests import RequestContext
from kubelet_lite.api.resources import find_kind, resource_of
from kubelet_lite.registry.admission.plugin import Review, World
from kubelet_lite.registry.authorization.authorizer import ClusterAuthorizer


def made(text):
    """An object from JSON values with kind and apiVersion."""
    return encoding.from_json(find_kind(text["apiVersion"], text["kind"]).type, text)


class Objects:
    """A View; `put` adds or replaces."""

    def __init__(self, *objects):
        self._objects = {}
        self._changed = {}
        self.revision = 0
        for obj in objects:
            self.put(obj)

    def put(self, obj):
        self.revision += 1
        qualified = resource_of(type(obj)).qualified
        self._changed[qualified] = self.revision
        self._objects[qualified, obj.metadata.namespace, obj.metadata.name] = obj

    def get(self, resource, namespace, name):
        return self._objects.get((resource, namespace, name))

    def list(self, resource, namespace=""):
        return [obj for (kind, where, _), obj in sorted(self._objects.items(), key=lambda item: item[0]) if kind == resource and namespace in ("", where)]

    def changed(self, *resources):
        return max(self._changed.get(resource, 0) for resource in resources)


def world(*objects):
    view = Objects(*objects)
    return World(
        view=view, environment=Environment.real(), authorizer=ClusterAuthorizer(view), write=lambda resource, obj: view.put(obj),
    )


def review(obj, operation="CREATE", *, identity=ADMIN, old=None, subresource="", dry_run=False):
    context = RequestContext(identity=identity, dry_run=dry_run)
    metadata = (obj if obj is not None else old).metadata
    return Review(
        context=context, resource=resource_of(type(obj if obj is not None else old)), operation=operation, namespace=metadata.namespace,
        name=metadata.name, subresource=subresource, old=old,
    )


def pod(name="web", **spec):
    spec.setdefault("containers", [{"name": "c", "image": "x"}])
    return made({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "namespace": "default"}, "spec": spec})


def namespace(name="default", **metadata):
    return made({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, **metadata}, "status": {"phase": "Active"}})
