"""Any provider that speaks OpenAI's wire: OpenAI itself, the rows of `rows.py`, and whatever a `base_url` points at."""

from __future__ import annotations

from collections.abc import Awaitable, Mapping, Sequence

import msgspec

from aldgate.core.calls import Attempt
from aldgate.core.principals import Operation, OwnCredential
from aldgate.core.routes import Deployment, Origin, Source
from aldgate.dialects.rerank.dialect import JINA
from aldgate.ports import UpstreamDialect
from aldgate.providers.listing import Listed
from aldgate.providers.offer import Offer
from aldgate.providers.prices import PriceBook
from aldgate.providers.wire import Wire
from aldgate.upstream.pool import Pool
from aldgate.upstream.reply import Reply

_PATHS: dict[str, dict[Operation, str]] = {
    "openai": {"chat": "/chat/completions", "complete": "/completions", "embed": "/embeddings", "moderate": "/moderations"},
    "responses": {"chat": "/responses"},
    "responses-compact": {"chat": "/responses/compact"},
    "jina": {"rerank": "/rerank"},
}
_ACCEPT = "application/json, text/event-stream"
_MAX_LISTED = 20_000


class _Models(msgspec.Struct):
    data: list[Listed]


_models = msgspec.json.Decoder(_Models | list[Listed])


class OpenAICompatible:
    """Implements `ports.Backend`; see the attributes there.

    Args:
        name: What the catalogue calls this provider.
        pool: Connections to its origin.
        base_path: Path of the base URL, without a slash at the end.
        api_key: Sent as a bearer token; empty sends none.
        models: The operator's list; None asks the provider.
        origin: Where this provider was configured.
        prices: Prices of its models.
        dialects: OpenAI's wires as this provider speaks them, the one that others are translated to first.
    """

    def __init__(
        self,
        name: str,
        *,
        pool: Pool,
        base_path: str,
        api_key: str,
        models: tuple[str, ...] | None,
        origin: Origin,
        prices: PriceBook,
        dialects: Sequence[UpstreamDialect],
    ) -> None:
        self.name = name
        self.pools: Sequence[Pool] = (pool,)
        self._pool = pool
        self._offer = Offer(name, models, origin, prices)
        self.dialects: Mapping[str, UpstreamDialect] = {dialect.name: dialect for dialect in (*dialects, JINA)}
        self.operations: frozenset[Operation] = frozenset(operation for name in self.dialects for operation in _PATHS[name])
        self._wire = Wire(name, pool, base_path, dialects[0], api_key)
        self.has_credential = self._wire.has_credential
        self._heads = {
            name: {operation: self._wire.head(path, _ACCEPT) for operation, path in _PATHS[name].items()}
            for name in self.dialects
        }

    def start(self, attempt: Attempt) -> Awaitable[Reply]:
        """Send the attempt; see `ports.Backend`."""
        own = attempt.own
        if own is not None:
            head = self._wire.head(_PATHS[attempt.dialect][attempt.operation], _ACCEPT, own)
            return self._wire.send(head, attempt.body, own.id)
        return self._wire.send(self._heads[attempt.dialect][attempt.operation], attempt.body)

    async def discover(self) -> Source:
        """The operator's list of models, or else the provider's own (`GET /models`); see `ports.Backend`."""
        if self._offer.models is not None:
            return self.unlisted()
        return self._offer.source(map(self._deployment, await self.list_models()), accepts_any=True)

    def unlisted(self) -> Source:
        """The provider while its list is not known: any name is taken as `provider/name`."""
        return self._offer.unlisted()

    async def check(self, own: OwnCredential) -> None:
        """See `gate.brought.TakesCredentials`."""
        await self.list_models(own)

    async def list_models(self, own: OwnCredential | None = None) -> list[Listed]:
        """What `GET /models` lists. Together answers with a bare array, everybody else with `{"data": [...]}`.

        Raises:
            UpstreamError: No answer, an error, or not such a list.
        """
        listed = await self._wire.models("/models", _models, own)
        return (listed.data if isinstance(listed, _Models) else listed)[:_MAX_LISTED]

    def _deployment(self, model: Listed) -> Deployment:
        return self._offer.deployment(model.id, model.facts(), price=model.price())

    async def aclose(self) -> None:
        """Close idle connections."""
        await self._pool.aclose()
