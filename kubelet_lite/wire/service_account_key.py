"""The key that signs service account tokens: JSON Web Tokens with ES256, and its public half as a JSON Web Key Set.

Knows signatures and nothing of what the claims mean. https://www.rfc-editor.org/rfc/rfc7515
"""
from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

import msgspec

from kubelet_lite.actors.environment import system_secret_bits
from kubelet_lite.wire.private_keys import SecretBits, new_private_key

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric import ec

MAX_TOKEN_BYTES: Final = 16 * 1024
"""Longer than any token that Kubernetes issues: what is longer is not parsed."""
_COORDINATE_BYTES: Final = 32


class ServiceAccountKey:
    """Signs and verifies. Made lazily: no key is generated before the first token or verification."""

    def __init__(self, pem: bytes | None = None, *, secret_bits: SecretBits = system_secret_bits) -> None:
        self._pem = pem
        self._secret_bits = secret_bits
        self._key: ec.EllipticCurvePrivateKey | None = None
        self._id = ""

    @property
    def pem(self) -> bytes:
        """The private key, to be kept over a restart."""
        from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

        return self._private().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())

    @property
    def id(self) -> str:
        """The `kid` of tokens and of the key set: a hash of the public key."""
        if not self._id:
            from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

            public = self._private().public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
            self._id = _encode(hashlib.sha256(public).digest())
        return self._id

    def sign(self, claims: Mapping[str, Any]) -> str:
        """A compact JWT with these claims."""
        from cryptography.hazmat.primitives import hashes
        from cryptography.hazmat.primitives.asymmetric import ec
        from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

        header = _encode(msgspec.json.encode({"alg": "ES256", "kid": self.id}))
        signed = f"{header}.{_encode(msgspec.json.encode(claims))}"
        r, s = decode_dss_signature(self._private().sign(signed.encode(), ec.ECDSA(hashes.SHA256(), deterministic_signing=True)))
        return f"{signed}.{_encode(r.to_bytes(_COORDINATE_BYTES, 'big') + s.to_bytes(_COORDINATE_BYTES, 'big'))}"

    def verify(self, token: str) -> dict[str, Any] | None:
        """The claims of a token that this key signed; None for any other text. Expiry is the caller's to check."""
        from cryptography.exceptions import InvalidSignature
        from cryptography.hazmat.primitives import hashes
        from cryptography.hazmat.primitives.asymmetric import ec
        from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature

        parts = token.split(".")
        if len(parts) != 3 or len(token) > MAX_TOKEN_BYTES:
            return None
        try:
            header, claims, signature = (_decode(part) for part in parts)
            algorithm = msgspec.json.decode(header)
            value = msgspec.json.decode(claims)
        except (ValueError, msgspec.DecodeError):
            return None
        if not isinstance(algorithm, dict) or algorithm.get("alg") != "ES256" or len(signature) != 2 * _COORDINATE_BYTES or not isinstance(value, dict):
            return None
        r, s = (int.from_bytes(half, "big") for half in (signature[:_COORDINATE_BYTES], signature[_COORDINATE_BYTES:]))
        try:
            self._private().public_key().verify(encode_dss_signature(r, s), f"{parts[0]}.{parts[1]}".encode(), ec.ECDSA(hashes.SHA256()))
        except InvalidSignature:
            return None
        return value

    def jwks(self) -> dict[str, Any]:
        """The key set as /openid/v1/jwks publishes it."""
        numbers = self._private().public_key().public_numbers()
        x, y = (_encode(n.to_bytes(_COORDINATE_BYTES, "big")) for n in (numbers.x, numbers.y))
        return {"keys": [{"use": "sig", "kty": "EC", "kid": self.id, "crv": "P-256", "alg": "ES256", "x": x, "y": y}]}

    def _private(self) -> ec.EllipticCurvePrivateKey:
        if self._key is None:
            from cryptography.hazmat.primitives import serialization
            from cryptography.hazmat.primitives.asymmetric import ec

            if self._pem is None:
                self._key = new_private_key(self._secret_bits)
            else:
                key = serialization.load_pem_private_key(self._pem, None)
                assert isinstance(key, ec.EllipticCurvePrivateKey)
                self._key = key
        return self._key


def _encode(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _decode(text: str) -> bytes:
    return base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
