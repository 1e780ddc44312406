"""A login through an issuer: authorization code with PKCE, nothing kept but a signed cookie in the browser.

https://openid.net/specs/openid-connect-core-1_0.html, 3.1; RFC 7636 (PKCE), RFC 9207 (`iss` in the answer), RFC 9700.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
import secrets
from collections.abc import Callable, Mapping
from typing import NamedTuple
from urllib.parse import quote_plus, urlencode

import msgspec

from aldgate.config.issuers import is_safe_url
from aldgate.core.claims import Claims
from aldgate.core.errors import IssuerUnavailable, NotFound, UnknownKey, UpstreamError
from aldgate.oidc.issuer import Issuer
from aldgate.oidc.keyset import Discovery

LOGIN_S = 600
"""How long somebody has to log in at the issuer."""
LONGEST_CODE = 4096
_ERROR = re.compile(r"[a-z_]{1,60}")
_PATH = re.compile(r"/(?![/\\])[!-\[\]-~]*")


class Begun(NamedTuple):
    """Where to send the browser, and the cookie it brings back from there."""

    location: str
    cookie: str


class _Attempt(msgspec.Struct, frozen=True, array_like=True):
    id: str
    issuer: str
    next_path: str
    expires_at: float


class Login:
    """Logins through one issuer. State, nonce and code verifier are derived from the attempt's id, which only the cookie has.

    Args:
        secret: Signs cookies; the same in every process.
        now: Unix seconds.
    """

    def __init__(self, issuer: Issuer, secret: bytes, now: Callable[[], float]) -> None:
        self._issuer = issuer
        self._secret = secret
        self._now = now

    async def begin(self, redirect_uri: str, next_path: str) -> Begun:
        """Begin one.

        Args:
            redirect_uri: Where the browser is to come back to.
            next_path: Where it is to go in the end, as `is_local_path` holds.

        Raises:
            IssuerUnavailable: Nobody knows where logins begin.
        """
        endpoint = _endpoint((await self._issuer.keys.discovery()).authorization_endpoint)
        attempt = _Attempt(secrets.token_urlsafe(24), self._issuer.name, next_path, self._now() + LOGIN_S)
        challenge = _base64(hashlib.sha256(self._derived("verifier", attempt).encode()).digest())
        asked = {
            "response_type": "code",
            "client_id": self._issuer.entry.client_id,
            "redirect_uri": redirect_uri,
            "scope": " ".join(self._issuer.entry.scopes),
            "state": self._derived("state", attempt),
            "nonce": self._derived("nonce", attempt),
            "code_challenge": challenge,
            "code_challenge_method": "S256",
        }
        told = msgspec.json.encode(attempt)
        cookie = f"{_base64(told)}.{_base64(self._proof(b'cookie', told))}"
        return Begun(f"{endpoint}{'&' if '?' in endpoint else '?'}{urlencode(asked)}", cookie)

    async def finish(self, redirect_uri: str, answered: Mapping[str, str], cookie: str) -> tuple[Claims, str]:
        """Who has logged in, and where they were going.

        Args:
            redirect_uri: The same as at the begin.
            answered: What the issuer sent the browser back with.
            cookie: What `begin` gave it; empty if it has none.

        Raises:
            UnknownKey: It is not the browser that began, it took too long, or the issuer refused.
            IssuerUnavailable: The issuer did not answer.
        """
        attempt = self._attempt(cookie)
        if not hmac.compare_digest(answered.get("state", "").encode(), self._derived("state", attempt).encode()):
            raise UnknownKey("This login was begun elsewhere; begin it anew.")
        discovery = await self._issuer.keys.discovery()
        must_say = discovery.authorization_response_iss_parameter_supported
        if answered.get("iss", "" if must_say else discovery.issuer) != discovery.issuer:
            raise UnknownKey("Another issuer has answered; begin the login anew.")
        if "error" in answered:
            error = answered["error"] if _ERROR.fullmatch(answered["error"]) else "unknown"
            raise UnknownKey(f"{self._issuer.name} did not let you in (`{error}`).")
        id_token = await self._exchanged(discovery, redirect_uri, answered.get("code", ""), self._derived("verifier", attempt))
        return await self._issuer.login(id_token, self._derived("nonce", attempt)), attempt.next_path

    def _attempt(self, cookie: str) -> _Attempt:
        told, _, proof = cookie.partition(".")
        try:
            text = _unbase64(told)
            if hmac.compare_digest(_unbase64(proof), self._proof(b"cookie", text)):
                attempt = msgspec.json.decode(text, type=_Attempt)
                if attempt.issuer == self._issuer.name and self._now() < attempt.expires_at:
                    return attempt
        except ValueError:
            pass  # whatever it is, this gate did not write it
        raise UnknownKey("This login was not begun in this browser, or too long ago; begin it anew.")

    async def _exchanged(self, discovery: Discovery, redirect_uri: str, code: str, verifier: str) -> str:
        if not 0 < len(code) <= LONGEST_CODE:
            raise UnknownKey("The issuer sent no code; begin the login anew.")
        entry, headers = self._issuer.entry, dict[str, str]()
        form = {"grant_type": "authorization_code", "code": code, "redirect_uri": redirect_uri, "code_verifier": verifier}
        if entry.client_secret is None:
            form["client_id"] = entry.client_id
        elif "client_secret_basic" in discovery.token_endpoint_auth_methods_supported:
            pair = f"{quote_plus(entry.client_id)}:{quote_plus(entry.client_secret.reveal())}"  # RFC 6749, 2.3.1
            headers["authorization"] = "Basic " + base64.b64encode(pair.encode()).decode()
        else:
            form |= {"client_id": entry.client_id, "client_secret": entry.client_secret.reveal()}
        try:
            granted = await self._issuer.documents.post(_endpoint(discovery.token_endpoint), form, headers)
        except UpstreamError as error:
            raise IssuerUnavailable(f"{self._issuer.name} does not answer; try again shortly.", retry_after_s=10) from error
        if granted.status >= 500:
            raise IssuerUnavailable(f"{self._issuer.name} does not answer; try again shortly.", retry_after_s=10)
        id_token = granted.fields.get("id_token")
        if granted.status != 200 or not isinstance(id_token, str):
            error = granted.fields.get("error")
            said = error if isinstance(error, str) and _ERROR.fullmatch(error) else f"status {granted.status}"
            raise UnknownKey(f"{self._issuer.name} did not confirm the login (`{said}`).")
        return id_token

    def _derived(self, purpose: str, attempt: _Attempt) -> str:
        return _base64(self._proof(purpose.encode(), f"{attempt.issuer} {attempt.id}".encode()))

    def _proof(self, purpose: bytes, told: bytes) -> bytes:
        return hmac.digest(self._secret, purpose + b"\0" + told, "sha256")


class Logins:
    """The issuers through which one can log in.

    Args:
        secret: As for `Login`.
    """

    def __init__(self, issuers: Mapping[str, Issuer], secret: bytes, now: Callable[[], float]) -> None:
        self._logins = {name: Login(issuer, secret, now) for name, issuer in issuers.items() if issuer.entry.client_id}

    @property
    def names(self) -> list[str]:
        """Their names, as configured."""
        return list(self._logins)

    def of(self, name: str) -> Login:
        """Logins through the issuer called `name`.

        Raises:
            NotFound: There is none.
        """
        login = self._logins.get(name)
        if login is None:
            raise NotFound(f"There is no login through `{name[:80]}`.")
        return login


def is_local_path(path: str) -> bool:
    """Whether a browser told to go to `path` stays where it is: no host, no scheme, nothing it would read as one."""
    return len(path) <= 2048 and _PATH.fullmatch(path) is not None


def _endpoint(url: str) -> str:
    if not is_safe_url(url, may_have_query=True):
        raise IssuerUnavailable("The issuer does not say where logins begin or end.")
    return url


def _base64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _unbase64(text: str) -> bytes:
    return base64.b64decode(text.encode("ascii") + b"=" * (-len(text) % 4), b"-_", validate=True)
