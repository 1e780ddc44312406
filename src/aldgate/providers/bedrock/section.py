"""The table of a Bedrock provider, and the backend it makes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from aldgate.config.errors import ConfigError
from aldgate.config.secret import resolve_reference
from aldgate.core.routes import Origin
from aldgate.providers.bedrock.backend import Bedrock
from aldgate.providers.bedrock.credentials import NoCredentials, find_region, from_environment, from_profile, profile_name
from aldgate.providers.bedrock.door import Door
from aldgate.providers.bedrock.signature import Credentials, Signer
from aldgate.providers.natives import NATIVES
from aldgate.providers.prices import PriceBook
from aldgate.providers.section import LOOPBACK, ProviderSection, Surroundings, address_of, decode_section, key_of, pool_of

_USUAL_REGION = "us-east-1"
"""Where a key found in the environment is tried if nothing says where it belongs: it must not keep the gate from starting."""


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


def build(name: str, table: Mapping[str, Any], origin: Origin, surroundings: Surroundings) -> Bedrock:
    """The provider for a table.

    Raises:
        ConfigError: It has no region or credentials, or as `providers.section.build_provider`.
    """
    section = decode_section(name, table, BedrockSection)
    environment = surroundings.environment
    region = section.region or find_region(environment, section.profile or profile_name(environment))
    if not region and origin == "environment":
        region = _USUAL_REGION
    if not region:
        raise ConfigError(f"[providers.{name}]: no region is known", hint='write `region = "us-east-1"` or set AWS_REGION')
    api_key = key_of(name, section, NATIVES["bedrock"].key_names, surroundings)
    load = None if api_key else _loader(name, section, surroundings)

    def door(url: str) -> Door:
        address, base_path = address_of(name, url)
        signer = None if load is None else Signer(load(), address.host_header, region, "bedrock")
        return Door(pool_of(name, address, section, surroundings), base_path, api_key, signer)

    runtime = door(section.base_url or f"https://bedrock-runtime.{region}.amazonaws.com")
    control_url = section.control_url or ("" if section.base_url else f"https://bedrock.{region}.amazonaws.com")
    return Bedrock(
        name,
        runtime=runtime,
        control=door(control_url) if control_url and section.models is None else None,
        models=None if section.models is None else tuple(section.models),
        origin=origin,
        prices=PriceBook("aws", is_free=runtime.pool.origin.host in LOOPBACK),
        renew=load,
    )


def _loader(name: str, section: BedrockSection, surroundings: Surroundings) -> Callable[[], Credentials]:
    """Finds the credentials, now and again later: in the shared file others renew them."""
    environment = surroundings.environment

    def secret(reference: str) -> str:
        return resolve_reference(reference, environment) if reference else ""

    def load() -> Credentials:
        if section.access_key_id:
            return Credentials(section.access_key_id, secret(section.secret_access_key), secret(section.session_token))
        if not section.profile and (found := from_environment(environment)) is not None:
            return found
        return from_profile(environment, section.profile or profile_name(environment))

    try:
        found = load()
    except ConfigError as error:
        raise ConfigError(f"[providers.{name}]: {error.message}", hint=error.hint) from None
    except NoCredentials as error:
        hint = "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or `profile`, or a Bedrock API key as `api_key`"
        raise ConfigError(f"[providers.{name}]: no AWS credentials: {error}", hint=hint) from None
    if not found.secret_access_key or not all(part.isascii() and part.isprintable() for part in msgspec.structs.astuple(found)):
        raise ConfigError(f"[providers.{name}]: the AWS credentials are not usable", hint="look at their source")
    return load
