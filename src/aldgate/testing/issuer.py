"""A fake OpenID provider on loopback: discovery, keys, logins without a password, and every fault of `testing.upstream`.

    async with FakeIssuer() as issuer:
        token = issuer.token(sub="ann", roles=["admins"])
        issuer.faults["/jwks"] = faults.status(500)
        issuer.rotate()

From another process: `python -m aldgate.testing.issuer --port 9100`; there `GET /mint?sub=ann&aud=aldgate` signs a token.
"""

import argparse
import asyncio
import base64
import hashlib
import secrets
import sys
import time
from collections.abc import Mapping
from typing import Any, cast
from urllib.parse import parse_qs, parse_qsl, unquote_plus, urlencode, urlsplit

import msgspec
from joserfc import jws
from joserfc.jwk import Key, KeyParameters, generate_key

from aldgate.testing.upstream import FakeUpstream, Play, Recorded, Step, wire
from aldgate.testing.upstream.replies import Asked

CURVES = {"ES256": "P-256", "ES384": "P-384", "ES512": "P-521", "Ed25519": "Ed25519", "EdDSA": "Ed25519"}


class FakeIssuer(FakeUpstream):
    """Signs what it is asked to sign, and lets everybody in as `user`.

    Attributes:
        keys: What it signs with, the newest last; all are published.
        faults: What happens to requests by path, until it is taken out.
        cache_control: Sent with its documents.
        discovery: Laid over its discovery document.
        clients: Secrets by client id; empty secrets are of public clients.
        user: Claims of whoever logs in.
        asked: How often each path was asked for.
    """

    def __init__(self, algorithm: str = "ES256", *, port: int = 0, **more: Any) -> None:
        """Describe the issuer; it listens once entered.

        Args:
            algorithm: What it signs with.
            port: 0 takes any free one.
            more: As for `FakeUpstream`.
        """
        super().__init__(port=port, **more)
        self.keys: list[tuple[str, Key]] = []
        self.faults: dict[str, Step] = {}
        self.cache_control = "max-age=3600"
        self.discovery: dict[str, Any] = {}
        self.clients: dict[str, str] = {}
        self.user: dict[str, Any] = {"sub": "ann"}
        self.asked: dict[str, int] = {}
        self._codes: dict[str, dict[str, str]] = {}
        self.rotate(algorithm)

    @property
    def url(self) -> str:
        """What its tokens have in `iss`."""
        return self.base_url

    @property
    def base_url(self) -> str:
        """Where it answers."""
        return f"http{'s' if self._ssl else ''}://127.0.0.1:{self.port}"

    def rotate(self, algorithm: str = "ES256", *, keeps: bool = False) -> Key:
        """Sign with a new key; `keeps` publishes the old ones still."""
        parameters: KeyParameters = {"kid": secrets.token_hex(4), "use": "sig"}
        kind: Any = ("EC" if algorithm.startswith("ES") else "OKP") if algorithm in CURVES else "RSA"
        curve_or_bits: Any = CURVES.get(algorithm, 2048)
        key = cast(Key, generate_key(kind, curve_or_bits, parameters))
        self.keys = [*(self.keys if keeps else []), (algorithm, key)]
        return key

    def token(self, **claims: Any) -> str:
        """A token for `aldgate` that lives five minutes; a claim that is None is left out."""
        return self.sign(claims)

    def sign(self, claims: Mapping[str, Any], *, key: tuple[str, Key] | None = None, **header: Any) -> str:
        """The same, with other headers or by another key."""
        algorithm, signer = key or self.keys[-1]
        now = int(time.time())
        payload = {"iss": self.url, "sub": "ann", "aud": "aldgate", "iat": now, "exp": now + 300, **claims}
        head = {"alg": algorithm, "kid": signer.kid, "typ": "JWT", **header}
        return signed(_present(head), msgspec.json.encode(_present(payload)), signer, algorithm)

    def begin(self, request: Recorded) -> Play | bytes:
        """The answer to a request."""
        path = urlsplit(request.path).path
        self.asked[path] = self.asked.get(path, 0) + 1
        if path in self.faults:
            return self.faults[path].play(Asked(request, self.reply))
        match request.method, path:
            case "GET", "/.well-known/openid-configuration":
                return self._document(self._discovery())
            case "GET", "/jwks":
                return self._document({"keys": [key.as_dict(private=False) for _, key in self.keys]})
            case "GET", "/authorize":
                return self._authorize(dict(parse_qsl(urlsplit(request.path).query)))
            case "POST", "/token":
                return self._token(request)
            case "GET", "/mint":
                asked = {
                    name: said if len(said) > 1 else said[0] for name, said in parse_qs(urlsplit(request.path).query).items()
                }
                return wire.whole(self.token(**asked).encode() + b"\n", headers=[("Content-Type", "text/plain")])
            case _:
                return wire.whole(b'{"error": "not_found"}', status=404)

    def _document(self, document: dict[str, Any]) -> bytes:
        return wire.whole(msgspec.json.encode(document), headers=[wire.JSON, ("Cache-Control", self.cache_control)])

    def _discovery(self) -> dict[str, Any]:
        return {
            "issuer": self.url,
            "jwks_uri": f"{self.base_url}/jwks",
            "authorization_endpoint": f"{self.base_url}/authorize",
            "token_endpoint": f"{self.base_url}/token",
            "authorization_response_iss_parameter_supported": True,
        } | self.discovery

    def _authorize(self, asked: dict[str, str]) -> bytes:
        is_sound = asked.get("response_type") == "code" and asked.get("code_challenge_method") == "S256"
        if not is_sound or asked.get("client_id") not in self.clients or "openid" not in asked.get("scope", "").split():
            return wire.whole(b'{"error": "invalid_request"}', status=400)
        code = secrets.token_urlsafe(16)
        self._codes[code] = asked
        back = urlencode({"code": code, "state": asked.get("state", ""), "iss": self.url})
        return wire.whole(b"", status=302, headers=[("Location", f"{asked['redirect_uri']}?{back}")])

    def _token(self, request: Recorded) -> bytes:
        form = dict(parse_qsl(request.body.decode()))
        client_id, secret = _client(request, form)
        asked = self._codes.pop(form.get("code", ""), None)
        challenge = (
            base64.urlsafe_b64encode(hashlib.sha256(form.get("code_verifier", "").encode()).digest()).rstrip(b"=").decode()
        )
        if self.clients.get(client_id) != secret:
            return wire.whole(b'{"error": "invalid_client"}', status=401)
        if (
            asked is None
            or form.get("grant_type") != "authorization_code"
            or asked["client_id"] != client_id
            or asked["redirect_uri"] != form.get("redirect_uri")
            or asked["code_challenge"] != challenge
        ):
            return wire.whole(b'{"error": "invalid_grant"}', status=400)
        id_token = self.sign({"aud": client_id, "nonce": asked.get("nonce"), **self.user})
        granted = {"access_token": self.sign(self.user), "token_type": "Bearer", "expires_in": 300, "id_token": id_token}
        return wire.whole(msgspec.json.encode(granted))


