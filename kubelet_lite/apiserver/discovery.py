"""What the server offers: versions, groups and resources, one document at a time or all at once (aggregated discovery).

https://kubernetes.io/docs/concepts/overview/kubernetes-api/#discovery-api
"""
from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import msgspec

from kubelet_lite.api.resources import RESOURCES, Resource
from kubelet_lite.apiserver.negotiation import JSON
from kubelet_lite.registry.patch.schema import SchemaResource

STORAGE_VERSIONS: Final = {
    ("events.k8s.io", "v1", "Event"): "/v1/Event",
    ("autoscaling", "v1", "HorizontalPodAutoscaler"): "autoscaling/v2/HorizontalPodAutoscaler",
}
"""Kinds that are kept in another group or version than they are served in."""
_GROUPS: Final = frozenset(resource.group for resource in RESOURCES)
AGGREGATED_VERSIONS: Final = ("v2", "v2beta1")
AGGREGATED_GROUP: Final = "apidiscovery.k8s.io"


class Document(msgspec.Struct, frozen=True):
    """An answer that changes only with the resources."""

    body: bytes
    media_type: str = JSON
    etag: str = ""

    @property
    def hash(self) -> str:
        """The ETag without its quotes."""
        return self.etag[1:-1]


class Discovery:
    """Documents are made when they are first asked for. `resources` lists all that is served, in the order of discovery:
    the same sequence as long as nothing changes."""

    def __init__(self, resources: Callable[[], Sequence[Resource]], address: str) -> None:
        self.resources = resources
        self._addresses = [{"clientCIDR": "0.0.0.0/0", "serverAddress": address}]
        self._documents: dict[tuple[str, str], Document | None] = {}
        self._made_of: object = None
        """The resources that the documents show."""

    def moved(self, address: str) -> None:
        """Where the server listens, once it is known."""
        self._addresses = [{"clientCIDR": "0.0.0.0/0", "serverAddress": address}]
        self._documents.clear()

    def document(self, path: str, accept: str) -> Document | None:
        """The document at `/api`, `/apis` and below them; None where there is none."""
        if self.resources() is not self._made_of:
            self._made_of = self.resources()
            self._documents.clear()
        path = path.rstrip("/")
        form = aggregated_form(accept) if path in ("/api", "/apis") else ""
        key = (path, form)
        if key not in self._documents:
            self._documents[key] = self._aggregated(path, form) if form else self._plain(path)
        return self._documents[key]

    def group_versions(self) -> dict[str, list[str]]:
        """Versions by group, the preferred one first."""
        found: dict[str, list[str]] = {}
        for resource in self.resources():
            versions = found.setdefault(resource.group, [])
            if resource.version not in versions:
                versions.append(resource.version)
        return found

    # ---- one by one

    def _plain(self, path: str) -> Document | None:
        _, root, *rest = path.split("/")
        if root == "api":
            if not rest:
                return _document({"kind": "APIVersions", "versions": ["v1"], "serverAddressByClientCIDRs": self._addresses})
            return self._version("", rest[0]) if len(rest) == 1 else None
        versions = self.group_versions()
        if not rest:
            groups = [self._group(group) for group in versions if group]
            return _document({"kind": "APIGroupList", "apiVersion": "v1", "groups": groups})
        if rest[0] not in versions or not rest[0]:
            return None
        if len(rest) == 1:
            return _document({"kind": "APIGroup", "apiVersion": "v1", **self._group(rest[0])})
        return self._version(rest[0], rest[1]) if len(rest) == 2 else None

    def _group(self, group: str) -> dict[str, Any]:
        versions = [{"groupVersion": f"{group}/{version}", "version": version} for version in self.group_versions()[group]]
        return {"name": group, "versions": versions, "preferredVersion": versions[0]}

    def _version(self, group: str, version: str) -> Document | None:
        rows = []
        for resource in self.resources():
            if resource.group != group or resource.version != version:
                continue
            if resource.verbs:
                rows.append(_row(resource))
            rows += [_subresource_row(resource, sub) for sub in resource.subresources]
        if not rows:
            return None
        head = {"kind": "APIResourceList", "groupVersion": f"{group}/{version}" if group else version}
        if group:
            head = {"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": f"{group}/{version}"}
        return _document({**head, "resources": sorted(rows, key=lambda row: row["name"]) if is_built_in(group) else rows})

    # ---- all at once

    def _aggregated(self, path: str, form: str) -> Document:
        items = []
        for group, versions in self.group_versions().items():
            if bool(group) == (path == "/apis"):
                metadata = {"name": group, "creationTimestamp": None} if group else {"creationTimestamp": None}
                items.append({"metadata": metadata, "versions": [self._aggregated_version(group, version) for version in versions]})
        value = {"kind": "APIGroupDiscoveryList", "apiVersion": f"{AGGREGATED_GROUP}/{form}", "metadata": {}, "items": items}
        return _document(value, f"{JSON};g={AGGREGATED_GROUP};v={form};as=APIGroupDiscoveryList")

    def _aggregated_version(self, group: str, version: str) -> dict[str, Any]:
        resources = [_aggregated_resource(r) for r in self.resources() if r.group == group and r.version == version]
        return {"version": version, "resources": resources, "freshness": "Current"}


