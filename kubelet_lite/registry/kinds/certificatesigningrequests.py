"""CertificateSigningRequests. https://kubernetes.io/docs/reference/access-authn-authz/certificate-signing-requests/"""
from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterator, Sequence
from typing import Any, Final

from msgspec.structs import replace

from kubelet_lite.api import names
from kubelet_lite.api.certificates_v1 import CertificateSigningRequest
from kubelet_lite.api.errors import FieldError, duplicate, invalid, not_supported, required
from kubelet_lite.registry.kinds.ages import NONE, age, human_duration
from kubelet_lite.registry.rules import KindRules, Selectable
from kubelet_lite.registry.validation.collected import collected
from kubelet_lite.registry.validation.signers import signer_name

LEAST_SECONDS: Final = 600
USAGES: Final = (
    "any", "cert sign", "client auth", "code signing", "content commitment", "crl sign", "data encipherment", "decipher only",
    "digital signature", "email protection", "encipher only", "ipsec end system", "ipsec tunnel", "ipsec user", "key agreement",
    "key encipherment", "microsoft sgc", "netscape sgc", "ocsp signing", "s/mime", "server auth", "signing", "timestamping",
)
LEGACY_SIGNER: Final = "kubernetes.io/legacy-unknown"
_PEM: Final = re.compile(rb"-----BEGIN ([A-Z0-9 ]+)-----\r?\n(.*?)-----END \1-----", re.DOTALL)


def _prepare_update(new: CertificateSigningRequest, old: CertificateSigningRequest) -> CertificateSigningRequest:
    """A request stays what it was: only its status changes, by other ways."""
    return replace(new, spec=old.spec)


@collected
def _validate(request: CertificateSigningRequest) -> Iterator[FieldError]:
    spec = request.spec
    if problem := _request_problem(spec.request):
        yield invalid("spec.request", base64.b64encode(spec.request).decode() if spec.request else None, problem)
    if not spec.usages:
        yield required("spec.usages")
    for i, usage in enumerate(spec.usages):
        if usage not in USAGES:
            yield not_supported(f"spec.usages[{i}]", usage, USAGES)
    for i, usage in enumerate(spec.usages):
        if usage in spec.usages[:i]:
            yield duplicate(f"spec.usages[{i}]", usage)
    if spec.signerName == LEGACY_SIGNER:
        yield invalid("spec.signerName", spec.signerName, "the legacy signerName is not allowed via this API version")
    else:
        yield from signer_name("spec.signerName", spec.signerName)
    if spec.expirationSeconds is not None and spec.expirationSeconds < LEAST_SECONDS:
        yield invalid("spec.expirationSeconds", spec.expirationSeconds, "may not specify a duration less than 600 seconds (10 minutes)")


def _request_problem(data: bytes) -> str:
    """Looks at the outer form alone: what is inside is the signer's business."""
    found = _PEM.search(data)
    if found is None or found[1] != b"CERTIFICATE REQUEST":
        return "PEM block type must be CERTIFICATE REQUEST"
    try:
        body = base64.b64decode(found[2], validate=False)
    except binascii.Error:
        return "PEM block type must be CERTIFICATE REQUEST"
    return "" if body[:1] == b"\x30" else "asn1: structure error: tags don't match"


def _row(request: CertificateSigningRequest, now: float) -> Sequence[Any]:
    spec, kinds = request.spec, [condition.type for condition in request.status.conditions]
    state = "Denied" if "Denied" in kinds else "Approved" if "Approved" in kinds else "Pending"
    if "Failed" in kinds:
        state += ",Failed"
    if request.status.certificate:
        state += ",Issued"
    duration = NONE if spec.expirationSeconds is None else human_duration(spec.expirationSeconds)
    return request.metadata.name, age(request, now), spec.signerName or NONE, spec.username, duration, state


RULES: Final = KindRules(
    resource="certificatesigningrequests.certificates.k8s.io", prepare_update=_prepare_update, validate=_validate,
    name_errors=names.path_segment_name_or_prefix,
    selectable=(Selectable("spec.signerName", lambda request: request.spec.signerName),), row=_row,
)
