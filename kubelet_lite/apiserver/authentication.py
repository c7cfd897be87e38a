"""Who asks: client certificates, bearer tokens (the cluster's own and service accounts'), nobody; and on whose behalf.

https://kubernetes.io/docs/reference/access-authn-authz/authentication/
"""
from __future__ import annotations

import hashlib
import ssl
from collections.abc import Iterator, Mapping
from typing import Any, Final
from urllib.parse import unquote

import msgspec
from msgspec.structs import replace

from kubelet_lite.actors.environment import Environment
from kubelet_lite.api.errors import BadRequest, Unauthorized
from kubelet_lite.api.identity import ANONYMOUS, AUTHENTICATED, UNAUTHENTICATED, Identity
from kubelet_lite.apiserver.http_connection import HttpConnection, Request
from kubelet_lite.registry.authorization.attributes import Attributes
from kubelet_lite.registry.authorization.authorizer import ClusterAuthorizer
from kubelet_lite.registry.authorization.rbac import SERVICE_ACCOUNT_PREFIX
from kubelet_lite.registry.authorization.tokens import EXTRA, ISSUER, Authenticated, ServiceAccountTokens, TokenError

CACHED_IDENTITIES: Final = 4096
"""Tokens remembered; when full, all are forgotten at once."""
TOKEN_SECONDS: Final = 10.0
"""How long a service account token is believed without looking again: Kubernetes' own cache."""
GROUP: Final = "authentication.k8s.io"
_PREFIX: Final = b"impersonate-"


class _Known(msgspec.Struct, frozen=True):
    identity: Identity
    until: float
    """Monotonic; never, for tokens of the cluster itself."""


class Authenticator:
    """`tokens`: the cluster's own bearer tokens and whose they are."""

    def __init__(self, tokens: Mapping[str, Identity], accounts: ServiceAccountTokens, authorizer: ClusterAuthorizer, environment: Environment) -> None:
        self._tokens = dict(tokens)
        self._accounts = accounts
        self._authorizer = authorizer
        self._environment = environment
        self._known: dict[tuple[bytes, bytes], _Known] = {}

    def identify(self, connection: HttpConnection, request: Request) -> Identity:
        """Who asks, after impersonation. Raises Unauthorized, Forbidden."""
        headers = request.headers
        agent = headers.get(b"user-agent", b"")
        identity = self._certified(connection, agent)
        if identity is None:
            authorization = headers.get(b"authorization")
            identity = self._bearer(authorization, agent) if authorization is not None else None
        if identity is None:
            identity = replace(ANONYMOUS, user_agent=agent.decode("utf-8", "replace"))
        for name in headers:
            if name.startswith(_PREFIX):
                return self._impersonated(identity, request)
        return identity

    def authenticate_token(self, token: str, audiences: tuple[str, ...] = (ISSUER,)) -> Authenticated | None:
        """For TokenReview. Raises TokenError."""
        identity = self._tokens.get(token)
        if identity is not None:
            return Authenticated(identity, (ISSUER,)) if ISSUER in audiences else None
        return self._accounts.authenticate(token, audiences)

    # ---- certificates

    def _certified(self, connection: HttpConnection, agent: bytes) -> Identity | None:
        known = connection.peer_identities
        if agent in known:
            found: Identity | None = known[agent]
            return found
        certified = known.get(b"\0")
        if certified is None and b"\0" not in known:
            certified = known[b"\0"] = _from_certificate(connection.transport.get_extra_info("ssl_object"))
        identity = None if certified is None else replace(certified, user_agent=agent.decode("utf-8", "replace"))
        known[agent] = identity
        return identity

    # ---- bearer tokens

    def _bearer(self, authorization: bytes, agent: bytes) -> Identity | None:
        known = self._known.get((authorization, agent))
        if known is not None and known.until > self._environment.monotonic():
            return known.identity
        scheme, *rest = authorization.decode("utf-8", "replace").strip().split(" ")
        token = rest[0] if rest else ""
        if scheme.lower() != "bearer" or not token:
            return None
        until = float("inf")
        identity = self._tokens.get(token)
        if identity is None:
            until = self._environment.monotonic() + TOKEN_SECONDS
            identity = self._account(token)
        identity = replace(identity, user_agent=agent.decode("utf-8", "replace"))
        if len(self._known) >= CACHED_IDENTITIES:
            self._known.clear()
        self._known[authorization, agent] = _Known(identity, until)
        return identity

    def _account(self, token: str) -> Identity:
        try:
            found = self._accounts.authenticate(token)
        except TokenError as error:
            raise Unauthorized from error
        if found is None:
            raise Unauthorized
        return found.identity

    # ---- impersonation

    def _impersonated(self, identity: Identity, request: Request) -> Identity:
        asked = _Impersonation.of(request)
        for attributes in asked.permissions():
            self._authorizer.check(identity, attributes)
        return Identity(name=asked.user, uid=asked.uid, groups=asked.all_groups(), extra=asked.extra, user_agent=identity.user_agent)


