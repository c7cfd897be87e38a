"""The subresource `approval` of certificate signing requests: approves or denies, and changes nothing but that.

https://kubernetes.io/docs/reference/access-authn-authz/certificate-signing-requests/#approval-rejection
"""
from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from msgspec.structs import replace

from kubelet_lite.api.certificates_v1 import CertificateSigningRequest, CertificateSigningRequestCondition
from kubelet_lite.api.errors import FieldError, forbidden
from kubelet_lite.api.timestamps import format_time
from kubelet_lite.registry.part import transition_errors

KEPT: Final = ("Approved", "Denied", "Failed")


def prepare(new: CertificateSigningRequest, live: CertificateSigningRequest, now: float) -> CertificateSigningRequest:
    moment = format_time(now)
    conditions = tuple(_timed(condition, live.status.conditions, moment) for condition in new.status.conditions)
    return replace(new, spec=live.spec, status=replace(live.status, conditions=conditions))


def _timed(
    condition: CertificateSigningRequestCondition, before: tuple[CertificateSigningRequestCondition, ...], moment: str,
) -> CertificateSigningRequestCondition:
    """With the times that its sender left out."""
    since = condition.lastTransitionTime or next(
        (old.lastTransitionTime for old in before if old.type == condition.type and old.status == condition.status), None,
    )
    return replace(condition, lastUpdateTime=condition.lastUpdateTime or moment, lastTransitionTime=since or moment)


def errors(validate: Callable[[CertificateSigningRequest], Sequence[FieldError]]) -> Callable[
    [CertificateSigningRequest, CertificateSigningRequest], Sequence[FieldError],
]:
    """The check of an approval, with the kind's own check of the whole request."""

    def check(new: CertificateSigningRequest, live: CertificateSigningRequest) -> Sequence[FieldError]:
        removed = [
            forbidden("status.conditions", f'updates may not remove a condition of type "{kind}"')
            for kind in KEPT if _count(new, kind) < _count(live, kind)
        ]
        return [*validate(new), *removed, *transition_errors(new, live)]

    return check


def _count(request: CertificateSigningRequest, kind: str) -> int:
    return sum(condition.type == kind for condition in request.status.conditions)
