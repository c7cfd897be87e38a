"""The reviews: questions about authorization and authentication that are asked by creating an object which is never stored.

https://kubernetes.io/docs/reference/access-authn-authz/authorization/#checking-api-access
"""
from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import msgspec
from msgspec.structs import replace

from kubelet_lite.actors.environment import Environment
from kubelet_lite.api.authentication_v1 import (
    SelfSubjectReview,
    SelfSubjectReviewStatus,
    TokenReview,
    TokenReviewStatus,
    UserInfo,
)
from kubelet_lite.api.authorization_v1 import (
    LocalSubjectAccessReview,
    NonResourceAttributes,
    NonResourceRule,
    ResourceAttributes,
    ResourceRule,
    SelfSubjectAccessReview,
    SelfSubjectRulesReview,
    SubjectAccessReview,
    SubjectAccessReviewStatus,
    SubjectRulesReviewStatus,
)
from kubelet_lite.api.errors import BadRequest, FieldError, Invalid, invalid, required
from kubelet_lite.api.identity import Identity
from kubelet_lite.api.meta_v1 import ObjectMeta
from kubelet_lite.api.timestamps import format_time
from kubelet_lite.registry.authorization.attributes import Attributes
from kubelet_lite.registry.authorization.authorizer import ClusterAuthorizer
from kubelet_lite.registry.authorization.rbac import aggregated
from kubelet_lite.registry.authorization.tokens import ISSUER, Authenticated, TokenError

GROUP: Final = "authorization.k8s.io"
Authenticate = Callable[[str, tuple[str, ...]], Authenticated | None]
"""(bearer token, audiences) -> whose it is, None for no valid token; may raise TokenError."""


class Reviewer:
    """Answers reviews from the store's present snapshot. Every method takes the object as it was sent and returns it answered."""

    def __init__(self, authorizer: ClusterAuthorizer, environment: Environment, authenticate: Authenticate) -> None:
        self._authorizer = authorizer
        self._environment = environment
        self._authenticate = authenticate

    def answer(self, identity: Identity, namespace: str, review: Any) -> Any:
        """The review, answered. Raises an ApiError for one that cannot be."""
        return _ANSWERS[type(review)](self, identity, namespace, review)

    def _subject_access(self, identity: Identity, namespace: str, review: SubjectAccessReview) -> SubjectAccessReview:
        spec = review.spec
        errors = _attribute_errors(spec.resourceAttributes, spec.nonResourceAttributes)
        if not spec.user and not spec.groups:
            errors.append(invalid("spec.user", spec.user, "at least one of user or group must be specified"))
        _refuse([*errors, *_selector_errors(spec.resourceAttributes), *_metadata_errors(review.metadata)])
        asked = Identity(name=spec.user, uid=spec.uid, groups=tuple(spec.groups), extra=spec.extra)
        return replace(review, status=self._decide(asked, spec.resourceAttributes, spec.nonResourceAttributes))

    def _local_subject_access(self, identity: Identity, namespace: str, review: LocalSubjectAccessReview) -> LocalSubjectAccessReview:
        spec = review.spec
        errors = _attribute_errors(spec.resourceAttributes, spec.nonResourceAttributes)
        if not spec.user and not spec.groups:
            errors.append(invalid("spec.user", spec.user, "at least one of user or group must be specified"))
        errors += _selector_errors(spec.resourceAttributes)
        metadata = replace(review.metadata, namespace="")
        errors += _metadata_errors(metadata, "must be empty except for namespace")
        if spec.resourceAttributes is not None and spec.resourceAttributes.namespace != review.metadata.namespace:
            errors.append(invalid("spec.resourceAttributes.namespace", spec.resourceAttributes.namespace, "must match metadata.namespace"))
        if spec.nonResourceAttributes is not None:
            errors.append(invalid("spec.nonResourceAttributes", _shown(spec.nonResourceAttributes), "disallowed on this kind of request"))
        _refuse(errors)
        if spec.resourceAttributes is not None and namespace != spec.resourceAttributes.namespace:
            raise BadRequest(f"spec.resourceAttributes.namespace must match namespace: {namespace}")
        asked = Identity(name=spec.user, uid=spec.uid, groups=tuple(spec.groups), extra=spec.extra)
        return replace(review, status=self._decide(asked, spec.resourceAttributes, spec.nonResourceAttributes))

    def _self_subject_access(self, identity: Identity, namespace: str, review: SelfSubjectAccessReview) -> SelfSubjectAccessReview:
        spec = review.spec
        errors = _attribute_errors(spec.resourceAttributes, spec.nonResourceAttributes)
        _refuse([*errors, *_selector_errors(spec.resourceAttributes), *_metadata_errors(review.metadata)])
        return replace(review, status=self._decide(identity, spec.resourceAttributes, spec.nonResourceAttributes))

    def _decide(self, asked: Identity, resource: ResourceAttributes | None, path: NonResourceAttributes | None) -> SubjectAccessReviewStatus:
        decision = self._authorizer.authorize(asked, _attributes(resource, path))
        return SubjectAccessReviewStatus(allowed=decision.allowed, reason=decision.reason)

    def _rules(self, identity: Identity, namespace: str, review: SelfSubjectRulesReview) -> SelfSubjectRulesReview:
        if not review.spec.namespace:
            raise BadRequest("no namespace on request")
        rules, errors = self._authorizer.rbac.rules_for(identity, review.spec.namespace)
        return SelfSubjectRulesReview(status=SubjectRulesReviewStatus(
            resourceRules=tuple(
                ResourceRule(verbs=rule.verbs, apiGroups=rule.apiGroups, resources=rule.resources, resourceNames=rule.resourceNames)
                for rule in rules if rule.resources
            ),
            nonResourceRules=tuple(NonResourceRule(verbs=rule.verbs, nonResourceURLs=rule.nonResourceURLs) for rule in rules if rule.nonResourceURLs),
            evaluationError=aggregated(errors) if errors else "",
        ))

    def _self_subject(self, identity: Identity, namespace: str, review: SelfSubjectReview) -> SelfSubjectReview:
        return SelfSubjectReview(
            metadata=ObjectMeta(creationTimestamp=format_time(self._environment.now())),
            status=SelfSubjectReviewStatus(userInfo=_user_info(identity)),
        )

    def _token(self, identity: Identity, namespace: str, review: TokenReview) -> TokenReview:
        if not review.spec.token:
            raise BadRequest("token is required for TokenReview in authentication")
        try:
            found = self._authenticate(review.spec.token, tuple(review.spec.audiences) or (ISSUER,))
        except TokenError as error:
            return replace(review, status=TokenReviewStatus(error=f"[invalid bearer token, {error}]"))
        if found is None:
            return replace(review, status=TokenReviewStatus(error="invalid bearer token"))
        return replace(review, status=TokenReviewStatus(authenticated=True, user=_user_info(found.identity), audiences=found.audiences))


