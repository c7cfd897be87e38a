"""The cluster's certificate authority and the certificates it issues (ECDSA P-256), made at the first start.

`cryptography` is imported only when a key is made: it costs more than most parts of a start.
https://kubernetes.io/docs/setup/best-practices/certificates/
"""
from __future__ import annotations

import ssl
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Final

import msgspec

from kubelet_lite.actors.environment import system_secret_bits
from kubelet_lite.wire.private_keys import SecretBits, new_private_key

if TYPE_CHECKING:
    from cryptography import x509
    from cryptography.hazmat.primitives.asymmetric import ec

AUTHORITY_LIFETIME_SECONDS: Final = 10 * 365 * 86_400
CERTIFICATE_LIFETIME_SECONDS: Final = 365 * 86_400
CLOCK_SKEW_SECONDS: Final = 300
"""Certificates are valid from a little before they are made, for machines whose clocks are late."""
SERIAL_BITS: Final = 158
"""A serial number is positive and of at most 20 bytes. https://www.rfc-editor.org/rfc/rfc5280#section-4.1.2.2"""
SERVER_NAMES: Final = (
    "localhost", "kubernetes", "kubernetes.default", "kubernetes.default.svc", "kubernetes.default.svc.cluster",
    "kubernetes.default.svc.cluster.local",
)


class KeyPair(msgspec.Struct, frozen=True, kw_only=True):
    """A certificate and its private key, both as PEM."""

    certificate: bytes
    key: bytes

    def save(self, folder: Path, name: str) -> None:
        """Writes NAME.crt and NAME.key (mode 0600)."""
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{name}.crt").write_bytes(self.certificate)
        path = folder / f"{name}.key"
        path.touch(mode=0o600)
        path.chmod(0o600)
        path.write_bytes(self.key)

    @classmethod
    def load(cls, folder: Path, name: str) -> KeyPair | None:
        """What `save` wrote, or None."""
        certificate, key = folder / f"{name}.crt", folder / f"{name}.key"
        if not (certificate.exists() and key.exists()):
            return None
        return cls(certificate=certificate.read_bytes(), key=key.read_bytes())


class CertificateAuthority(msgspec.Struct, frozen=True, kw_only=True):
    """Issues certificates. `now` (Unix seconds) and `secret_bits` are the caller's environment's."""

    pair: KeyPair

    @classmethod
    def create(cls, now: float, name: str = "kubelet-lite", *, secret_bits: SecretBits = system_secret_bits) -> CertificateAuthority:
        from cryptography import x509
        from cryptography.hazmat.primitives import hashes

        key = new_private_key(secret_bits)
        subject = _name(name, ())
        usage = x509.KeyUsage(
            digital_signature=True, key_cert_sign=True, crl_sign=True, content_commitment=False, key_encipherment=False,
            data_encipherment=False, key_agreement=False, encipher_only=False, decipher_only=False,
        )
        builder = (
            _builder(now, AUTHORITY_LIFETIME_SECONDS, secret_bits).subject_name(subject).issuer_name(subject).public_key(key.public_key())
            .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
            .add_extension(usage, critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        )
        return cls(pair=_pair(key, builder.sign(key, hashes.SHA256(), ecdsa_deterministic=True)))

    @property
    def certificate(self) -> bytes:
        return self.pair.certificate

    def issue_server(
        self, now: float, *, names: Iterable[str] = SERVER_NAMES, addresses: Iterable[str] = ("127.0.0.1", "::1"),
        secret_bits: SecretBits = system_secret_bits,
    ) -> KeyPair:
        """A serving certificate for DNS names and IP addresses."""
        import ipaddress

        from cryptography import x509
        from cryptography.x509.oid import ExtendedKeyUsageOID

        alternatives: list[x509.GeneralName] = [x509.DNSName(name) for name in names]
        alternatives += [x509.IPAddress(ipaddress.ip_address(address)) for address in addresses]
        return self._issue(now, _name("kube-apiserver", ()), ExtendedKeyUsageOID.SERVER_AUTH, alternatives, secret_bits)

    def issue_client(self, now: float, user: str, groups: Iterable[str] = (), *, secret_bits: SecretBits = system_secret_bits) -> KeyPair:
        """A client certificate: the user is its common name, the groups are its organizations."""
        from cryptography.x509.oid import ExtendedKeyUsageOID

        return self._issue(now, _name(user, groups), ExtendedKeyUsageOID.CLIENT_AUTH, [], secret_bits)

    def _issue(
        self, now: float, subject: x509.Name, usage: x509.ObjectIdentifier, alternatives: list[x509.GeneralName], secret_bits: SecretBits,
    ) -> KeyPair:
        from cryptography import x509
        from cryptography.hazmat.primitives import hashes, serialization
        from cryptography.hazmat.primitives.asymmetric import ec

        issuer = x509.load_pem_x509_certificate(self.pair.certificate)
        issuer_key = serialization.load_pem_private_key(self.pair.key, None)
        assert isinstance(issuer_key, ec.EllipticCurvePrivateKey)
        key = new_private_key(secret_bits)
        builder = (
            _builder(now, CERTIFICATE_LIFETIME_SECONDS, secret_bits).subject_name(subject).issuer_name(issuer.subject).public_key(key.public_key())
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(x509.ExtendedKeyUsage([usage]), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key.public_key()), critical=False)
        )
        if alternatives:
            builder = builder.add_extension(x509.SubjectAlternativeName(alternatives), critical=False)
        return _pair(key, builder.sign(issuer_key, hashes.SHA256(), ecdsa_deterministic=True))


