"""Cohere by its own API, v2: chat, embeddings and rerank (https://docs.cohere.com/reference)."""

from __future__ import annotations

from collections.abc import Awaitable, Mapping, Sequence
from typing import Any

import msgspec

from aldgate.core.calls import Attempt
from aldgate.core.errors import UpstreamInvalid
from aldgate.core.principals import Operation, OwnCredential
from aldgate.core.routes import UNKNOWN, Deployment, Facts, Origin, Source
from aldgate.dialects.cohere.dialect import Cohere
from aldgate.ports import UpstreamDialect
from aldgate.providers.natives import NATIVES
from aldgate.providers.prices import PriceBook
from aldgate.providers.section import LOOPBACK, ProviderSection, Surroundings, address_of, decode_section, key_of, pool_of
from aldgate.providers.wire import Wire
from aldgate.upstream.pool import Pool
from aldgate.upstream.reply import Reply

BASE_URL = "https://api.cohere.com"
_PATHS: dict[Operation, str] = {"chat": "/v2/chat", "embed": "/v2/embed", "rerank": "/v2/rerank"}
_ACCEPT = "text/event-stream, application/json"
_MODELS = "/v1/models?page_size=1000"
_FEATURES = {"tools": "tools", "tool_choice": "tools", "vision": "vision", "json_schema": "json_schema", "reasoning": "reasoning"}


class _Model(msgspec.Struct):
    name: str
    endpoints: list[str] = []
    context_length: int | float | None = None
    features: list[str] | None = None


class _Models(msgspec.Struct):
    models: list[_Model]


_models = msgspec.json.Decoder(_Models)


class CohereProvider:
    """Implements `ports.Backend`; see the attributes there.

    Args:
        name: What the catalogue calls this provider.
        wire: Its connections.
        dialect: Cohere's wire.
        models: The operator's list; None asks Cohere.
        origin: Where this provider was configured.
        prices: Prices of its models.
    """

    operations: frozenset[Operation] = frozenset(_PATHS)

    def __init__(
        self, name: str, *, wire: Wire, dialect: Cohere, models: tuple[str, ...] | None, origin: Origin, prices: PriceBook
    ) -> None:
        self.name = name
        self.pools: Sequence[Pool] = (wire.pool,)
        self.dialects: Mapping[str, UpstreamDialect] = {dialect.name: dialect}
        self._wire = wire
        self._models = models
        self._origin: Origin = origin
        self._prices = prices
        self.has_credential = wire.has_credential
        self._heads = {operation: wire.head(path, _ACCEPT) for operation, path in _PATHS.items()}

    def start(self, attempt: Attempt) -> Awaitable[Reply]:
        """Send the attempt; see `ports.Backend`."""
        own = attempt.own
        if own is not None:
            return self._wire.send(self._wire.head(_PATHS[attempt.operation], _ACCEPT, own), attempt.body, own.id)
        return self._wire.send(self._heads[attempt.operation], attempt.body)

    async def check(self, own: OwnCredential) -> None:
        """See `gate.brought.TakesCredentials`."""
        await self._wire.get(_MODELS, own)

    async def discover(self) -> Source:
        """The operator's list of models, or else Cohere's own, with what each is for."""
        if self._models is not None:
            return self.unlisted()
        try:
            listed = _models.decode(await self._wire.get(_MODELS)).models
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            raise UpstreamInvalid(f"What `{self.name}` answers to GET /v1/models is no list of models.") from None
        deployments = tuple(
            self._deployment(model.name, _facts(model), operations)
            for model in listed
            if (operations := self.operations & frozenset(model.endpoints)) or not model.endpoints
        )
        return Source(self.name, deployments, self._origin, accepts_any=True, unlisted_price=self._prices.unlisted())

    def unlisted(self) -> Source:
        """The provider while its list is not known: any name is taken as `provider/name`."""
        deployments = tuple(self._deployment(model) for model in dict.fromkeys(self._models or ()))
        is_open = self._models is None
        return Source(self.name, deployments, self._origin, accepts_any=is_open, unlisted_price=self._prices.unlisted())

    def _deployment(self, model: str, facts: Facts = UNKNOWN, operations: frozenset[Operation] = frozenset()) -> Deployment:
        return Deployment(
            id=f"{self.name}/{model}",
            backend=self.name,
            model=model,
            price=self._prices.price(model),
            origin=self._origin,
            operations=operations or None,
            facts=self._prices.facts(model, facts),
        )

    async def aclose(self) -> None:
        """Close idle connections."""
        await self._wire.pool.aclose()


def _facts(model: _Model) -> Facts:
    window = int(model.context_length) if model.context_length else None
    can = frozenset(_FEATURES[feature] for feature in model.features or () if feature in _FEATURES)
    return Facts(context_window=window, can=can)


def build(name: str, table: Mapping[str, Any], origin: Origin, surroundings: Surroundings) -> CohereProvider:
    """See `section.Build`."""
    section = decode_section(name, table, ProviderSection)
    address, base_path = address_of(name, section.base_url or BASE_URL)
    api_key = key_of(name, section, NATIVES["cohere"].key_names, surroundings)
    headers = {"authorization": f"Bearer {api_key}"} if api_key else {}
    dialect = Cohere()
    return CohereProvider(
        name,
        wire=Wire(pool_of(name, address, section, surroundings), base_path, headers, dialect),
        dialect=dialect,
        models=None if section.models is None else tuple(section.models),
        origin=origin,
        prices=PriceBook("cohere", is_free=address.host in LOOPBACK),
    )
