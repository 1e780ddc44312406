"""Any provider that speaks OpenAI's wire: OpenAI itself, the rows of `rows.py`, and whatever a `base_url` points at."""

from __future__ import annotations

from collections.abc import Awaitable, Iterable, Mapping, Sequence
from typing import Any

import msgspec

from aldgate.core.calls import Attempt
from aldgate.core.errors import UpstreamInvalid
from aldgate.core.principals import Operation, OwnCredential
from aldgate.core.routes import Deployment, Origin, Source
from aldgate.dialects.openai.errors import read_error
from aldgate.dialects.rerank.dialect import JINA
from aldgate.ports import UpstreamDialect
from aldgate.providers.listing import Listed
from aldgate.providers.prices import PriceBook
from aldgate.providers.wire import LOOPBACK
from aldgate.upstream.pool import Pool
from aldgate.upstream.reply import Reply

_PATHS: dict[str, dict[Operation, str]] = {
    "openai": {"chat": "/chat/completions", "complete": "/completions", "embed": "/embeddings", "moderate": "/moderations"},
    "responses": {"chat": "/responses"},
    "responses-compact": {"chat": "/responses/compact"},
    "jina": {"rerank": "/rerank"},
}
_MAX_LISTED = 20_000


class _Models(msgspec.Struct):
    data: list[Listed]


_models = msgspec.json.Decoder(_Models | list[Any])


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
        self.dialects: Mapping[str, UpstreamDialect] = {dialect.name: dialect for dialect in (*dialects, JINA)}
        self.operations: frozenset[Operation] = frozenset(operation for name in self.dialects for operation in _PATHS[name])
        self._models = models
        self._origin: Origin = origin
        self._prices = prices
        self.has_credential = bool(api_key) or pool.origin.host in LOOPBACK
        self._base_path = base_path
        self._api_key = api_key
        self._heads = {
            name: {operation: self._head(path, api_key) for operation, path in _PATHS[name].items()} for name in self.dialects
        }

    def _common(self, api_key: str) -> str:
        credential = f"authorization: Bearer {api_key}\r\n" if api_key else ""
        return f"host: {self._pool.origin.host_header}\r\n{credential}accept-encoding: identity\r\n"

    def _head(self, path: str, api_key: str) -> bytes:
        accept = "accept: application/json, text/event-stream\r\n"
        content = "content-type: application/json\r\ncontent-length: "
        return f"POST {self._base_path}{path} HTTP/1.1\r\n{self._common(api_key)}{accept}{content}".encode("latin-1")

    def start(self, attempt: Attempt) -> Awaitable[Reply]:
        """Send the attempt; see `ports.Backend`."""
        body, own = attempt.body, attempt.own
        if own is not None:
            head = self._head(_PATHS[attempt.dialect][attempt.operation], own.secret)
            return self._pool.request(b"%s%d\r\n\r\n" % (head, len(body)), body, own.id)
        return self._pool.request(b"%s%d\r\n\r\n" % (self._heads[attempt.dialect][attempt.operation], len(body)), body)

    async def discover(self) -> Source:
        """The operator's list of models, or else the provider's own (`GET /models`); see `ports.Backend`."""
        if self._models is not None:
            return self.unlisted()
        return self._source(await self.list_models(), accepts_any=True)

    def unlisted(self) -> Source:
        """The provider while its list is not known: any name is taken as `provider/name`."""
        return self._source(map(Listed, self._models or ()), accepts_any=self._models is None)

    async def check(self, own: OwnCredential) -> None:
        """See `gate.brought.TakesCredentials`."""
        await self.list_models(own)

    async def list_models(self, own: OwnCredential | None = None) -> list[Listed]:
        """What `GET /models` lists. Together answers with a bare array, everybody else with `{"data": [...]}`.

        Raises:
            UpstreamError: No answer, an error, or not such a list.
        """
        common = self._common(self._api_key if own is None else own.secret)
        head = f"GET {self._base_path}/models HTTP/1.1\r\n{common}accept: application/json\r\n\r\n".encode("latin-1")
        reply = await self._pool.request(head, b"", own and own.id)
        try:
            body = await reply.read()
        finally:
            reply.close()
        if reply.status != 200:
            raise read_error(reply.status, body, None)
        try:
            listed = _models.decode(body)
            models = listed.data if isinstance(listed, _Models) else msgspec.convert(listed, list[Listed])
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            raise UpstreamInvalid(f"What `{self.name}` answers to GET /models is no list of models.") from None
        return models[:_MAX_LISTED]

    def _source(self, models: Iterable[Listed], *, accepts_any: bool) -> Source:
        deployments = tuple(map(self._deployment, {model.id: model for model in models}.values()))
        unlisted_price = self._prices.unlisted()
        return Source(self.name, deployments, self._origin, accepts_any=accepts_any, unlisted_price=unlisted_price)

    def _deployment(self, model: Listed) -> Deployment:
        return Deployment(
            id=f"{self.name}/{model.id}",
            backend=self.name,
            model=model.id,
            price=self._prices.price(model.id) or model.price(),
            origin=self._origin,
            facts=self._prices.facts(model.id, model.facts()),
        )

    async def aclose(self) -> None:
        """Close idle connections."""
        await self._pool.aclose()
