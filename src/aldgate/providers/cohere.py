"""Cohere by its own API, v2: chat, embeddings and rerank (https://docs.cohere.com/reference)."""

from __future__ import annotations

from collections.abc import Awaitable, Mapping, Sequence
from typing import Any

import msgspec

from aldgate.core.calls import Attempt
from aldgate.core.principals import Operation, OwnCredential
from aldgate.core.routes import Facts, Origin, Source
from aldgate.dialects.cohere.dialect import Cohere
from aldgate.ports import UpstreamDialect
from aldgate.providers.natives import NATIVES
from aldgate.providers.offer import Offer
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
        self._offer = Offer(name, models, origin, prices)
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
        await self._wire.models(_MODELS, _models, own)

    async def discover(self) -> Source:
        """The operator's list of models, or else Cohere's own, with what each is for."""
        if self._offer.models is not None:
            return self.unlisted()
        listed = (await self._wire.models(_MODELS, _models)).models
        deployments = (
            self._offer.deployment(model.name, _facts(model), operations or None)
            for model in listed
            if (operations := self.operations & frozenset(model.endpoints)) or not model.endpoints
        )
        return self._offer.source(deployments, accepts_any=True)

    def unlisted(self) -> Source:
        """The provider while its list is not known: any name is taken as `provider/name`."""
        return self._offer.unlisted()

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
    dialect = Cohere()
    return CohereProvider(
        name,
        wire=Wire(name, pool_of(name, address, section, surroundings), base_path, dialect, api_key),
        dialect=dialect,
        models=None if section.models is None else tuple(section.models),
        origin=origin,
        prices=PriceBook("cohere", is_free=address.host in LOOPBACK),
    )
