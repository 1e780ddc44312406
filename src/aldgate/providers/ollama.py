"""Ollama by its own API, which says more than its OpenAI form: thinking, capabilities, contexts that are not cut in silence.

Wire: https://docs.ollama.com/api. Callers of OpenAI's API still reach `/v1` with their own bytes.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Mapping, Sequence
from typing import Annotated, Any

import msgspec

from aldgate.config.errors import ConfigError
from aldgate.core.calls import Attempt
from aldgate.core.errors import GatewayError
from aldgate.core.principals import Operation
from aldgate.core.routes import UNKNOWN, Deployment, Facts, Origin, Source
from aldgate.dialects.ollama.dialect import Ollama
from aldgate.dialects.ollama.requests import bare
from aldgate.dialects.openai.dialect import OpenAI
from aldgate.ports import UpstreamDialect
from aldgate.providers.natives import NATIVES
from aldgate.providers.offer import Offer
from aldgate.providers.prices import PriceBook
from aldgate.providers.rows import OLDER_CAP
from aldgate.providers.section import ProviderSection, Surroundings, address_of, decode_section, key_of, pool_of
from aldgate.providers.wire import Wire
from aldgate.upstream.pool import Pool
from aldgate.upstream.reply import Reply

_PATHS: dict[tuple[str, Operation], str] = {
    ("ollama", "chat"): "/api/chat",
    ("ollama", "embed"): "/api/embed",
    ("openai", "chat"): "/v1/chat/completions",
    ("openai", "complete"): "/v1/completions",
    ("openai", "embed"): "/v1/embeddings",
}
_ACCEPT = {"ollama": "application/x-ndjson, application/json", "openai": "application/json, text/event-stream"}
_GENERATES: frozenset[Operation] = frozenset({"chat", "complete", "embed"})
_CAPABILITIES = {"tools": "tools", "vision": "vision", "thinking": "reasoning"}
_QUESTIONS_AT_ONCE = 4
_PORT = "11434"
_ADDRESS = re.compile(r"(?:(https?)://)?(\[[^]]*\]|[^:/]*)(?::(\d+))?(/.*)?")


class OllamaSection(ProviderSection, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A server of Ollama's. `base_url` may end with `/v1` or not."""

    num_ctx: Annotated[int, msgspec.Meta(ge=1)] | None = None
    """Tokens of context that translated chats ask for. Left out, the server's own setting holds."""


class _Listed(msgspec.Struct):
    name: str
    digest: str = ""


class _Tags(msgspec.Struct):
    models: list[_Listed]


class _Shown(msgspec.Struct):
    capabilities: list[str] | None = None
    model_info: dict[str, Any] = {}


_tags = msgspec.json.Decoder(_Tags)
_shown = msgspec.json.Decoder(_Shown)

Known = tuple[Facts, frozenset[Operation] | None]


