"""The table of a Bedrock provider, and where the AWS credentials are that it leads to: AWS's own chain, in AWS's own order.

https://docs.aws.amazon.com/sdkref/latest/guide/standardized-credentials.html#credentialProviderChain
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from urllib.parse import urlsplit

import msgspec

from aldgate.config.errors import ConfigError
from aldgate.config.secret import resolve_reference
from aldgate.providers.bedrock.credentials import (
    NoCredentials,
    from_environment,
    from_profile,
    home_of,
    profile_name,
    session_of,
    settings_of,
)
from aldgate.providers.bedrock.federation import SingleSignOn, WebIdentity, login_file
from aldgate.providers.bedrock.lent import Borrowed, Lender
from aldgate.providers.bedrock.metadata import Container, Instance
from aldgate.providers.bedrock.signature import Credentials
from aldgate.providers.section import LOOPBACK, ProviderSection, Surroundings, address_of, pool_of
from aldgate.upstream.pool import Origin, Pool, Timeouts

_TASKS = "http://169.254.170.2"
_INSTANCES = "http://169.254.169.254"
_AGENTS = frozenset({"169.254.170.2", "169.254.170.23", "fd00:ec2::23", *LOOPBACK})
"""Hosts that a container's agent may have without TLS."""
_NEAR = Timeouts(connect_s=1.0, first_byte_s=5.0, idle_s=5.0, total_s=10.0)
"""Agents and metadata services are next door, or nowhere."""


