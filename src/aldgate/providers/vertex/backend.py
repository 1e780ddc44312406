"""Google's Vertex AI: Gemini's models, and Anthropic's (https://cloud.google.com/vertex-ai/generative-ai/docs)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from urllib.parse import quote

import msgspec

from aldgate.core.calls import Attempt
from aldgate.core.principals import Operation
from aldgate.core.routes import Deployment, Origin, Source
from aldgate.ports import UpstreamDialect
from aldgate.providers.prices import PriceBook
from aldgate.providers.vertex.tokens import Credential
from aldgate.upstream.pool import Pool
from aldgate.upstream.reply import Reply


class Publisher(msgspec.Struct, frozen=True):
    """Whose models they are, in which dialect they are asked, and by which verbs."""

    name: str
    dialect: UpstreamDialect
    whole: str
    stream: str


class Vertex:
    """Implements `ports.Backend`; see the attributes there.

    Args:
        name: What the catalogue calls this provider.
        publisher: Whose models.
        pools: Connections to its origin, and to where tokens are granted, if they are.
        path: Up to the publishers: `/v1/projects/{project}/locations/{location}`.
        credential: Proves who calls.
        models: The operator's list; None takes any name.
        origin: Where this provider was configured.
        prices: Prices of its models.
    """

    operations: frozenset[Operation] = frozenset({"chat"})

    def __init__(
        self,
        name: str,
        *,
        publisher: Publisher,
        pools: Sequence[Pool],
        path: str,
        credential: Credential,
        models: tuple[str, ...] | None,
        origin: Origin,
        prices: PriceBook,
    ) -> None:
        self.name = name
        self.pools = pools
        self.dialects: Mapping[str, UpstreamDialect] = {publisher.dialect.name: publisher.dialect}
        self._pool = pools[0]
        self._publisher = publisher
        self._path = f"{path}/publishers/{publisher.name}/models"
        self._credential = credential
        self._models = models
        self._origin: Origin = origin
        self._prices = prices
        self._common = (
            f"host: {self._pool.origin.host_header}\r\naccept-encoding: identity\r\ncontent-type: application/json\r\n"
        ).encode("latin-1")

    async def start(self, attempt: Attempt) -> Reply:
        """Send the attempt; see `ports.Backend`. A credential that is refused is not used again."""
        proof = self._credential.current() or await self._credential.renewed()
        verb = self._publisher.stream if attempt.stream else self._publisher.whole
        target = f"POST {self._path}/{quote(attempt.deployment.model, safe='@')}:{verb} HTTP/1.1\r\n"
        length = b"content-length: %d\r\n\r\n" % len(attempt.body)
        reply = await self._pool.request(b"".join((target.encode(), self._common, proof, length)), attempt.body)
        if reply.status == 401:
            self._credential.forget()
        return reply

    async def discover(self) -> Source:
        """The operator's list; Vertex has no list of what a project may call."""
        return self.unlisted()

    def unlisted(self) -> Source:
        """The operator's list, or any name as `provider/name`."""
        once = dict.fromkeys(self._models or ())
        deployments = tuple(
            Deployment(f"{self.name}/{model}", self.name, model, self._prices.price(model), self._origin) for model in once
        )
        is_open = self._models is None
        return Source(self.name, deployments, self._origin, accepts_any=is_open, unlisted_price=self._prices.unlisted())

    async def aclose(self) -> None:
        """Close idle connections."""
        for pool in self.pools:
            await pool.aclose()