def server_context(pair: KeyPair, client_authority: bytes | None = None) -> ssl.SSLContext:
    """TLS for a server; with `client_authority` (PEM) it asks clients for a certificate and lets those without one in."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["http/1.1"])
    _load_chain(context, pair)
    if client_authority is not None:
        context.verify_mode = ssl.CERT_OPTIONAL
        context.load_verify_locations(cadata=client_authority.decode())
    return context


def client_context(authority: bytes | None = None, pair: KeyPair | None = None, *, verify: bool = True) -> ssl.SSLContext:
    """TLS for a client: `authority` (PEM) instead of the system's, `pair` to authenticate with."""
    context = ssl.create_default_context(cadata=authority.decode() if authority is not None else None)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if not verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    if pair is not None:
        _load_chain(context, pair)
    return context


def _load_chain(context: ssl.SSLContext, pair: KeyPair) -> None:
    # OpenSSL's Python binding reads certificates from files only: a private folder that lives for this call.
    with tempfile.TemporaryDirectory() as folder:
        pair.save(Path(folder), "tls")
        context.load_cert_chain(Path(folder, "tls.crt"), Path(folder, "tls.key"))


def _name(common_name: str, organizations: Iterable[str]) -> x509.Name:
    from cryptography import x509
    from cryptography.x509.oid import NameOID

    attributes = [x509.NameAttribute(NameOID.ORGANIZATION_NAME, organization) for organization in organizations]
    return x509.Name([*attributes, x509.NameAttribute(NameOID.COMMON_NAME, common_name)])


def _builder(now: float, lifetime_seconds: int, secret_bits: SecretBits) -> x509.CertificateBuilder:
    import datetime

    from cryptography import x509

    start = datetime.datetime.fromtimestamp(int(now) - CLOCK_SKEW_SECONDS, datetime.UTC)
    return (
        x509.CertificateBuilder().serial_number(1 + secret_bits(SERIAL_BITS))
        .not_valid_before(start).not_valid_after(start + datetime.timedelta(seconds=lifetime_seconds))
    )


def _pair(key: ec.EllipticCurvePrivateKey, certificate: x509.Certificate) -> KeyPair:
    from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

    return KeyPair(
        certificate=certificate.public_bytes(Encoding.PEM),
        key=key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()),
    )
