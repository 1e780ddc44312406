"""The table of an Azure OpenAI provider, and the backend it makes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from aldgate.config.errors import ConfigError
from aldgate.config.secret import resolve_reference
from aldgate.core.routes import Origin
from aldgate.dialects.openai.dialect import OpenAI
from aldgate.dialects.responses.compaction import COMPACTION
from aldgate.dialects.responses.dialect import RESPONSES
from aldgate.ports import UpstreamDialect
from aldgate.providers.azure.backend import Azure
from aldgate.providers.azure.entra import Tokens
from aldgate.providers.natives import NATIVES
from aldgate.providers.prices import PriceBook
from aldgate.providers.rows import ROWS
from aldgate.providers.section import LOOPBACK, ProviderSection, Surroundings, address_of, decode_section, key_of, pool_of

_VERSION_NAMES = ("AZURE_OPENAI_API_VERSION", "LLM_API_AZURE_OPENAI_API_VERSION", "OPENAI_API_VERSION")
_KNOWS_MAX_COMPLETION_TOKENS = "2024-12-01"
_KNOWS_STREAM_OPTIONS = "2024-09-01"
_KNOWS_RESPONSES = "2025-03-01"
"""API versions (dates) that first know these fields and this API:
https://learn.microsoft.com/azure/foundry/openai/api-version-lifecycle"""


class AzureSection(ProviderSection, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Azure OpenAI. `base_url` is the resource's endpoint, `https://NAME.openai.azure.com`; empty: `AZURE_OPENAI_ENDPOINT`."""

    api_version: str = ""
    """As in `2024-10-21`: calls deployments by path. Empty takes `AZURE_OPENAI_API_VERSION`, else calls `/openai/v1`."""
    deployments: dict[str, str] | None = None
    """Names of deployments, each with the model it serves, which prices go by."""
    tenant_id: str = ""
    """Directory of an application that asks Entra for tokens; empty takes `AZURE_TENANT_ID`."""
    client_id: str = ""
    """The application; empty takes `AZURE_CLIENT_ID`."""
    client_secret: str = ""
    """Its secret: `env:NAME` or `file:/path`; empty takes `AZURE_CLIENT_SECRET`."""
    authority: str = "https://login.microsoftonline.com"
    """Who gives the tokens."""
    scope: str = "https://cognitiveservices.azure.com/.default"
    """What the tokens are for."""


def build(name: str, table: Mapping[str, Any], origin: Origin, surroundings: Surroundings) -> Azure:
    """The provider for a table.

    Raises:
        ConfigError: It has no endpoint or credential, or as `providers.section.build_provider`.
    """
    section = decode_section(name, table, AzureSection)
    environment = surroundings.environment
    endpoint = section.base_url or _first(environment, NATIVES["azure"].address_names)
    if not endpoint:
        hint = 'write `base_url = "https://NAME.openai.azure.com"` or set AZURE_OPENAI_ENDPOINT'
        raise ConfigError(f"[providers.{name}]: no endpoint is known", hint=hint)
    endpoint, is_versionless = _bare(endpoint)
    version = section.api_version or ("" if is_versionless else _first(environment, _VERSION_NAMES))
    address, base_path = address_of(name, endpoint)
    api_key = key_of(name, section, NATIVES["azure"].key_names, surroundings)
    tokens = None if api_key else _tokens(name, section, surroundings)
    cap_field = "max_tokens" if version and version < _KNOWS_MAX_COMPLETION_TOKENS else "max_completion_tokens"
    stream_usage = "always" if version and version < _KNOWS_STREAM_OPTIONS else "asked"
    dialects: list[UpstreamDialect] = [OpenAI(cap_field, stream_usage, ROWS["openai"].quirks)]
    if not version or version >= _KNOWS_RESPONSES:
        dialects.append(RESPONSES)
    if not version:  # https://learn.microsoft.com/azure/foundry/reference/rest/compactconversation
        dialects.append(COMPACTION)
    deployments = section.deployments
    if deployments is None and section.models is not None:
        deployments = dict.fromkeys(section.models, "")
    return Azure(
        name,
        pool=pool_of(name, address, section, surroundings),
        base_path=base_path,
        api_key=api_key,
        tokens=tokens,
        api_version=version,
        deployments=deployments,
        dialects=dialects,
        origin=origin,
        prices=PriceBook("azure", is_free=address.host in LOOPBACK),
    )


def _bare(endpoint: str) -> tuple[str, bool]:
    """The endpoint without the paths that people copy along, and whether those were of the versionless API."""
    bare = endpoint.rstrip("/")
    return bare.removesuffix("/v1").removesuffix("/openai"), bare.endswith("/openai/v1")


def _first(environment: Mapping[str, str], names: tuple[str, ...]) -> str:
    return next((environment[name] for name in names if environment.get(name)), "")


def _tokens(name: str, section: AzureSection, surroundings: Surroundings) -> Tokens:
    environment = surroundings.environment
    tenant = section.tenant_id or environment.get("AZURE_TENANT_ID", "")
    client_id = section.client_id or environment.get("AZURE_CLIENT_ID", "")
    try:
        named = section.client_secret
        secret = resolve_reference(named, environment) if named else environment.get("AZURE_CLIENT_SECRET", "")
    except ConfigError as error:
        raise ConfigError(f"[providers.{name}]: `client_secret`: {error.message}", hint=error.hint) from None
    if not (tenant and client_id and secret):
        hint = "write `api_key`, or `tenant_id`, `client_id` and `client_secret`"
        raise ConfigError(f"[providers.{name}]: there is no credential for Azure", hint=hint)
    address, base_path = address_of(name, section.authority)
    pool = pool_of(name, address, msgspec.structs.replace(section, client_cert=None), surroundings)
    return Tokens(pool, base_path, tenant=tenant, client_id=client_id, secret=secret, scope=section.scope)
