"""API Priority and Fairness, as far as a caller sees it: which flow schema a request falls under, named in the answer's headers.

Nothing is queued: requests of one process are served in the order in which they come.
https://kubernetes.io/docs/concepts/cluster-administration/flow-control/
"""
from __future__ import annotations

from typing import Any, Final

from kubelet_lite.api.flowcontrol_v1 import FlowSchema, PolicyRulesWithSubjects
from kubelet_lite.api.flowcontrol_v1 import Subject as FlowSubject
from kubelet_lite.api.identity import Identity
from kubelet_lite.registry.authorization.attributes import Attributes
from kubelet_lite.registry.authorization.rbac import SERVICE_ACCOUNT_PREFIX
from kubelet_lite.registry.view import View

GROUP: Final = "flowcontrol.apiserver.k8s.io"
SCHEMAS: Final = f"flowschemas.{GROUP}"
LEVELS: Final = f"prioritylevelconfigurations.{GROUP}"
CACHED: Final = 8192
"""Classifications remembered; when full, all are forgotten at once."""


class FlowControl:
    """Classifies from the store's present snapshot."""

    def __init__(self, view: View) -> None:
        self._view = view
        self._version: object = None
        self._schemas: list[FlowSchema] = []
        self._known: dict[Any, bytes] = {}

    def headers(self, identity: Identity, attributes: Attributes) -> bytes:
        """The two header lines, or nothing while there are no flow schemas."""
        version = (self._view.changed(SCHEMAS), self._view.changed(LEVELS))
        if version != self._version or len(self._known) >= CACHED:
            self._version = version
            self._known.clear()
            schemas: list[FlowSchema] = list(self._view.list(SCHEMAS))
            self._schemas = sorted(schemas, key=lambda schema: (schema.spec.matchingPrecedence, schema.metadata.name))
        key = (identity.name, identity.groups, attributes)
        known = self._known.get(key)
        if known is None:
            known = self._known[key] = self._lines(identity, attributes)
        return known

    def _lines(self, identity: Identity, attributes: Attributes) -> bytes:
        for schema in self._schemas:
            if any(_matches(rule, identity, attributes) for rule in schema.spec.rules):
                level = self._view.get(LEVELS, "", schema.spec.priorityLevelConfiguration.name)
                level_uid = level.metadata.uid if level is not None else ""
                return (
                    f"X-Kubernetes-Pf-Flowschema-Uid: {schema.metadata.uid}\r\nX-Kubernetes-Pf-Prioritylevel-Uid: {level_uid}\r\n".encode()
                )
        return b""


def _matches(rule: PolicyRulesWithSubjects, identity: Identity, attributes: Attributes) -> bool:
    if not any(_is(subject, identity) for subject in rule.subjects):
        return False
    if not attributes.resource:
        return any(
            _has(wanted.verbs, attributes.verb) and any(_path(path, attributes.path) for path in wanted.nonResourceURLs)
            for wanted in rule.nonResourceRules
        )
    resource = f"{attributes.resource}/{attributes.subresource}" if attributes.subresource else attributes.resource
    return any(
        _has(wanted.verbs, attributes.verb) and _has(wanted.apiGroups, attributes.group) and _has(wanted.resources, resource)
        and (_has(wanted.namespaces, attributes.namespace) if attributes.namespace else wanted.clusterScope)
        for wanted in rule.resourceRules
    )


def _is(subject: FlowSubject, identity: Identity) -> bool:
    if subject.user is not None:
        return subject.user.name in ("*", identity.name)
    if subject.group is not None:
        return subject.group.name == "*" or subject.group.name in identity.groups
    if subject.serviceAccount is not None:
        account = subject.serviceAccount
        if account.name == "*":
            return identity.name.startswith(f"{SERVICE_ACCOUNT_PREFIX}{account.namespace}:")
        return identity.name == f"{SERVICE_ACCOUNT_PREFIX}{account.namespace}:{account.name}"
    return False


def _has(values: tuple[str, ...], wanted: str) -> bool:
    return "*" in values or wanted in values


def _path(pattern: str, path: str) -> bool:
    return pattern in ("*", path) or (pattern.endswith("/*") and path.startswith(pattern[:-1]))
