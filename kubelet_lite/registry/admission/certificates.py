"""CertificateApproval, CertificateSigning and CertificateSubjectRestriction: who may have certificates made, and for whom.

https://kubernetes.io/docs/reference/access-authn-authz/certificate-signing-requests/
"""
from __future__ import annotations

from typing import Final

from msgspec.structs import replace

from kubelet_lite.api.certificates_v1 import CertificateSigningRequest
from kubelet_lite.api.identity import MASTERS
from kubelet_lite.registry.admission.plugin import Plugin, Review, World, on
from kubelet_lite.registry.authorization.attributes import Attributes, quoted

REQUESTS: Final = "certificatesigningrequests.certificates.k8s.io"
CLIENT_SIGNER: Final = "kubernetes.io/kube-apiserver-client"


def _may(review: Review, world: World, verb: str, signer: str) -> bool:
    """Allowed for the signer itself, or for all of its domain."""
    domain = signer.partition("/")[0]
    return any(
        world.authorizer.authorize(review.identity, Attributes(
            verb=verb, group="certificates.k8s.io", version="*", resource="signers", name=name,
        )).allowed
        for name in (signer, f"{domain}/*")
    )


def _requester(new: CertificateSigningRequest, review: Review, world: World) -> CertificateSigningRequest:
    """A request says who made it, whatever it said before."""
    who = review.identity
    return replace(new, spec=replace(new.spec, username=who.name, uid=who.uid, groups=who.groups, extra=dict(who.extra)))


def _approval(new: CertificateSigningRequest, review: Review, world: World) -> None:
    if not _may(review, world, "approve", new.spec.signerName):
        raise review.forbidden(f"user not permitted to approve requests with signerName {quoted(new.spec.signerName)}", new)


def _signing(new: CertificateSigningRequest, review: Review, world: World) -> None:
    old: CertificateSigningRequest = review.old
    signed = new.status.certificate != old.status.certificate or new.status.conditions != old.status.conditions
    if signed and not _may(review, world, "sign", old.spec.signerName):
        raise review.forbidden(f"user not permitted to sign requests with signerName {quoted(old.spec.signerName)}", new)


def _subject(new: CertificateSigningRequest, review: Review, world: World) -> None:
    if new.spec.signerName != CLIENT_SIGNER:
        return
    from cryptography import x509
    from cryptography.x509.oid import NameOID

    try:
        subject = x509.load_pem_x509_csr(new.spec.request).subject
    except ValueError as error:
        raise review.forbidden(f"unable to parse csr: {error}", new) from error
    if any(attribute.value == MASTERS for attribute in subject.get_attributes_for_oid(NameOID.ORGANIZATION_NAME)):
        raise review.forbidden(f"use of {CLIENT_SIGNER} signer with {MASTERS} group is not allowed", new)


REQUESTER: Final = Plugin(name="CertificateRequester", handles=on(REQUESTS, "CREATE"), mutate=_requester)
"""No plug-in in Kubernetes, but part of how a request is created."""
APPROVAL: Final = Plugin(name="CertificateApproval", handles=on(REQUESTS, "UPDATE", subresources=("approval",)), validate=_approval)
SIGNING: Final = Plugin(name="CertificateSigning", handles=on(REQUESTS, "UPDATE", subresources=("status",)), validate=_signing)
SUBJECT: Final = Plugin(name="CertificateSubjectRestriction", handles=on(REQUESTS, "CREATE"), validate=_subject)
