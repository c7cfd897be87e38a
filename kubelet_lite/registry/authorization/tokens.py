"""Service account tokens: issued through `serviceaccounts/token`, accepted while the account and what the token is bound to exist.

https://kubernetes.io/docs/reference/access-authn-authz/service-accounts-admin/#bound-service-account-tokens
"""
from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

import msgspec
from msgspec.structs import replace

from kubelet_lite.actors.environment import Environment
from kubelet_lite.api.authentication_v1 import BoundObjectReference, TokenRequest, TokenRequestStatus
from kubelet_lite.api.core_v1 import ServiceAccount
from kubelet_lite.api.errors import BadRequest, Conflict, FieldError, Invalid, NotFound, invalid
from kubelet_lite.api.identity import Identity, service_account
from kubelet_lite.api.timestamps import format_time, parse_time
from kubelet_lite.registry.authorization.attributes import quoted
from kubelet_lite.registry.authorization.rbac import quoted_list
from kubelet_lite.registry.view import View
from kubelet_lite.wire.service_account_key import ServiceAccountKey

ISSUER: Final = "https://kubernetes.default.svc"
"""Also the audience of the API server itself."""
GROUP: Final = "authentication.k8s.io"
DEFAULT_SECONDS: Final = 3600
SHORTEST_SECONDS: Final = 600
LONGEST_SECONDS: Final = 2 ** 32
KUBELET_SECONDS: Final = 3607
"""What the ServiceAccount admission asks for: such a token is accepted for a year, for programs that read it once."""
EXTENDED_SECONDS: Final = 365 * 86_400
DELETION_LEEWAY_SECONDS: Final = 60
"""How long a token outlives the deletion of the pod it is bound to."""
EXTRA: Final = "authentication.kubernetes.io/"


class TokenError(Exception):
    """A token that this cluster signed and does not accept (any more)."""


class Authenticated(msgspec.Struct, frozen=True):
    """Whose token it is, and for which of the wanted audiences."""

    identity: Identity
    audiences: tuple[str, ...]


