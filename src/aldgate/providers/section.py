"""One `[providers.NAME]` table of the configuration, and the backend it makes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any
from urllib.parse import urlsplit

import msgspec

from aldgate.config.errors import ConfigError
from aldgate.config.secret import resolve_reference
from aldgate.config.settings import Upstream
from aldgate.core.prices import Price
from aldgate.core.routes import Origin
from aldgate.providers.openai import OpenAICompatible
from aldgate.providers.prices import PriceBook
from aldgate.providers.rows import ROWS, Row
from aldgate.upstream.pool import Origin as Address
from aldgate.upstream.pool import Pool, Timeouts
from aldgate.upstream.tls import client_context

Seconds = Annotated[float, msgspec.Meta(gt=0)]
LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})


class ProviderSection(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A provider that speaks OpenAI's wire. What is left out comes from its kind's row or from `[upstream]`."""

    kind: str = ""
    """One of the known kinds (`openai`, `groq`, `vllm` ...). Empty is the kind of the table's own name, else `openai`, which
    suits any server that speaks OpenAI's wire."""
    base_url: str = ""
    """Up to and including the version: `https://host/v1`. Empty takes the kind's own."""
    api_key: str = ""
    """`env:NAME` or `file:/path`; empty takes the kind's usual name, or, with a `base_url`, sends no credential."""
    models: list[str] | None = None
    """Models it serves; left out, it is asked."""
    ca_bundle: str | None = None
    """PEM file of certificate authorities to trust."""
    client_cert: str | None = None
    """PEM file, or certificate and key separated by a comma."""
    verify_tls: bool | None = None
    """Check its certificate."""
    connect_timeout_s: Seconds | None = None
    """Seconds to connect."""
    first_byte_timeout_s: Seconds | None = None
    """Seconds to the reply's head."""
    idle_timeout_s: Seconds | None = None
    """Seconds of silence within a reply."""
    total_timeout_s: Seconds | None = None
    """Seconds for a whole attempt."""
    max_connections: Annotated[int, msgspec.Meta(ge=1)] | None = None
    """Connections at once."""


class Surroundings(msgspec.Struct, frozen=True):
    """What a provider's table does not say itself."""

    upstream: Upstream
    max_reply_bytes: int
    environment: Mapping[str, str]
    prices: Mapping[str, Price]


def decode_section(name: str, table: Mapping[str, Any]) -> ProviderSection:
    """The table `[providers.NAME]`.

    Raises:
        ConfigError: A key or value is not one that a provider has.
    """
    if not name or any(character in name for character in "/: "):
        raise ConfigError(f"a provider cannot be called `{name}`", hint="use a name without `/`, `:` and spaces")
    try:
        return msgspec.convert(dict(table), ProviderSection)
    except msgspec.ValidationError as error:
        known = ", ".join(ProviderSection.__struct_fields__)
        raise ConfigError(f"[providers.{name}]: {error}", hint=f"it may have {known}") from None


def build_provider(name: str, section: ProviderSection, origin: Origin, surroundings: Surroundings) -> OpenAICompatible:
    """The backend for a provider's table.

    Raises:
        ConfigError: Its kind, URL, key reference or TLS files are not usable.
    """
    row = ROWS.get(section.kind or (name if name in ROWS else "openai"))
    if row is None:
        raise ConfigError(f"[providers.{name}]: no kind is called `{section.kind}`", hint=f"there are {', '.join(sorted(ROWS))}")
    reference = section.api_key or _usual_key(row, section, surroundings.environment)
    url = (section.base_url or row.base_url or row.local_url).rstrip("/")
    try:
        address = Address.of(url)
    except ValueError as error:
        raise ConfigError(f"[providers.{name}]: {error}", hint='write `base_url = "https://host/v1"`') from None
    return OpenAICompatible(
        name,
        row=row,
        pool=_pool(name, address, section, surroundings),
        base_path=urlsplit(url).path.rstrip("/"),
        api_key=_api_key(name, reference, surroundings.environment),
        models=None if section.models is None else tuple(section.models),
        origin=origin,
        prices=_prices(name, row, address, surroundings),
        output_cap_field=row.output_cap_field if not section.base_url or _is_openai(address) else "max_tokens",
    )


def _is_openai(address: Address) -> bool:
    """OpenAI's own hosts, whose newest models refuse `max_tokens`. What others serve under its name knows that field at least."""
    return address.host == "openai.com" or address.host.endswith(".openai.com")


def _usual_key(row: Row, section: ProviderSection, environment: Mapping[str, str]) -> str:
    """The key under its usual name, for a table that leaves both key and address to its kind. No other host gets it."""
    present = (f"env:{name}" for name in row.key_names if environment.get(name))
    return "" if section.base_url else next(present, "")


def _api_key(name: str, reference: str, environment: Mapping[str, str]) -> str:
    try:
        key = resolve_reference(reference, environment) if reference else ""
    except ConfigError as error:
        raise ConfigError(f"[providers.{name}]: `api_key`: {error.message}", hint=error.hint) from None
    if not key.isascii() or not key.isprintable():
        raise ConfigError(f"[providers.{name}]: the API key has characters that no header can carry", hint="look at its source")
    return key


def _prices(name: str, row: Row, address: Address, surroundings: Surroundings) -> PriceBook:
    is_free = row.is_free or address.host in LOOPBACK
    return PriceBook(name, overrides=surroundings.prices, catalogue=row.catalogue, is_free=is_free)


def _pool(name: str, address: Address, section: ProviderSection, surroundings: Surroundings) -> Pool:
    usual = surroundings.upstream
    tls = None
    if address.is_tls:
        try:
            tls = client_context(
                verify=usual.verify_tls if section.verify_tls is None else section.verify_tls,
                ca_bundle=usual.ca_bundle if section.ca_bundle is None else section.ca_bundle,
                client_cert=usual.client_cert if section.client_cert is None else section.client_cert,
            )
        except OSError as error:  # ssl.SSLError is one
            raise ConfigError(f"[providers.{name}]: {error}", hint="look at `ca_bundle` and `client_cert`") from None
    timeouts = Timeouts(
        section.connect_timeout_s or usual.connect_timeout_s,
        section.first_byte_timeout_s or usual.first_byte_timeout_s,
        section.idle_timeout_s or usual.idle_timeout_s,
        section.total_timeout_s or usual.total_timeout_s,
    )
    return Pool(
        address,
        timeouts=timeouts,
        max_connections=section.max_connections or usual.max_connections,
        max_body_bytes=surroundings.max_reply_bytes,
        tls=tls,
    )
