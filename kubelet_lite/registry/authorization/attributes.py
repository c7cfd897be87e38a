"""What an authorizer is asked, and what it answers.

https://kubernetes.io/docs/reference/access-authn-authz/authorization/#review-your-request-attributes
"""
from __future__ import annotations

from typing import Final, Protocol

import msgspec

from kubelet_lite.api.errors import Forbidden
from kubelet_lite.api.identity import Identity


class Attributes(msgspec.Struct, frozen=True, kw_only=True):
    """One request. Either `resource` is set or `path`, for a request that is about no resource."""

    verb: str
    group: str = ""
    version: str = ""
    resource: str = ""
    subresource: str = ""
    namespace: str = ""
    name: str = ""
    path: str = ""
    field_selector: str = ""
    """As it came in the query: the node authorizer lets a kubelet list its own pods alone."""


class Decision(msgspec.Struct, frozen=True):
    """`reason` says who allowed it, or what kept an authorizer from deciding."""

    allowed: bool
    reason: str = ""


NO_OPINION: Final = Decision(False)


class Authorizer(Protocol):
    """One authorization mode. Not allowed means that the next one is asked."""

    def authorize(self, identity: Identity, attributes: Attributes) -> Decision: ...


def forbidden(identity: Identity, attributes: Attributes, reason: str = "") -> Forbidden:
    """The error of a denied request, in Kubernetes' words."""
    user = quoted(identity.name)
    if not attributes.resource:
        return Forbidden(_with_reason(f"forbidden: User {user} cannot {attributes.verb} path {quoted(attributes.path)}", reason))
    qualified = f"{attributes.resource}.{attributes.group}" if attributes.group else attributes.resource
    resource = f"{attributes.resource}/{attributes.subresource}" if attributes.subresource else attributes.resource
    where = f"in the namespace {quoted(attributes.namespace)}" if attributes.namespace else "at the cluster scope"
    what = f"User {user} cannot {attributes.verb} resource {quoted(resource)} in API group {quoted(attributes.group)} {where}"
    subject = f"{qualified} {quoted(attributes.name)}" if attributes.name else qualified
    details = {"name": attributes.name} if attributes.name else {}
    if attributes.group:
        details["group"] = attributes.group
    details["kind"] = attributes.resource
    return Forbidden(f"{subject} is forbidden: {_with_reason(what, reason)}", details=details)


def quoted(text: str) -> str:
    """A string as Go's %q shows it."""
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n").replace("\t", "\\t") + '"'


def _with_reason(text: str, reason: str) -> str:
    return f"{text}: {reason}" if reason else text
