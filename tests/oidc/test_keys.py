"""Keys as they are published, and signatures that the JOSE library did not make."""

from __future__ import annotations

import base64
import json
import time
from typing import Any

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

from aldgate.oidc.keys import MAX_KEYS, public_keys
from aldgate.testing.issuer import FakeIssuer
from tests.oidc.asking import believing, saying

# RFC 7515, A.3 and RFC 8037, A.4.
ES256 = (
    {
        "kty": "EC",
        "crv": "P-256",
        "x": "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU",
        "y": "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0",
        "d": "jpsQnnGQmL-YBIffH1136cspYG6-0iY7X1fCE9-E9LI",
    },
    "eyJhbGciOiJFUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ"
    ".DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q",
)
EDDSA = (
    {"kty": "OKP", "crv": "Ed25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"},
    "eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc"
    ".hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg",
)


def b64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def number(value: int, size: int | None = None) -> str:
    return b64(value.to_bytes(size or (value.bit_length() + 7) // 8, "big"))


@pytest.mark.parametrize(("algorithm", "example"), [("ES256", ES256), ("EdDSA", EDDSA)])
def test_the_standards_own_examples(algorithm: Any, example: tuple[dict[str, str], str]) -> None:
    jwk, token = example
    (key,) = public_keys({"keys": [jwk]})
    signed, _, signature = token.rpartition(".")
    proof = base64.urlsafe_b64decode(signature + "==")
    assert key.fits(algorithm) and not key.fits("RS256")
    assert key.proves(algorithm, signed.encode(), proof)
    for bad in (proof[:-1] + b"\0", proof[:-1], b"", proof + b"\0", b"\0" * len(proof)):
        assert not key.proves(algorithm, signed.encode(), bad)
    assert not key.proves(algorithm, signed.encode() + b"x", proof)


def test_nothing_private_is_kept() -> None:
    (key,) = public_keys({"keys": [ES256[0]]})
    assert not key.key.is_private


@pytest.mark.parametrize("document", [{}, {"keys": None}, {"keys": {}}, {"keys": [{}] * (MAX_KEYS + 1)}])
def test_what_is_no_set_of_keys(document: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="no set"):
        public_keys(document)


def test_an_empty_set_is_one() -> None:
    assert public_keys({"keys": []}) == ()


def by_rsa(told: bytes, key: rsa.RSAPrivateKey) -> bytes:
    return key.sign(told, padding.PKCS1v15(), hashes.SHA256())


def by_curve(told: bytes, key: ec.EllipticCurvePrivateKey) -> bytes:
    r, s = decode_dss_signature(key.sign(told, ec.ECDSA(hashes.SHA256())))
    return r.to_bytes(32, "big") + s.to_bytes(32, "big")


@pytest.mark.anyio
async def test_tokens_made_with_nothing_but_cryptography() -> None:
    first, second, third = (
        rsa.generate_private_key(65537, 2048),
        ec.generate_private_key(ec.SECP256R1()),
        ed25519.Ed25519PrivateKey.generate(),
    )
    n, point = first.public_key().public_numbers(), second.public_key().public_numbers()
    made: dict[str, tuple[dict[str, str], Any]] = {
        "RS256": ({"kty": "RSA", "n": number(n.n), "e": number(n.e)}, lambda told: by_rsa(told, first)),
        "ES256": (
            {"kty": "EC", "crv": "P-256", "x": number(point.x, 32), "y": number(point.y, 32)},
            lambda told: by_curve(told, second),
        ),
        "EdDSA": ({"kty": "OKP", "crv": "Ed25519", "x": b64(third.public_key().public_bytes_raw())}, third.sign),
    }
    async with FakeIssuer() as issuer, believing(issuer) as tokens:
        issuer.faults["/jwks"] = saying({"keys": [{**jwk, "kid": name} for name, (jwk, _) in made.items()]})
        payload = {"iss": issuer.url, "sub": "ann", "aud": ["aldgate"], "exp": int(time.time()) + 60}
        for name, (_, sign) in made.items():
            told = f"{b64(json.dumps({'alg': name, 'kid': name}).encode())}.{b64(json.dumps(payload).encode())}"
            claims = await tokens.principal_claims(f"{told}.{b64(sign(told.encode()))}".encode())
            assert claims is not None and claims.subject == "ann"
