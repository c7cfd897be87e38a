"""Secrets and what each type of them must hold. https://kubernetes.io/docs/concepts/configuration/secret/#secret-types"""
from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from typing import Any, Final

from msgspec.structs import replace

from kubelet_lite.api import names
from kubelet_lite.api.core_v1 import Secret
from kubelet_lite.api.errors import FieldError, forbidden, invalid, required, too_long
from kubelet_lite.registry.kinds.ages import age
from kubelet_lite.registry.rules import KindRules, Selectable
from kubelet_lite.registry.validation.collected import collected

MAX_SIZE_BYTES: Final = 1024 * 1024
IMMUTABLE: Final = "field is immutable when `immutable` is set"
OPAQUE: Final = "Opaque"
SERVICE_ACCOUNT_NAME: Final = "kubernetes.io/service-account.name"
_REDACTED: Final = "<secret contents redacted>"
_PEM: Final = re.compile(rb"-----BEGIN ([A-Z0-9 ]+)-----\r?\n.*?-----END \1-----", re.DOTALL)


def _default(secret: Secret) -> Secret:
    if secret.stringData:
        data = {**secret.data, **{key: value.encode() for key, value in secret.stringData.items()}}
        secret = replace(secret, data=data, stringData={})
    return secret if secret.type else replace(secret, type=OPAQUE)


@collected
def _validate(secret: Secret) -> Iterator[FieldError]:
    for key in sorted(secret.data):
        for message in names.config_map_key(key):
            yield invalid(f"data[{key}]", key, message)
    if sum(map(len, secret.data.values())) > MAX_SIZE_BYTES:
        yield too_long("data", MAX_SIZE_BYTES)
    match secret.type:
        case "kubernetes.io/service-account-token":
            if not secret.metadata.annotations.get(SERVICE_ACCOUNT_NAME):
                yield required(f"metadata.annotations[{SERVICE_ACCOUNT_NAME}]")
        case "kubernetes.io/dockercfg":
            yield from _json(secret, ".dockercfg")
        case "kubernetes.io/dockerconfigjson":
            yield from _json(secret, ".dockerconfigjson")
        case "kubernetes.io/basic-auth":
            if "username" not in secret.data and "password" not in secret.data:
                yield required("data[username]")
                yield required("data[password]")
        case "kubernetes.io/ssh-auth":
            if not secret.data.get("ssh-privatekey"):
                yield required("data[ssh-privatekey]")
        case "kubernetes.io/tls":
            for key in ("tls.crt", "tls.key"):
                if key not in secret.data:
                    yield required(f"data[{key}]")


def _json(secret: Secret, key: str) -> Iterator[FieldError]:
    value = secret.data.get(key)
    if value is None:
        yield required(f"data[{key}]")
    elif problem := _not_an_object(value):
        yield invalid(f"data[{key}]", _REDACTED, problem)


def _not_an_object(value: bytes) -> str:
    """Why it is no JSON object, as far as possible in the words of Go's decoder."""
    text = value.strip()
    if not text:
        return "unexpected end of JSON input"
    try:
        found = json.loads(text)
    except ValueError as error:
        position = getattr(error, "pos", len(text))
        if position >= len(text):
            return "unexpected end of JSON input"
        return f"invalid character '{text.decode('utf-8', 'replace')[position]}' looking for beginning of value"
    if found is None or isinstance(found, dict):
        return ""
    kinds = {list: "array", str: "string", bool: "bool", int: "number", float: "number"}
    return f"json: cannot unmarshal {kinds[type(found)]} into Go value of type map[string]interface {{}}"


@collected
def _validate_update(new: Secret, old: Secret) -> Iterator[FieldError]:
    if new.type != old.type:
        yield invalid("type", new.type, "field is immutable")
    if old.immutable:
        if not new.immutable:
            yield forbidden("immutable", IMMUTABLE)
        if new.data != old.data:
            yield forbidden("data", IMMUTABLE)


def _warnings(new: Secret, old: Secret | None) -> Sequence[str]:
    if new.type != "kubernetes.io/tls":
        return ()
    problem = _pair_problem(new.data.get("tls.crt", b""), new.data.get("tls.key", b""))
    return (problem,) if problem else ()


def _pair_problem(certificate: bytes, key: bytes) -> str:
    """Why Go's TLS would refuse the pair; empty: it would not."""
    if problem := _missing_block(certificate, "certificate", lambda kind: kind == "CERTIFICATE"):
        return problem
    if problem := _missing_block(key, "key", lambda kind: kind == "PRIVATE KEY" or kind.endswith(" PRIVATE KEY")):
        return problem
    from cryptography.hazmat.primitives import serialization
    from cryptography.x509 import load_pem_x509_certificate

    try:
        public = load_pem_x509_certificate(certificate).public_key()
    except ValueError:
        return "x509: malformed certificate"
    try:
        private = serialization.load_pem_private_key(key, None)
    except (ValueError, TypeError):
        return "tls: failed to parse private key"
    if type(public).__name__.replace("Public", "") != type(private).__name__.replace("Private", ""):
        return "tls: private key type does not match public key type"
    form = (serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    same = private.public_key().public_bytes(*form) == public.public_bytes(*form)
    return "" if same else "tls: private key does not match public key"


def _missing_block(data: bytes, what: str, wanted: Any) -> str:
    skipped = []
    for found in _PEM.finditer(data):
        kind = found[1].decode()
        if wanted(kind):
            return ""
        skipped.append(kind)
    if not skipped:
        return f"tls: failed to find any PEM data in {what} input"
    if what == "key":
        if skipped == ["CERTIFICATE"]:
            return "tls: found a certificate rather than a key in the PEM for the private key"
        return f'tls: failed to find PEM block with type ending in "PRIVATE KEY" in key input after skipping PEM blocks of the following types: [{" ".join(skipped)}]'
    if any(kind.endswith("PRIVATE KEY") for kind in skipped) and len(skipped) == 1:
        return "tls: failed to find certificate PEM data in certificate input, but did find a private key; PEM inputs may have been switched"
    return f'tls: failed to find "CERTIFICATE" PEM block in certificate input after skipping PEM blocks of the following types: [{" ".join(skipped)}]'


def _row(secret: Secret, now: float) -> Sequence[Any]:
    return secret.metadata.name, secret.type, len(secret.data), age(secret, now)


RULES: Final = KindRules(
    resource="secrets", default=_default, validate=_validate, validate_update=_validate_update, validate_on_update="after",
    warnings=_warnings, selectable=(Selectable("type", lambda secret: secret.type),), row=_row,
)