_ANSWERS: Final[dict[type, Callable[[Reviewer, Identity, str, Any], Any]]] = {
    SubjectAccessReview: Reviewer._subject_access,
    LocalSubjectAccessReview: Reviewer._local_subject_access,
    SelfSubjectAccessReview: Reviewer._self_subject_access,
    SelfSubjectRulesReview: Reviewer._rules,
    SelfSubjectReview: Reviewer._self_subject,
    TokenReview: Reviewer._token,
}
REVIEWS: Final = frozenset(_ANSWERS)
"""The types that are answered here."""


def _user_info(identity: Identity) -> UserInfo:
    return UserInfo(username=identity.name, uid=identity.uid, groups=identity.groups, extra=identity.extra)


def _attributes(resource: ResourceAttributes | None, path: NonResourceAttributes | None) -> Attributes:
    if resource is None:
        assert path is not None
        return Attributes(verb=path.verb, path=path.path)
    selector = resource.fieldSelector
    fields = selector.rawSelector if selector is not None else ""
    if selector is not None and not fields:
        fields = ",".join(f"{r.key}={r.values[0]}" for r in selector.requirements if r.operator == "In" and len(r.values) == 1)
    return Attributes(
        verb=resource.verb, group=resource.group, version=resource.version, resource=resource.resource, subresource=resource.subresource,
        namespace=resource.namespace, name=resource.name, field_selector=fields,
    )


def _shown(attributes: NonResourceAttributes) -> dict[str, str]:
    """As Go's internal type, which has no JSON names."""
    return {"Path": attributes.path, "Verb": attributes.verb}


def _attribute_errors(resource: ResourceAttributes | None, path: NonResourceAttributes | None) -> list[FieldError]:
    if resource is not None and path is not None:
        return [invalid("spec.nonResourceAttributes", _shown(path), "cannot be specified in combination with resourceAttributes")]
    if resource is None and path is None:
        return [invalid("spec.resourceAttributes", None, "exactly one of nonResourceAttributes or resourceAttributes must be specified")]
    return []


def _selector_errors(resource: ResourceAttributes | None) -> list[FieldError]:
    errors = []
    for name in ("fieldSelector", "labelSelector"):
        selector: Any = getattr(resource, name) if resource is not None else None
        if selector is None:
            continue
        field = f"spec.resourceAttributes.{name}"
        if selector.rawSelector and selector.requirements:
            errors.append(invalid(f"{field}.rawSelector", selector.rawSelector, "may not specified at the same time as requirements"))
        elif not selector.rawSelector and not selector.requirements:
            errors.append(required(f"{field}.requirements", f"when {field} is specified, requirements or rawSelector is required"))
    return errors


def _metadata_errors(metadata: ObjectMeta, why: str = "must be empty") -> list[FieldError]:
    bare = replace(metadata, managedFields=())
    return [invalid("metadata", msgspec.to_builtins(bare), why)] if bare != ObjectMeta() else []


def _refuse(errors: list[FieldError]) -> None:
    if not errors:
        return
    error = Invalid.of(GROUP, "", "", errors)
    del error.details["kind"]
    raise error