def signed(header: dict[str, Any], payload: bytes, key: Any, algorithm: str) -> str:
    """A token of any header and payload; `algorithm` signs, whatever the header says."""
    told = _base64(msgspec.json.encode(header)) + b"." + _base64(payload)
    return (told + b"." + _base64(jws.JWSRegistry.algorithms[algorithm].sign(told, key))).decode()


def _base64(data: bytes) -> bytes:
    return base64.urlsafe_b64encode(data).rstrip(b"=")


def _client(request: Recorded, form: dict[str, str]) -> tuple[str, str]:
    scheme, _, credentials = (request.header("authorization") or "").partition(" ")
    if scheme == "Basic":
        client_id, _, secret = base64.b64decode(credentials).decode().partition(":")
        return unquote_plus(client_id), unquote_plus(secret)  # RFC 6749, 2.3.1
    return form.get("client_id", ""), form.get("client_secret", "")


def _present(fields: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if value is not None}


async def _serve(port: int) -> None:
    async with FakeIssuer(port=port, keep_requests=False) as issuer:
        issuer.clients["aldgate"] = ""
        sys.stdout.write(issuer.url + "\n")
        sys.stdout.flush()
        await asyncio.Event().wait()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m aldgate.testing.issuer", description="A fake OpenID provider.")
    parser.add_argument("--port", type=int, default=0, help="0 takes any free one")
    try:
        asyncio.run(_serve(parser.parse_args().port))
    except KeyboardInterrupt:
        sys.exit(130)
