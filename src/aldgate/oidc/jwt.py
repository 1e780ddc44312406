"""JSON Web Tokens before anybody has vouched for them: taken apart, with what RFC 8725 says of them in mind."""

from __future__ import annotations

import base64
import binascii
import math
from collections.abc import Collection
from typing import Any, cast

import msgspec

from aldgate.core.errors import ExpiredKey, UnknownKey

MAX_TOKEN_BYTES = 16_384
LONGEST_KID = 255
ACCESS_TYPES = frozenset({"", "jwt", "at+jwt", "application/jwt", "application/at+jwt"})
ID_TYPES = frozenset({"", "jwt", "application/jwt"})
"""What `typ` may say of a caller's token and of a login's. Other types are signed with the same keys for other purposes."""
_LATEST = 253_402_300_800.0
"""The year 10000: nobody means a later one."""


class Token(msgspec.Struct, frozen=True):
    """A token taken apart. None of it is true before `proven`.

    Attributes:
        signed: What the signature is over.
    """

    header: dict[str, Any]
    payload: dict[str, Any]
    signed: bytes
    signature: bytes

    @property
    def issuer(self) -> str:
        """Who is said to have issued it; empty if it does not say."""
        issuer = self.payload.get("iss")
        return issuer if isinstance(issuer, str) else ""


def looks_like_token(secret: bytes) -> bool:
    """Whether it may be a signed token: a Base64 object and two dots. Keys of ours have no dots."""
    return secret[:1] == b"e" and secret.count(b".") == 2


def read_token(secret: bytes) -> Token | None:
    """Take a token apart; None if it is none.

    Raises:
        UnknownKey: It is too long to be looked at.
    """
    if not looks_like_token(secret):
        return None
    if len(secret) > MAX_TOKEN_BYTES:
        raise UnknownKey(f"This token has more than {MAX_TOKEN_BYTES} bytes.")
    header, payload, signature = secret.split(b".")
    try:
        return Token(_object(header), _object(payload), header + b"." + payload, _decoded(signature))
    except (ValueError, RecursionError):  # msgspec's and Base64's are ValueErrors
        return None


def check_header(token: Token, algorithms: Collection[str], types: Collection[str]) -> str | None:
    """The name of the key that is said to have signed it. Headers that carry or name a key themselves are not looked at.

    Raises:
        UnknownKey: It asks for an algorithm, a type or a rule that is not taken.
    """
    header = token.header
    kid, kind = header.get("kid"), header.get("typ", "")
    if header.get("alg") not in algorithms:
        raise UnknownKey("This token is not signed in a way that is taken from its issuer.")
    if "crit" in header or "b64" in header:
        raise UnknownKey("This token has headers that must be understood (`crit`), and are not.")
    if not isinstance(kind, str) or kind.lower() not in types:
        raise UnknownKey("This token is of a type that is no credential.")
    if not isinstance(kid, str | None) or (kid is not None and len(kid) > LONGEST_KID):
        raise UnknownKey("This token does not say which key signed it.")
    return kid


def check_time(token: Token, now: float, skew_s: float) -> float:
    """When it expires, in Unix seconds.

    Raises:
        ExpiredKey: It has.
        UnknownKey: It does not say, or is of the future.
    """
    expires_at, payload = _time(token.payload, "exp"), token.payload
    if expires_at is None:
        raise UnknownKey("This token does not say when it expires (`exp`).")
    if now >= expires_at + skew_s:
        raise ExpiredKey("This token has expired.")
    for name in ("nbf", "iat"):
        at = _time(payload, name) if name in payload else 0.0
        if at is None or at > now + skew_s:
            raise UnknownKey(f"This token is not valid yet (`{name}`).")
    return expires_at


def is_for(token: Token, audience: Collection[str]) -> bool:
    """Whether it is meant for one of `audience`."""
    said = token.payload.get("aud")
    names = cast(list[Any], said) if isinstance(said, list) else [said]
    return any(isinstance(name, str) and name in audience for name in names)


def _time(payload: dict[str, Any], name: str) -> float | None:
    at = payload.get(name)
    if isinstance(at, bool) or not isinstance(at, int | float) or not math.isfinite(at) or not 0 <= at < _LATEST:
        return None
    return float(at)


def _object(segment: bytes) -> dict[str, Any]:
    return msgspec.json.decode(_decoded(segment), type=dict[str, Any])


def _decoded(segment: bytes) -> bytes:
    decoded = base64.b64decode(segment + b"=" * (-len(segment) % 4), b"-_", validate=True)
    if base64.urlsafe_b64encode(decoded).rstrip(b"=") != segment:
        raise binascii.Error("not the one way to write it (RFC 7515, 2)")
    return decoded