class _Impersonation(msgspec.Struct, frozen=True):
    """What the impersonation headers ask for."""

    user: str
    uid: str
    groups: tuple[str, ...]
    extra: Mapping[str, tuple[str, ...]]

    @classmethod
    def of(cls, request: Request) -> _Impersonation:
        user, uid, groups = "", "", []
        extra: dict[str, tuple[str, ...]] = {}
        for raw, value in request.header_pairs:
            if not raw.startswith(_PREFIX):
                continue
            name, text = raw[len(_PREFIX):].decode("latin-1"), value.decode("utf-8", "replace")
            if name == "user":
                user = user or text
            elif name == "uid":
                uid = uid or text
            elif name == "group":
                groups.append(text)
            elif name.startswith("extra-"):
                key = unquote(name[len("extra-"):])
                extra[key] = (*extra.get(key, ()), text)
        if not user:
            raise BadRequest("requested impersonation without impersonating a user")
        return cls(user, uid, tuple(groups), extra)

    def permissions(self) -> Iterator[Attributes]:
        """What the caller must be allowed to."""
        namespace, name = self._account()
        if name:
            yield Attributes(verb="impersonate", version="v1", resource="serviceaccounts", namespace=namespace, name=name)
        else:
            yield Attributes(verb="impersonate", version="v1", resource="users", name=self.user)
        for group in self.groups:
            yield Attributes(verb="impersonate", version="v1", resource="groups", name=group)
        for key, values in self.extra.items():
            for value in values:
                yield Attributes(verb="impersonate", group=GROUP, version="v1", resource="userextras", subresource=key, name=value)
        if self.uid:
            yield Attributes(verb="impersonate", group=GROUP, version="v1", resource="uids", name=self.uid)

    def all_groups(self) -> tuple[str, ...]:
        """The groups asked for, and those that come with the user."""
        groups = self.groups
        namespace, name = self._account()
        if name and not groups:
            groups = ("system:serviceaccounts", f"system:serviceaccounts:{namespace}")
        if AUTHENTICATED in groups or UNAUTHENTICATED in groups:
            return groups
        return (*groups, UNAUTHENTICATED if self.user == ANONYMOUS.name else AUTHENTICATED)

    def _account(self) -> tuple[str, str]:
        if not self.user.startswith(SERVICE_ACCOUNT_PREFIX):
            return "", ""
        namespace, _, name = self.user[len(SERVICE_ACCOUNT_PREFIX):].partition(":")
        return (namespace, name) if namespace and name and ":" not in name else ("", "")


def _from_certificate(connection: Any) -> Identity | None:
    """The identity in a verified client certificate: common name and organizations."""
    if not isinstance(connection, ssl.SSLObject):
        return None
    certificate: Any = connection.getpeercert()
    if not certificate:
        return None
    names: dict[str, list[str]] = {}
    for part in certificate.get("subject", ()):
        for key, value in part:
            names.setdefault(key, []).append(value)
    user = next(iter(names.get("commonName", ())), "")
    if not user:
        return None
    digest = hashlib.sha256(connection.getpeercert(binary_form=True) or b"").hexdigest()
    groups = tuple(dict.fromkeys((*names.get("organizationName", ()), AUTHENTICATED)))
    return Identity(name=user, groups=groups, extra={f"{EXTRA}credential-id": (f"X509SHA256={digest}",)})