def is_built_in(group: str) -> bool:
    """Whether it is a group of Kubernetes' own."""
    return group in _GROUPS


def aggregated_form(accept: str) -> str:
    """The version of the aggregated form that a client accepts, or ""."""
    for part in accept.split(","):
        media, *raw = (piece.strip() for piece in part.split(";"))
        parameters = dict(item.partition("=")[::2] for item in raw)
        wanted = parameters.get("g") == AGGREGATED_GROUP and parameters.get("as") == "APIGroupDiscoveryList"
        if media in (JSON, "*/*") and wanted and parameters.get("v") in AGGREGATED_VERSIONS:
            return str(parameters["v"])
        if media in (JSON, "*/*") and not raw:
            return ""
    return ""


def _row(resource: Resource) -> dict[str, Any]:
    row: dict[str, Any] = {
        "name": resource.plural, "singularName": resource.singular, "namespaced": resource.namespaced, "kind": resource.kind,
        "verbs": resource.verbs,
    }
    if resource.short_names:
        row["shortNames"] = resource.short_names
    if resource.categories:
        row["categories"] = resource.categories
    if "list" in resource.verbs and "watch" in resource.verbs:
        row["storageVersionHash"] = _storage_hash(resource)
    return row


def _storage_hash(resource: Resource) -> str:
    version = resource.storage_version if isinstance(resource, SchemaResource) else resource.version
    key = (resource.group, version, resource.kind)
    stored = STORAGE_VERSIONS.get(key) or "/".join(key)
    return base64.b64encode(hashlib.sha256(stored.encode()).digest()[:8]).decode()


def _subresource_row(resource: Resource, sub: Any) -> dict[str, Any]:
    row: dict[str, Any] = {"name": f"{resource.plural}/{sub.name}", "singularName": "", "namespaced": resource.namespaced}
    if sub.version:
        row |= {"group": sub.group, "version": sub.version}
    return {**row, "kind": sub.kind, "verbs": sub.verbs}


def _aggregated_resource(resource: Resource) -> dict[str, Any]:
    row: dict[str, Any] = {
        "resource": resource.plural, "responseKind": {"group": "", "version": "", "kind": resource.kind},
        "scope": "Namespaced" if resource.namespaced else "Cluster", "singularResource": resource.singular, "verbs": resource.verbs,
    }
    if resource.short_names:
        row["shortNames"] = resource.short_names
    if resource.categories:
        row["categories"] = resource.categories
    if resource.subresources:
        row["subresources"] = [
            {"subresource": sub.name, "responseKind": {"group": sub.group, "version": sub.version, "kind": sub.kind}, "verbs": sub.verbs}
            for sub in resource.subresources
        ]
    return row


def _document(value: Mapping[str, Any], media_type: str = JSON) -> Document:
    body = msgspec.json.encode(value) + b"\n"
    return Document(body, media_type, f'"{hashlib.sha512(body).hexdigest().upper()}"')