class OllamaServer:
    """Implements `ports.Backend`; see the attributes there.

    Args:
        name: What the catalogue calls this provider.
        wire: Its connections.
        dialect: Ollama's wire, as translated calls are to speak it.
        models: The operator's list; None asks the server.
        origin: Where this provider was configured.
        prices: Prices of its models.
    """

    operations: frozenset[Operation] = _GENERATES

    def __init__(
        self, name: str, *, wire: Wire, dialect: Ollama, models: tuple[str, ...] | None, origin: Origin, prices: PriceBook
    ) -> None:
        self.name = name
        self.pools: Sequence[Pool] = (wire.pool,)
        self.dialects: Mapping[str, UpstreamDialect] = {
            dialect.name: dialect,
            "openai": OpenAI(quirks=(OLDER_CAP,)),
        }
        self._wire = wire
        self._offer = Offer(name, models, origin, prices)
        self._known: dict[tuple[str, str], Known] = {}
        self._heads = {key: wire.head(path, _ACCEPT[key[0]]) for key, path in _PATHS.items()}

    def start(self, attempt: Attempt) -> Awaitable[Reply]:
        """Send the attempt; see `ports.Backend`."""
        return self._wire.send(self._heads[attempt.dialect, attempt.operation], attempt.body)

    async def discover(self) -> Source:
        """The operator's list of models, or else the server's (`/api/tags`), with what `/api/show` says they can do."""
        if self._offer.models is not None:
            return self.unlisted()
        listed = (await self._wire.models("/api/tags", _tags)).models
        turns = asyncio.Semaphore(_QUESTIONS_AT_ONCE)
        known = await asyncio.gather(*(self._know(model, turns) for model in listed))
        deployments = (self._deployment(model.name, *each) for model, each in zip(listed, known, strict=True))
        return self._offer.source(deployments, accepts_any=True)

    def unlisted(self) -> Source:
        """The provider while its list is not known: any name is taken as `provider/name`."""
        return self._offer.source(map(self._deployment, self._offer.models or ()), accepts_any=self._offer.models is None)

    async def _know(self, model: _Listed, turns: asyncio.Semaphore) -> Known:
        """What a model can do. It is asked once for each version; one that cannot be shown is still listed."""
        key = (model.name, model.digest)
        if key not in self._known:
            async with turns:
                try:
                    body = await self._wire.post("/api/show", msgspec.json.encode({"model": model.name}))
                    self._known[key] = known_of(_shown.decode(body))
                except (GatewayError, msgspec.DecodeError, UnicodeDecodeError):
                    return UNKNOWN, None
        return self._known[key]

    def _deployment(self, model: str, facts: Facts = UNKNOWN, operations: frozenset[Operation] | None = None) -> Deployment:
        return self._offer.deployment(model, facts, operations, also=(bare(model),) if bare(model) != model else ())

    async def aclose(self) -> None:
        """Close idle connections."""
        await self._wire.pool.aclose()


def known_of(shown: _Shown) -> Known:
    """Facts and operations. Models that generate embed, too; those that only embed do nothing else."""
    windows = [value for key, value in shown.model_info.items() if key.endswith(".context_length") and isinstance(value, int)]
    window = windows[0] if windows else None
    if not shown.capabilities:
        return Facts(context_window=window), None
    can = {_CAPABILITIES[each] for each in shown.capabilities if each in _CAPABILITIES}
    if "completion" in shown.capabilities:
        cannot = set(_CAPABILITIES.values()) - can
        return Facts(context_window=window, can=frozenset({*can, "json_schema"}), cannot=frozenset(cannot)), _GENERATES
    return Facts(context_window=window), frozenset({"embed"}) if "embedding" in shown.capabilities else None


def address_in(environment: Mapping[str, str]) -> str | None:
    """The address that the environment names, in any of the ways that Ollama and its users have for it.

    Raises:
        ConfigError: Two names disagree.
    """
    native = NATIVES["ollama"]
    found = {name: _url(environment[name]) for name in native.address_names if environment.get(name, "").strip()}
    if len(set(found.values())) > 1:
        names = " and ".join(f"`{name}`" for name in found)
        raise ConfigError(f"{names} name different servers of Ollama's", hint="set one of them, or write [providers.ollama]")
    return next(iter(found.values()), None)


def _url(said: str) -> str:
    """`host`, `host:port` or a URL; where a server is told to listen everywhere, it is called on this machine."""
    found = _ADDRESS.fullmatch(said.strip().rstrip("/").removesuffix("/v1"))
    if found is None:
        return said.strip()
    scheme, host, port, path = found.groups()
    port = port or (None if scheme else _PORT)
    host = "127.0.0.1" if host in ("", "0.0.0.0", "[::]") else host
    return f"{scheme or 'http'}://{host}{f':{port}' if port else ''}{path or ''}"


def build(name: str, table: Mapping[str, Any], origin: Origin, surroundings: Surroundings) -> OllamaServer:
    """See `section.Build`."""
    section = decode_section(name, table, OllamaSection)
    url = section.base_url or address_in(surroundings.environment) or NATIVES["ollama"].local_url
    address, base_path = address_of(name, url.rstrip("/").removesuffix("/v1"))
    dialect = Ollama(section.num_ctx)
    api_key = key_of(name, section, NATIVES["ollama"].key_names, surroundings)
    wire = Wire(name, pool_of(name, address, section, surroundings), base_path, dialect, api_key)
    return OllamaServer(
        name,
        wire=wire,
        dialect=dialect,
        models=None if section.models is None else tuple(section.models),
        origin=origin,
        prices=PriceBook("", is_free=True),
    )