class BedrockSection(ProviderSection, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Amazon Bedrock. Without `api_key` (a Bedrock API key) requests are signed with AWS credentials."""

    region: str = ""
    """As in `eu-west-1`; empty takes `AWS_REGION`, else the profile's."""
    profile: str = ""
    """Whose credentials in the shared file sign; empty takes the environment's, then `AWS_PROFILE`'s or the default ones."""
    access_key_id: str = ""
    """The id of an access key, which is no secret; with it `secret_access_key`."""
    secret_access_key: str = ""
    """`env:NAME` or `file:/path`."""
    session_token: str = ""
    """`env:NAME` or `file:/path`, for credentials that are lent for a time."""
    control_url: str = ""
    """Where models are listed; empty is the region's own, or nowhere with a `base_url`."""


class Found(msgspec.Struct, frozen=True):
    """Credentials: some to sign with at once, which are read anew by `reread`, or `borrowed` ones, which are not there yet."""

    first: Credentials
    reread: Callable[[], Credentials] | None = None
    borrowed: Borrowed | None = None


def find(name: str, section: BedrockSection, region: str, surroundings: Surroundings) -> Found:
    """The credentials for a table.

    In this order: its own, its profile's, the environment's, a cluster's token's, the usual profile's, the container's, and at
    last the instance's, of which nothing is known before they are asked for.

    Raises:
        ConfigError: They are named and not there, or not usable.
    """
    environment = surroundings.environment
    lender = None if _is_said(section, environment) else _lender(name, section, region, surroundings)
    if lender is not None:
        return Found(Credentials("", ""), borrowed=Borrowed(lender))
    load = _loader(section, environment)
    try:
        first = load()
    except ConfigError as error:
        raise ConfigError(f"[providers.{name}]: {error.message}", hint=error.hint) from None
    except NoCredentials as error:
        hint = "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or `profile`, or a Bedrock API key as `api_key`"
        raise ConfigError(f"[providers.{name}]: no AWS credentials: {error}", hint=hint) from None
    if not first.secret_access_key or not all(part.isascii() and part.isprintable() for part in msgspec.structs.astuple(first)):
        raise ConfigError(f"[providers.{name}]: the AWS credentials are not usable", hint="look at their source")
    return Found(first, reread=load)


def _is_said(section: BedrockSection, environment: Mapping[str, str]) -> bool:
    """Whether the table or the environment names a key itself."""
    return bool(section.access_key_id) or not section.profile and from_environment(environment) is not None


def _loader(section: BedrockSection, environment: Mapping[str, str]) -> Callable[[], Credentials]:
    """Finds credentials that stand somewhere, now and again later: in the shared file others renew them."""

    def secret(reference: str) -> str:
        return resolve_reference(reference, environment) if reference else ""

    def load() -> Credentials:
        if section.access_key_id:
            return Credentials(section.access_key_id, secret(section.secret_access_key), secret(section.session_token))
        if not section.profile and (found := from_environment(environment)) is not None:
            return found
        return from_profile(environment, section.profile or profile_name(environment))

    return load


def _lender(name: str, section: BedrockSection, region: str, surroundings: Surroundings) -> Lender | None:
    """Who lends credentials; None where they stand in a profile, or should."""
    environment = surroundings.environment
    profile = section.profile or profile_name(environment)
    said = settings_of(environment, profile)

    def pool(service: str, usual: str) -> Pool:
        address, _ = address_of(name, environment.get(f"AWS_ENDPOINT_URL_{service}") or usual)
        return pool_of(name, address, section, surroundings)

    token_file, role = environment.get("AWS_WEB_IDENTITY_TOKEN_FILE", ""), environment.get("AWS_ROLE_ARN", "")
    session = environment.get("AWS_ROLE_SESSION_NAME", "")
    if section.profile or not (token_file and role):
        token_file, role = said.get("web_identity_token_file", ""), said.get("role_arn", "")
        session = said.get("role_session_name", "")
    if token_file and role:
        return WebIdentity(pool("STS", f"https://sts.{region}.amazonaws.com"), Path(token_file), role, session or "aldgate")
    if said.get("sso_account_id") and said.get("sso_role_name") and (home := home_of(environment)) is not None:
        session = said.get("sso_session", "")
        where = {**said, **session_of(environment, session)} if session else said
        portal = pool("SSO", f"https://portal.sso.{where.get('sso_region') or region}.amazonaws.com")
        login = login_file(home, session or said.get("sso_start_url", ""))
        return SingleSignOn(portal, login, account=said["sso_account_id"], role=said["sso_role_name"])
    if section.profile or environment.get("AWS_PROFILE") or _stands(environment, profile):
        return None
    return _beside(name, surroundings)


def _stands(environment: Mapping[str, str], profile: str) -> bool:
    try:
        from_profile(environment, profile)
    except NoCredentials:
        return False
    return True


def _beside(name: str, surroundings: Surroundings) -> Lender | None:
    """The container's agent if the environment names it, else the instance's metadata service, unless that is turned off."""
    environment = surroundings.environment
    relative, full = (environment.get(f"AWS_CONTAINER_CREDENTIALS_{each}_URI", "") for each in ("RELATIVE", "FULL"))
    if relative or full:
        parts = urlsplit(_TASKS + relative if relative else full)
        address = _near_address(name, f"{parts.scheme}://{parts.netloc}")
        if not address.is_tls and address.host not in _AGENTS:
            raise ConfigError(
                f"[providers.{name}]: AWS_CONTAINER_CREDENTIALS_FULL_URI is neither HTTPS nor an agent's address",
                hint="credentials are not fetched from elsewhere in the clear",
            )
        file, token = (environment.get(f"AWS_CONTAINER_AUTHORIZATION_TOKEN{each}", "") for each in ("_FILE", ""))
        path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        return Container(_near(address, name, surroundings), path, _reader(file, token))
    if environment.get("AWS_EC2_METADATA_DISABLED", "").lower() == "true":
        return None
    address = _near_address(name, environment.get("AWS_EC2_METADATA_SERVICE_ENDPOINT") or _INSTANCES)
    return Instance(_near(address, name, surroundings))


def _reader(file: str, token: str) -> Callable[[], str]:
    return lambda: Path(file).read_text(encoding="utf-8").strip() if file else token


def _near_address(name: str, url: str) -> Origin:
    return address_of(name, url)[0]


def _near(address: Origin, name: str, surroundings: Surroundings) -> Pool:
    pool = pool_of(name, address, ProviderSection(), surroundings)
    pool.timeouts = _NEAR
    return pool
