"""New ECDSA P-256 keys from a source of secret numbers, so that a simulated cluster has the same keys under the same seed.

FIPS 186-5, A.2.1: key pair generation using extra random bits.
"""
from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric import ec

SecretBits = Callable[[int], int]
"""A fresh secret number of so many bits: `Environment.secret_bits`."""

_ORDER: Final = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
"""How many points P-256 has."""
_EXTRA_BITS: Final = 64
"""So that the remainder is as good as uniform."""


def new_private_key(secret_bits: SecretBits) -> ec.EllipticCurvePrivateKey:
    """A key that nobody else has."""
    from cryptography.hazmat.primitives.asymmetric import ec

    return ec.derive_private_key(1 + secret_bits(_ORDER.bit_length() + _EXTRA_BITS) % (_ORDER - 1), ec.SECP256R1())