class ServiceAccountTokens:
    """Issues and accepts tokens from the store's present snapshot."""

    def __init__(self, key: ServiceAccountKey, view: View, environment: Environment) -> None:
        self._key = key
        self._view = view
        self._environment = environment

    # ---- issuing

    def issue(self, namespace: str, name: str, request: TokenRequest) -> TokenRequest:
        """Answers a TokenRequest for an account. Synchronous; raises an ApiError."""
        self._check_names(namespace, name, request)
        account: ServiceAccount | None = self._view.get("serviceaccounts", namespace, name)
        if account is None:
            raise NotFound.of("", "serviceaccounts", name)
        spec = request.spec
        seconds = DEFAULT_SECONDS if spec.expirationSeconds is None else spec.expirationSeconds
        audiences = tuple(spec.audiences) or (ISSUER,)
        now = self._environment.now()
        self._check_lifetime(seconds)
        bound = self._bound(namespace, name, spec.boundObjectRef)
        claims: dict[str, Any] = {"namespace": namespace, **bound, "serviceaccount": {"name": name, "uid": account.metadata.uid}}
        lifetime = seconds
        if "pod" in bound and seconds == KUBELET_SECONDS and ISSUER in audiences:
            lifetime = EXTENDED_SECONDS
            claims["warnafter"] = int(now) + seconds
        token = self._key.sign({
            "aud": list(audiences), "exp": int(now) + lifetime, "iat": int(now), "iss": ISSUER, "jti": self._environment.uid(),
            "kubernetes.io": claims, "nbf": int(now), "sub": f"system:serviceaccount:{namespace}:{name}",
        })
        metadata = replace(request.metadata, name=name, namespace=namespace, creationTimestamp=format_time(now))
        return replace(
            request, metadata=metadata, spec=replace(spec, audiences=audiences, expirationSeconds=seconds),
            status=TokenRequestStatus(token=token, expirationTimestamp=format_time(int(now) + seconds)),
        )

    @staticmethod
    def _check_names(namespace: str, name: str, request: TokenRequest) -> None:
        for field, given, wanted, what in (
            ("metadata.name", request.metadata.name, name, "name"),
            ("metadata.namespace", request.metadata.namespace, namespace, "namespace"),
        ):
            if given and given != wanted:
                error = invalid(field, given, f"must match the service account {what} if specified")
                raise Invalid.of(GROUP, "TokenRequest", name, [error])

    @staticmethod
    def _check_lifetime(seconds: int) -> None:
        errors: list[FieldError] = []
        if seconds < SHORTEST_SECONDS:
            errors.append(invalid("spec.expirationSeconds", seconds, "may not specify a duration less than 10 minutes"))
        if seconds > LONGEST_SECONDS:
            errors.append(invalid("spec.expirationSeconds", seconds, "may not specify a duration larger than 2^32 seconds"))
        if errors:
            raise Invalid.of(GROUP, "TokenRequest", "", errors)

    def _bound(self, namespace: str, account: str, reference: BoundObjectReference | None) -> dict[str, Any]:
        """The claims about the object that a token is bound to."""
        if reference is None:
            return {}
        group, _, version = reference.apiVersion.rpartition("/")
        plural = {"Pod": "pods", "Secret": "secrets", "Node": "nodes"}.get(reference.kind) if not group else None
        if plural is None:
            raise BadRequest(f"cannot bind token to object of type {group}/{version}, Kind={reference.kind}")
        found = self._view.get(plural, "" if plural == "nodes" else namespace, reference.name)
        if found is None:
            raise NotFound.of("", plural, reference.name)
        if plural == "pods" and found.spec.serviceAccountName != account:
            raise BadRequest(f"cannot bind token for serviceaccount {quoted(account)} to pod running with different serviceaccount name.")
        if reference.uid and reference.uid != found.metadata.uid:
            raise Conflict.of(
                group, reference.kind, reference.name, f"the UID in the bound object reference ({reference.uid}) does not match the UID in"
                " record. The object might have been deleted and then recreated",
            )
        claims = {plural[:-1]: {"name": found.metadata.name, "uid": found.metadata.uid}}
        if plural == "pods" and found.spec.nodeName:
            node = self._view.get("nodes", "", found.spec.nodeName)
            claims = {"node": {"name": found.spec.nodeName, "uid": node.metadata.uid if node is not None else ""}, **claims}
        return claims

    # ---- accepting

    def authenticate(self, token: str, audiences: Iterable[str] = (ISSUER,)) -> Authenticated | None:
        """Whose token it is; None for a text that is no token of this cluster; TokenError for one that does not hold."""
        claims = self._key.verify(token)
        if claims is None or claims.get("iss") != ISSUER:
            return None
        wanted, offered = list(audiences), [str(audience) for audience in claims.get("aud") or ()]
        shared = tuple(audience for audience in wanted if audience in offered)
        if not shared:
            raise TokenError(f"token audiences {quoted_list(offered)} is invalid for the target audiences {quoted_list(wanted)}")
        now = self._environment.now()
        if now >= float(claims.get("exp", 0)):
            raise TokenError("service account token has expired")
        if now < float(claims.get("nbf", 0)):
            raise TokenError("service account token is not valid yet")
        own: Mapping[str, Any] = claims.get("kubernetes.io") or {}
        namespace, reference = str(own.get("namespace", "")), own.get("serviceaccount") or {}
        account = self._held("serviceaccounts", namespace, reference)
        for plural in ("pods", "secrets"):
            bound = own.get(plural[:-1])
            if bound:
                self._held(plural, namespace, bound)
        identity = service_account(namespace, account.metadata.name, account.metadata.uid)
        return Authenticated(replace(identity, extra=_extra(claims, own)), shared)

    def _held(self, plural: str, namespace: str, reference: Mapping[str, Any]) -> Any:
        """The object that a token needs; TokenError when it is gone or another."""
        found = self._view.get(plural, namespace, str(reference.get("name", "")))
        if found is None:
            raise TokenError("service account token has been invalidated")
        deleted = found.metadata.deletionTimestamp
        if deleted and parse_time(deleted) + DELETION_LEEWAY_SECONDS < self._environment.now():
            raise TokenError("service account token has been invalidated")
        if reference.get("uid") != found.metadata.uid:
            what = "service account" if plural == "serviceaccounts" else plural[:-1]
            raise TokenError(f"{what} UID ({found.metadata.uid}) does not match claim ({reference.get('uid')})")
        return found


def _extra(claims: Mapping[str, Any], own: Mapping[str, Any]) -> dict[str, tuple[str, ...]]:
    extra: dict[str, tuple[str, ...]] = {f"{EXTRA}credential-id": (f"JTI={claims.get('jti')}",)}
    for kind in ("node", "pod"):
        bound = own.get(kind)
        if bound:
            extra[f"{EXTRA}{kind}-name"] = (str(bound.get("name", "")),)
            extra[f"{EXTRA}{kind}-uid"] = (str(bound.get("uid", "")),)
    return extra
