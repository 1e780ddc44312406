"""Issuers of JSON Web Tokens: whose tokens the gate takes, and what it reads in them."""

import re
from collections.abc import Mapping
from ipaddress import ip_address
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

import msgspec

from aldgate.config.errors import ConfigError
from aldgate.config.secret import Secret
from aldgate.core.claims import ClaimMapping, ClaimNames
from aldgate.core.levels import Role

Algorithm = Literal["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA", "Ed25519"]
"""Signatures by a key that only the issuer has. `none` and the HMACs are not among them, and cannot be configured."""

_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,62}")


class IssuerEntry(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """One issuer: an OpenID provider, or whoever else signs tokens with keys that it publishes."""

    issuer: str
    """Its URL, exactly as its tokens have it in `iss`; https, or http on loopback."""
    audience: tuple[str, ...] = ()
    """Names of this gate in its tokens' `aud`, of which each must have one; empty takes none as a caller's credential."""
    client_id: str = ""
    """The gate's own name there, for logins to the console; empty offers none."""
    client_secret: Secret | None = None
    """The gate's secret there: `env:NAME` or `file:/path`; unset for a public client."""
    scopes: tuple[str, ...] = ("openid", "email", "profile")
    """What a login asks for."""
    algorithms: Annotated[tuple[Algorithm, ...], msgspec.Meta(min_length=1)] = ("RS256", "ES256", "EdDSA")
    """Signatures taken: `RS256`, `RS384`, `RS512`, `PS256`, `PS384`, `PS512`, `ES256`, `ES384`, `ES512`, `EdDSA`, `Ed25519`."""
    clock_skew_s: Annotated[float, msgspec.Meta(ge=0, le=600)] = 30.0
    """Seconds by which its clock and this one may differ."""
    jwks_url: str = ""
    """Where its keys are, if it has no discovery document that says so."""
    ca_bundle: str = ""
    """PEM file of certificate authorities to trust for it; empty takes `upstream.ca_bundle`, else the system's."""
    claims: ClaimNames = ClaimNames()
    """Where its tokens say what."""
    roles: dict[str, Role] = {}
    """Its words for roles or groups -> `admin`, `member` or `viewer`."""
    default_role: Role | None = None
    """Role of whoever has none by these words; unset gives none."""
    teams: dict[str, str] = {}
    """Its words for teams or groups -> teams here, the first that fits; empty takes its word."""
    required: dict[str, Any] = {}
    """Claims that a token must have: a value, or a list of which one suffices."""

    @property
    def mapping(self) -> ClaimMapping:
        """How its claims are read."""
        return ClaimMapping(self.claims, self.roles, self.teams, self.default_role)


def is_safe_url(url: str, *, may_have_query: bool = False) -> bool:
    """Whether what `url` says can be believed: https, or http to this machine; no credentials or fragment."""
    if not url.isascii() or not url.isprintable() or " " in url or "\\" in url:
        return False
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return False
    if not parts.hostname or port == 0 or "@" in parts.netloc or "#" in url or ("?" in url and not may_have_query):
        return False
    return parts.scheme == "https" or (parts.scheme == "http" and is_loopback(parts.hostname))


def is_loopback(host: str) -> bool:
    """Whether a host is this machine, going by its name alone."""
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False


def check_issuers(issuers: Mapping[str, IssuerEntry]) -> None:
    """Refuse issuers whose tokens could not be checked, or not told apart.

    Raises:
        ConfigError: The first that is wrong.
    """
    named: dict[str, str] = {}
    for name, entry in issuers.items():
        where = f"[auth.issuers.{name}]"
        if _NAME.fullmatch(name) is None:
            raise ConfigError(f"{where}: an issuer cannot be called so", hint="use lower-case letters, digits and `-`")
        for field, url in (("issuer", entry.issuer), ("jwks_url", entry.jwks_url)):
            if (url or field == "issuer") and not is_safe_url(url, may_have_query=field == "jwks_url"):
                hint = "write an https URL, for `issuer` without a query; plain http is for loopback only"
                raise ConfigError(f"{where}: `{field}`: `{url}` cannot be trusted", hint=hint)
        if named.setdefault(entry.issuer, name) != name:
            raise ConfigError(f"{where}: `{entry.issuer}` is the issuer of `{named[entry.issuer]}` too", hint="keep one of them")
        if not entry.audience and not entry.client_id:
            hint = 'write `audience = ["..."]` to take its tokens, `client_id = "..."` to log in with it'
            raise ConfigError(f"{where}: it is good for nothing", hint=hint)
        if not all(entry.audience):
            raise ConfigError(f"{where}: an audience is empty", hint="a token with an empty `aud` is nobody's")
        if entry.client_id and "openid" not in entry.scopes:
            raise ConfigError(f"{where}: `scopes` lacks `openid`", hint="without it there is no login")
        if entry.client_id and entry.jwks_url:
            hint = "leave out `jwks_url`: its discovery document says where logins begin, and where its keys are"
            raise ConfigError(f"{where}: `jwks_url` is set, and `client_id`", hint=hint)
        if entry.client_secret is not None and not entry.client_id:
            raise ConfigError(f"{where}: `client_secret` is set, `client_id` is not", hint="set both or neither")
