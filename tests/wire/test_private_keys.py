"""Keys, certificates and tokens follow from the environment's secrets, and from nothing else."""
from __future__ import annotations

from random import Random

from cryptography import x509

from kubelet_lite.wire.certificates import CertificateAuthority, KeyPair
from kubelet_lite.wire.service_account_key import ServiceAccountKey

NOW = 1_767_225_600.0


def made(seed: int) -> tuple[KeyPair, KeyPair, str]:
    bits = Random(seed).getrandbits
    authority = CertificateAuthority.create(NOW, secret_bits=bits)
    client = authority.issue_client(NOW, "admin", ("system:masters",), secret_bits=bits)
    return authority.pair, client, ServiceAccountKey(secret_bits=bits).sign({"sub": "me"})


def test_the_same_secrets_give_the_same_certificates_and_tokens_and_others_do_not() -> None:
    assert made(1) == made(1) != made(2)


def test_what_an_authority_issues_verifies() -> None:
    authority, client, _ = made(1)
    x509.load_pem_x509_certificate(client.certificate).verify_directly_issued_by(x509.load_pem_x509_certificate(authority.certificate))


def test_authorities_made_from_the_systems_secrets_differ() -> None:
    assert CertificateAuthority.create(NOW) != CertificateAuthority.create(NOW)
