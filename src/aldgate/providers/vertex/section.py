"""One `[providers.NAME]` table of kind `vertex` or `vertex-anthropic`, and the backend it makes."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.util import find_spec
from typing import Any

import msgspec

from aldgate.config.errors import ConfigError
from aldgate.config.secret import resolve_reference
from aldgate.core.routes import Origin
from aldgate.dialects.anthropic.vertex import ANTHROPIC_ON_VERTEX
from aldgate.dialects.gemini.vertex import GEMINI_ON_VERTEX, VERTEX_EMBEDDINGS
from aldgate.providers.prices import PriceBook
from aldgate.providers.section import ProviderSection, Surroundings, address_of, decode_section, key_of, pool_of
from aldgate.providers.vertex.backend import Publisher, Vertex
from aldgate.providers.vertex.tokens import Credential, Fixed, Granted, ServiceAccount, signed
from aldgate.upstream.pool import Pool

GOOGLE = Publisher("google", (GEMINI_ON_VERTEX, VERTEX_EMBEDDINGS), "generateContent", "streamGenerateContent?alt=sse")
ANTHROPIC = Publisher("anthropic", (ANTHROPIC_ON_VERTEX,), "rawPredict", "streamRawPredict")
_MULTI_REGIONS = frozenset({"us", "eu"})


class VertexSection(ProviderSection, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Vertex AI. It is called with one of `credentials`, `access_token` and `api_key` (a key of express mode)."""

    project: str = ""
    """Id of the project; empty takes `GOOGLE_CLOUD_PROJECT`, else the service account's own."""
    location: str = ""
    """As in `europe-west4`; empty takes `GOOGLE_CLOUD_LOCATION`, else `global`."""
    credentials: str = ""
    """`env:NAME` or `file:/path` of a service account's key in JSON; empty takes the file that
    `GOOGLE_APPLICATION_CREDENTIALS` names."""
    access_token: str = ""
    """`env:NAME` or `file:/path` of a token that somebody else renews."""


def build(name: str, table: Mapping[str, Any], origin: Origin, surroundings: Surroundings) -> Vertex:
    """The provider of Google's models for a table.

    Raises:
        ConfigError: It has no project or credential, or as `providers.section.build_provider`.
    """
    return _build(name, table, origin, surroundings, GOOGLE)


def build_anthropic(name: str, table: Mapping[str, Any], origin: Origin, surroundings: Surroundings) -> Vertex:
    """The provider of Anthropic's models for a table.

    Raises:
        ConfigError: As `build`.
    """
    return _build(name, table, origin, surroundings, ANTHROPIC)


def _build(name: str, table: Mapping[str, Any], origin: Origin, surroundings: Surroundings, publisher: Publisher) -> Vertex:
    section = decode_section(name, table, VertexSection)
    environment = surroundings.environment
    account = _account(name, section, environment)
    location = section.location or environment.get("GOOGLE_CLOUD_LOCATION") or "global"
    project = section.project or environment.get("GOOGLE_CLOUD_PROJECT") or (account.project_id if account else "")
    for value in (project, location):
        if not all(character.isascii() and (character.isalnum() or character in "-:.") for character in value):
            raise ConfigError(f"[providers.{name}]: `{value}` is no project or location", hint="look at `project` and `location`")
    address, base_path = address_of(name, section.base_url or f"https://{_host(location)}/v1")
    pools = [pool_of(name, address, section, surroundings)]
    credential = _credential(name, section, account, surroundings, pools)
    if not project and not section.api_key:
        raise ConfigError(f"[providers.{name}]: no project is named", hint='write `project = "..."`')
    return Vertex(
        name,
        publisher=publisher,
        pools=pools,
        path=f"{base_path}/projects/{project}/locations/{location}" if project else base_path,
        list_path=None if section.api_key else f"{base_path.removesuffix('/v1')}/v1beta1",
        quota=f"x-goog-user-project: {project}\r\n" if section.access_token else "",
        credential=credential,
        models=None if section.models is None else tuple(section.models),
        origin=origin,
        prices=PriceBook("google", is_free=False),
    )


def _host(location: str) -> str:
    """Where a location answers (https://cloud.google.com/vertex-ai/generative-ai/docs/learn/locations)."""
    if location == "global":
        return "aiplatform.googleapis.com"
    if location in _MULTI_REGIONS:
        return f"aiplatform.{location}.rep.googleapis.com"
    return f"{location}-aiplatform.googleapis.com"


def _credential(
    name: str, section: VertexSection, account: ServiceAccount | None, surroundings: Surroundings, pools: list[Pool]
) -> Credential:
    if section.api_key:
        return Fixed(f"x-goog-api-key: {key_of(name, section, (), surroundings)}\r\n")
    if section.access_token:
        as_key = msgspec.structs.replace(section, api_key=section.access_token)
        return Fixed(f"authorization: Bearer {key_of(name, as_key, (), surroundings)}\r\n")
    if account is None:
        raise ConfigError(f"[providers.{name}]: no credential is named", hint="write `credentials`, `access_token` or `api_key`")
    address, path = address_of(name, account.token_uri)
    pools.append(pool_of(name, address, section, surroundings))
    return Granted(account, pools[1], path)


def _account(name: str, section: VertexSection, environment: Mapping[str, str]) -> ServiceAccount | None:
    """The service account that the table or the environment names, once its key is seen to sign.

    Raises:
        ConfigError: It is none.
    """
    path = environment.get("GOOGLE_APPLICATION_CREDENTIALS")
    reference = section.credentials or (f"file:{path}" if path else "")
    if section.api_key or section.access_token or not reference:
        return None
    if find_spec("cryptography") is None:
        raise ConfigError(f"[providers.{name}]: cryptography is not installed", hint="pip install 'aldgate[vertex]'")
    try:
        account = msgspec.json.decode(resolve_reference(reference, environment), type=ServiceAccount)
        signed(account, 0)
        return account
    except ConfigError as error:
        raise ConfigError(f"[providers.{name}]: `credentials`: {error.message}", hint=error.hint) from None
    except (msgspec.DecodeError, ValueError, TypeError):
        raise ConfigError(
            f"[providers.{name}]: `credentials` is not the key of a service account",
            hint="make a key in JSON, or use `access_token`",
        ) from None
