"""Azure OpenAI: OpenAI's wire at addresses of Azure's, by deployment or under `/openai/v1`.

https://learn.microsoft.com/azure/foundry/openai/reference and .../openai/api-version-lifecycle
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import lru_cache
from urllib.parse import quote

from aldgate.core.calls import Attempt
from aldgate.core.principals import Operation
from aldgate.core.routes import Deployment, Origin, Source
from aldgate.ports import UpstreamDialect
from aldgate.providers.azure.entra import Tokens
from aldgate.providers.offer import Offer
from aldgate.providers.prices import PriceBook
from aldgate.upstream.pool import Pool
from aldgate.upstream.reply import Reply

_PATHS: dict[tuple[str, Operation], str] = {
    ("openai", "chat"): "/chat/completions",
    ("openai", "complete"): "/completions",
    ("openai", "embed"): "/embeddings",
    ("responses", "chat"): "/responses",
    ("responses-compact", "chat"): "/responses/compact",
}


def path_of(dialect: str, operation: Operation, deployment: str, api_version: str) -> str:
    """The path of a call. With an API version the deployment stands in it, except for responses; without, in the body alone."""
    path = _PATHS[dialect, operation]
    if not api_version:
        return f"/openai/v1{path}"
    scope = "" if dialect == "responses" else f"/deployments/{quote(deployment, safe='')}"
    return f"/openai{scope}{path}?api-version={quote(api_version)}"


class Azure:
    """Implements `ports.Backend`; see there. Models are named as the resource's deployments are.

    Args:
        name: What the catalogue calls this provider.
        pool: Connections to the resource.
        base_path: Path before `/openai`, without a slash at the end.
        api_key: Sent as `api-key`; empty with tokens.
        tokens: Sent as bearer tokens.
        api_version: Empty calls the versionless API.
        deployments: The operator's list, with the model that each serves; None takes any name.
        dialects: What it speaks, the one that others are translated to first.
        origin: Where this provider was configured.
        prices: Prices of the models that deployments serve.
    """

    def __init__(
        self,
        name: str,
        *,
        pool: Pool,
        base_path: str,
        api_key: str,
        tokens: Tokens | None,
        api_version: str,
        deployments: Mapping[str, str] | None,
        dialects: Sequence[UpstreamDialect],
        origin: Origin,
        prices: PriceBook,
    ) -> None:
        self.name = name
        self.pools: Sequence[Pool] = (pool,) if tokens is None else (pool, tokens.pool)
        self.dialects: Mapping[str, UpstreamDialect] = {dialect.name: dialect for dialect in dialects}
        self.operations: frozenset[Operation] = frozenset(each for dialect in dialects for each in dialect.operations)
        self._pool = pool
        self._base_path = base_path
        self._tokens = tokens
        self._api_version = api_version
        self._deployments = deployments
        self._origin: Origin = origin
        self._prices = prices
        self._offer = Offer(name, deployments, origin, prices)
        credential = f"api-key: {api_key}\r\n" if api_key else ""
        self._common = (
            f"host: {pool.origin.host_header}\r\n{credential}accept-encoding: identity\r\n"
            "accept: application/json, text/event-stream\r\ncontent-type: application/json\r\n"
        )
        self._heads: Callable[[str, Operation, str], bytes] = lru_cache(maxsize=1024)(self._head)

    def _head(self, dialect: str, operation: Operation, deployment: str) -> bytes:
        path = path_of(dialect, operation, deployment, self._api_version)
        return f"POST {self._base_path}{path} HTTP/1.1\r\n{self._common}".encode("latin-1")

    def start(self, attempt: Attempt) -> Awaitable[Reply]:
        """Send the attempt; see `ports.Backend`."""
        head = self._heads(attempt.dialect, attempt.operation, attempt.deployment.model)
        if self._tokens is None:
            return self._pool.request(b"%bcontent-length: %d\r\n\r\n" % (head, len(attempt.body)), attempt.body)
        return self._start_with_token(self._tokens, head, attempt.body)

    async def _start_with_token(self, tokens: Tokens, head: bytes, body: bytes) -> Reply:
        token = tokens.ready() or await tokens.token()
        whole = b"%bauthorization: Bearer %b\r\ncontent-length: %d\r\n\r\n" % (head, token.encode(), len(body))
        reply = await self._pool.request(whole, body)
        if reply.status == 401:
            tokens.refused(token)
        return reply

    async def discover(self) -> Source:
        """The operator's deployments. Azure lists the models one could deploy, not what is deployed; see `ports.Backend`."""
        return self.unlisted()

    def unlisted(self) -> Source:
        """The operator's deployments; without any, whatever name is asked for is taken to be one."""
        deployments = tuple(
            Deployment(f"{self.name}/{each}", self.name, each, self._prices.price(model or each), self._origin)
            for each, model in (self._deployments or {}).items()
        )
        return self._offer.source(deployments, accepts_any=self._deployments is None)

    async def aclose(self) -> None:
        """Close idle connections."""
        for pool in self.pools:
            await pool.aclose()
