"""One `[providers.NAME]` table of the configuration, and the backend it makes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, Any, Literal, Protocol, TypeVar
from urllib.parse import urlsplit

import msgspec

from aldgate.config.errors import ConfigError
from aldgate.config.secret import resolve_reference
from aldgate.config.settings import Upstream
from aldgate.core.routes import Origin as RouteOrigin
from aldgate.core.routes import Source
from aldgate.dialects.openai.dialect import OpenAI
from aldgate.dialects.responses.compaction import COMPACTION
from aldgate.dialects.responses.dialect import RESPONSES
from aldgate.ports import Backend, UpstreamDialect
from aldgate.providers.natives import NATIVES
from aldgate.providers.openai import OpenAICompatible
from aldgate.providers.prices import PriceBook
from aldgate.providers.rows import ROWS, Row
from aldgate.providers.wire import LOOPBACK
from aldgate.registry import Registry
from aldgate.upstream.pool import Origin as Address
from aldgate.upstream.pool import Pool, Timeouts
from aldgate.upstream.tls import client_context

Seconds = Annotated[float, msgspec.Meta(gt=0)]


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
    responses: Literal["yes", "no", "only"] | None = None
    """Whether it answers OpenAI's Responses API, so that such calls pass as they are; `only`: its models are to be had no other
    way. Left out, known for OpenAI and xAI alone."""
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


class Provider(Backend, Protocol):
    """A backend that is reached over connections."""

    pools: Sequence[Pool]
    """Its connections, for whoever ends what waits too long in them."""

    def unlisted(self) -> Source:
        """The provider while its models are not known."""
        ...


Build = Callable[[str, Mapping[str, Any], RouteOrigin, Surroundings], Provider]
"""Makes a provider of its name, its table, where that stands, and the rest of the configuration.

It raises `ConfigError` where a key or value cannot be used.
"""

BUILDERS: Registry[Build] = Registry("provider kind", {kind: native.build for kind, native in NATIVES.items()})

S = TypeVar("S", bound=ProviderSection)


def decode_section(name: str, table: Mapping[str, Any], kind: type[S]) -> S:
    """The table `[providers.NAME]`.

    Raises:
        ConfigError: A key or value is not one that a provider has.
    """
    if not name or any(character in name for character in "/: "):
        raise ConfigError(f"a provider cannot be called `{name}`", hint="use a name without `/`, `:` and spaces")
    try:
        return msgspec.convert(dict(table), kind)
    except msgspec.ValidationError as error:
        known = ", ".join(kind.__struct_fields__)
        raise ConfigError(f"[providers.{name}]: {error}", hint=f"it may have {known}") from None


def build_provider(name: str, table: Mapping[str, Any], origin: RouteOrigin, surroundings: Surroundings) -> Provider:
    """The backend for a provider's table. Its `kind` (or its name, if that is one) says which wire it speaks.

    Raises:
        ConfigError: Its kind, URL, key reference or TLS files are not usable.
    """
    kind = table.get("kind") or name
    build = BUILDERS.load(kind) if kind in NATIVES else build_compatible
    return build(name, table, origin, surroundings)


def build_compatible(name: str, table: Mapping[str, Any], origin: RouteOrigin, surroundings: Surroundings) -> OpenAICompatible:
    """A provider that speaks OpenAI's wire.

    Raises:
        ConfigError: As `build_provider`.
    """
    section = decode_section(name, table, ProviderSection)
    row = ROWS.get(section.kind or (name if name in ROWS else "openai"))
    if row is None:
        known = ", ".join(sorted({*ROWS, *NATIVES}))
        raise ConfigError(f"[providers.{name}]: no kind is called `{section.kind}`", hint=f"there are {known}")
    address, base_path = address_of(name, section.base_url or row.base_url or row.local_url)
    is_free = row.is_free or address.host in LOOPBACK
    is_own = not section.base_url or _is_openai(address)
    cap_field = row.output_cap_field if is_own else "max_tokens"
    quirks = row.quirks if is_own or row is not ROWS["openai"] else ()  # what others serve under its name has none of them
    chat = OpenAI(cap_field, row.stream_usage, quirks, tells_bill=row.tells_bill, has_own_words=row.has_own_words)
    return OpenAICompatible(
        name,
        pool=pool_of(name, address, section, surroundings),
        base_path=base_path,
        api_key=key_of(name, section, row.key_names, surroundings),
        models=None if section.models is None else tuple(section.models),
        origin=origin,
        prices=PriceBook(row.catalogue, is_free=is_free),
        dialects=_dialects(section, row, chat, is_own=is_own),
    )


def _dialects(section: ProviderSection, row: Row, chat: OpenAI, *, is_own: bool) -> tuple[UpstreamDialect, ...]:
    """What the provider speaks, first what others are translated to. A kind says it of its own host alone."""
    wanted = section.responses or ("yes" if row.responses and is_own else "no")
    if wanted == "no":
        return (chat,)
    native = (RESPONSES, COMPACTION) if row.compacts and is_own else (RESPONSES,)
    return native if wanted == "only" else (chat, *native)


def address_of(name: str, url: str) -> tuple[Address, str]:
    """Where a base URL leads: its origin, and its path without a slash at the end.

    Raises:
        ConfigError: It is no HTTP URL.
    """
    try:
        return Address.of(url.rstrip("/")), urlsplit(url).path.rstrip("/")
    except ValueError as error:
        raise ConfigError(f"[providers.{name}]: {error}", hint='write `base_url = "https://host/v1"`') from None


def _is_openai(address: Address) -> bool:
    """OpenAI's own hosts, whose newest models refuse `max_tokens`. What others serve under its name knows that field at least."""
    return address.host == "openai.com" or address.host.endswith(".openai.com")


def key_of(name: str, section: ProviderSection, key_names: Sequence[str], surroundings: Surroundings) -> str:
    """The API key that the table refers to; where it leaves key and address to its kind, the one under a usual name.

    No other host gets that one.

    Raises:
        ConfigError: The reference leads nowhere, or to what no header can carry.
    """
    environment = surroundings.environment
    present = (f"env:{usual}" for usual in key_names if environment.get(usual))
    reference = section.api_key or ("" if section.base_url else next(present, ""))
    try:
        key = resolve_reference(reference, environment) if reference else ""
    except ConfigError as error:
        raise ConfigError(f"[providers.{name}]: `api_key`: {error.message}", hint=error.hint) from None
    if not key.isascii() or not key.isprintable():
        raise ConfigError(f"[providers.{name}]: the API key has characters that no header can carry", hint="look at its source")
    return key


def pool_of(name: str, address: Address, section: ProviderSection, surroundings: Surroundings) -> Pool:
    """Connections to a provider, with the timeouts and trust of its table, else of `[upstream]`.

    Raises:
        ConfigError: A TLS file cannot be used.
    """
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
