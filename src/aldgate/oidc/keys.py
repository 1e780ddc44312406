"""Public keys that an issuer publishes, and what they prove."""

from __future__ import annotations

import logging
from typing import Any, cast

import msgspec

from aldgate.config.issuers import Algorithm

log = logging.getLogger("aldgate.oidc")

MAX_KEYS = 100
LEAST_RSA_BITS, MOST_RSA_BITS = 2048, 8192
"""Below it a signature can be forged (RFC 7518, 3.3); above it checking one costs milliseconds."""

_FITTING: dict[Algorithm, tuple[str, str]] = {
    **dict.fromkeys(("RS256", "RS384", "RS512", "PS256", "PS384", "PS512"), ("RSA", "")),
    "ES256": ("EC", "P-256"),
    "ES384": ("EC", "P-384"),
    "ES512": ("EC", "P-521"),
    "EdDSA": ("OKP", "Ed25519"),
    "Ed25519": ("OKP", "Ed25519"),
}
"""Algorithm -> the one type and curve of key that may serve it: a token cannot turn a key into one of another kind."""
_SAME = {"EdDSA": "Ed25519"}
"""RFC 9864 gave the one curve in use a name of its own."""


class PublicKey(msgspec.Struct, frozen=True):
    """One key of a set.

    Attributes:
        kid: Its name among the issuer's keys.
        algorithm: The one it is for; None serves every one that fits it.
        kind: Type and curve.
        key: As the JOSE library holds it.
    """

    kid: str | None
    algorithm: str | None
    kind: tuple[str, str]
    key: Any

    def fits(self, algorithm: Algorithm) -> bool:
        """Whether it may serve `algorithm`."""
        is_meant = self.algorithm is None or _SAME.get(self.algorithm, self.algorithm) == _SAME.get(algorithm, algorithm)
        return is_meant and self.kind == _FITTING[algorithm]

    def proves(self, algorithm: Algorithm, signed: bytes, signature: bytes) -> bool:
        """Whether `signature` is this key's over `signed`."""
        from joserfc.jws import JWSRegistry  # 40 ms, needed only beside an issuer

        return JWSRegistry.algorithms[algorithm].verify(signed, signature, self.key)


def public_keys(document: dict[str, Any]) -> tuple[PublicKey, ...]:
    """The keys of a JWK set that can check signatures. Others are left out (RFC 7517, 5), secrets among them.

    Raises:
        ValueError: It is no JWK set, or has more than `MAX_KEYS`.
    """
    listed = document.get("keys")
    if not isinstance(listed, list) or len(cast(list[Any], listed)) > MAX_KEYS:
        raise ValueError(f"it is no set of at most {MAX_KEYS} keys")
    keys = (_public_key(cast(dict[str, Any], each)) for each in cast(list[Any], listed) if isinstance(each, dict))
    return tuple(key for key in keys if key is not None)


def _public_key(jwk: dict[str, Any]) -> PublicKey | None:
    kid, algorithm, operations = jwk.get("kid"), jwk.get("alg"), jwk.get("key_ops", ["verify"])
    if not isinstance(kid, str | None) or not isinstance(algorithm, str | None):
        return None
    if jwk.get("use", "sig") != "sig" or not isinstance(operations, list) or "verify" not in operations:
        return None
    match jwk.get("kty"):
        case "RSA":
            kind, numbers = ("RSA", ""), ("n", "e")
        case "EC" | "OKP" as kty if isinstance(curve := jwk.get("crv"), str):
            kind, numbers = (kty, curve), ("crv", "x", "y") if kty == "EC" else ("crv", "x")
        case _:
            return None
    if kind not in _FITTING.values() or not all(isinstance(jwk.get(name), str) for name in numbers):
        return None
    key = _imported(kind[0], {name: jwk[name] for name in numbers})
    return PublicKey(kid, algorithm, kind, key) if key is not None else None


def _imported(kty: str, numbers: dict[str, str]) -> Any | None:
    from joserfc.errors import JoseError
    from joserfc.jwk import RSAKey, import_key

    if kty == "RSA" and len(numbers["n"]) * 6 < LEAST_RSA_BITS:
        return None
    try:
        key = import_key({"kty": kty, **numbers})
    except (JoseError, ValueError, TypeError) as error:
        log.warning("a key of an issuer cannot be read", exc_info=error)
        return None
    if isinstance(key, RSAKey) and not LEAST_RSA_BITS <= key.public_key.key_size <= MOST_RSA_BITS:
        return None
    return key
