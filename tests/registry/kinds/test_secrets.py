"""What a secret of each type must hold, and what is said of TLS pairs that do not fit."""
from __future__ import annotations

import pytest
from msgspec.structs import replace

from kubelet_lite.api.core_v1 import Secret
from kubelet_lite.api.meta_v1 import ObjectMeta
from kubelet_lite.registry.kinds.secrets import RULES

CERTIFICATE = b"-----BEGIN CERTIFICATE-----\nbm90IG9uZQ==\n-----END CERTIFICATE-----\n"
KEY = b"-----BEGIN PRIVATE KEY-----\nbm90IG9uZQ==\n-----END PRIVATE KEY-----\n"


def secret(kind: str, **data: bytes) -> Secret:
    return RULES.default(Secret(metadata=ObjectMeta(name="s"), type=kind, data={k.replace("_", "."): v for k, v in data.items()}))


@pytest.mark.parametrize(("kind", "fields"), [
    ("", []), ("anything", []), ("kubernetes.io/tls", ["data[tls.crt]", "data[tls.key]"]), ("kubernetes.io/ssh-auth", ["data[ssh-privatekey]"]),
    ("kubernetes.io/basic-auth", ["data[username]", "data[password]"]), ("kubernetes.io/dockerconfigjson", ["data[.dockerconfigjson]"]),
    ("kubernetes.io/service-account-token", ["metadata.annotations[kubernetes.io/service-account.name]"]),
])
def test_a_type_says_what_must_be_there(kind: str, fields: list[str]) -> None:
    assert [error.field for error in RULES.validate(secret(kind))] == fields


def test_text_becomes_data_and_wins() -> None:
    made = RULES.default(Secret(data={"a": b"1", "b": b"2"}, stringData={"a": "3"}))
    assert (made.data, made.stringData, made.type) == ({"a": b"3", "b": b"2"}, {}, "Opaque")


def test_an_immutable_secret_stays_so() -> None:
    old = Secret(metadata=ObjectMeta(name="s"), type="Opaque", data={"a": b"1"}, immutable=True)
    assert not RULES.validate_update(old, old)
    assert [error.field for error in RULES.validate_update(replace(old, data={}, immutable=None), old)] == ["immutable", "data"]


@pytest.mark.parametrize(("certificate", "key", "warning"), [
    (b"", b"", "tls: failed to find any PEM data in certificate input"), (CERTIFICATE, b"", "tls: failed to find any PEM data in key input"),
    (KEY, CERTIFICATE, "tls: failed to find certificate PEM data in certificate input, but did find a private key; PEM inputs may have been switched"),
    (CERTIFICATE, CERTIFICATE, "tls: found a certificate rather than a key in the PEM for the private key"),
    (CERTIFICATE, KEY, "x509: malformed certificate"),
])
def test_a_pair_that_tls_would_refuse_is_warned_of(certificate: bytes, key: bytes, warning: str) -> None:
    assert list(RULES.warnings(secret("kubernetes.io/tls", tls_crt=certificate, tls_key=key), None)) == [warning]
