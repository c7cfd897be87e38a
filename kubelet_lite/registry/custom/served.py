"""Which custom resources are served: read from the definitions in the store, and read again as soon as one has changed."""
from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from msgspec.structs import replace

from kubelet_lite.api.errors import NotFound
from kubelet_lite.api.resources import Resource
from kubelet_lite.registry.view import View

if TYPE_CHECKING:
    from kubelet_lite.registry.custom.stored import CustomStored

DEFINITIONS: Final = "customresourcedefinitions.apiextensions.k8s.io"
Path = tuple[str, str, str]
"""Group, version and plural."""


class CustomResources:
    """Of one registry. A descriptor stays as long as nothing of its definition changes that it was made of; when it goes, its watches end."""

    def __init__(self, view: View) -> None:
        self._view = view
        self._seen = 0
        self._served: Mapping[Path, CustomStored] = {}
        self._emptied: Mapping[Path, CustomStored] = {}
        """Of definitions that serve no version while they are being deleted: their instances must go all the same."""
        self._listed: tuple[Resource, ...] = ()

    def find(self, group: str, version: str, plural: str) -> Resource | None:
        found = self._now().get((group, version, plural))
        return found.served if found is not None else None

    def find_kind(self, api_version: str, kind: str) -> Resource | None:
        return next((one.served for one in self._now().values() if one.served.api_version == api_version and one.served.kind == kind), None)

    def stored(self, resource: Resource) -> CustomStored:
        """The descriptor of a resource, whoever made that. Raises NotFound."""
        path = (resource.group, resource.version, resource.plural)
        found = self._now().get(path) or self._emptied.get(path)
        if found is None:
            raise NotFound("the server could not find the requested resource", details={})
        return found

    def listed(self) -> tuple[Resource, ...]:
        """All of them as discovery shows them; the same tuple as long as nothing changes."""
        self._now()
        return self._listed

    def _now(self) -> Mapping[Path, CustomStored]:
        revision = self._view.changed(DEFINITIONS)
        if revision != self._seen:
            self._seen = revision
            self._read()
        return self._served

    def _read(self) -> None:
        from kubelet_lite.api.custom_resources import (
            VERBS_WHILE_TERMINATING,
            has_condition,
            precedence,
            served_versions,
            storage_version,
        )
        from kubelet_lite.registry.custom.stored import CustomStored  # most clusters have no custom resources

        before, served, listed, emptied = self._served, {}, [], {}
        for definition in self._view.list(DEFINITIONS):
            versions, terminating = served_versions(definition), has_condition(definition, "Terminating")
            if terminating and not versions and has_condition(definition, "Established"):
                unserved = CustomStored(definition, storage_version(definition))
                emptied[unserved.served.group, unserved.served.version, unserved.served.plural] = unserved
            for version in versions:
                path = (definition.spec.group, version.name, definition.status.acceptedNames.plural)
                known = before.get(path)
                if known is None or not _is_made_of(known, definition):
                    known = CustomStored(definition, version)
                known.definition = definition
                served[path] = known
                listed.append(replace(known.served, verbs=VERBS_WHILE_TERMINATING) if terminating else known.served)
        self._served, self._emptied = served, emptied
        self._listed = tuple(sorted(listed, key=lambda one: (one.group, precedence(one.version), one.plural)))
        for path, gone in before.items():
            if served.get(path) is not gone:
                gone.retire()


def _is_made_of(known: CustomStored, definition: Any) -> bool:
    old = known.definition
    return bool(
        old.metadata.uid == definition.metadata.uid and (old.spec is definition.spec or old.spec == definition.spec)
        and old.status.acceptedNames == definition.status.acceptedNames
    )
