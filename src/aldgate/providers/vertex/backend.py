"""Google's Vertex AI: Gemini's models, and Anthropic's (https://cloud.google.com/vertex-ai/generative-ai/docs)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from urllib.parse import quote, urlencode

import msgspec

from aldgate.core.calls import Attempt
from aldgate.core.errors import UpstreamInvalid
from aldgate.core.principals import Operation
from aldgate.core.routes import Deployment, Origin, Source
from aldgate.dialects.gemini.errors import read_error
from aldgate.ports import Exchange, UpstreamDialect
from aldgate.providers.offer import Offer
from aldgate.providers.prices import PriceBook
from aldgate.providers.vertex.embedding import embed
from aldgate.providers.vertex.models import Page
from aldgate.providers.vertex.tokens import Credential
from aldgate.upstream.pool import Pool
from aldgate.upstream.reply import Reply

_PAGE = 100
_MOST_PAGES = 50
_page = msgspec.json.Decoder(Page)


class Publisher(msgspec.Struct, frozen=True):
    """Whose models they are, in which dialect they are asked, and by which verbs."""

    name: str
    dialects: tuple[UpstreamDialect, ...]
    whole: str
    stream: str


class Vertex:
    """Implements `ports.Backend`; see the attributes there.

    Args:
        name: What the catalogue calls this provider.
        publisher: Whose models.
        pools: Connections to its origin, and to where tokens are granted, if they are.
        path: Up to the publishers: `/v1/projects/{project}/locations/{location}`.
        list_path: The same where models are listed; None where the credential opens no list.
        quota: Header line that names the project for whoever has several.
        credential: Proves who calls.
        models: The operator's list; None takes any name.
        origin: Where this provider was configured.
        prices: Prices of its models.
    """

    def __init__(
        self,
        name: str,
        *,
        publisher: Publisher,
        pools: Sequence[Pool],
        path: str,
        list_path: str | None,
        quota: str,
        credential: Credential,
        models: tuple[str, ...] | None,
        origin: Origin,
        prices: PriceBook,
    ) -> None:
        self.name = name
        self.pools = pools
        self.dialects: Mapping[str, UpstreamDialect] = {dialect.name: dialect for dialect in publisher.dialects}
        self.operations: frozenset[Operation] = frozenset().union(*(dialect.operations for dialect in publisher.dialects))
        self._pool = pools[0]
        self._publisher = publisher
        self._path = f"{path}/publishers/{publisher.name}/models"
        self._list_path = list_path and f"{list_path}/publishers/{publisher.name}/models"
        self._quota = quota.encode("latin-1")
        self._credential = credential
        self._offer = Offer(name, models, origin, prices)
        self._common = (
            f"host: {self._pool.origin.host_header}\r\naccept-encoding: identity\r\ncontent-type: application/json\r\n"
        ).encode("latin-1")

    async def start(self, attempt: Attempt) -> Exchange:
        """Send the attempt; see `ports.Backend`. A credential that is refused is not used again."""
        path = f"{self._path}/{quote(attempt.deployment.model, safe='@')}"
        if attempt.operation == "embed":
            return await embed(attempt.deployment.model, attempt.body, partial(self._ask_for, path))
        verb = self._publisher.stream if attempt.stream else self._publisher.whole
        return await self._ask_for(path, verb, attempt.body)

    async def _ask_for(self, path: str, verb: str, body: bytes) -> Reply:
        return await self._ask("POST", f"{path}:{verb}", body)

    async def _ask(self, method: str, target: str, body: bytes, more: bytes = b"") -> Reply:
        proof = self._credential.current() or await self._credential.renewed()
        length = b"content-length: %d\r\n\r\n" % len(body) if body else b"\r\n"
        line = f"{method} {target} HTTP/1.1\r\n".encode()
        reply = await self._pool.request(b"".join((line, self._common, proof, more, length)), body)
        if reply.status == 401:
            self._credential.forget()
        return reply

    async def discover(self) -> Source:
        """The operator's list, or what the publisher lists, beside which any name is taken: lists differ from place to place."""
        if self._offer.models is not None or self._list_path is None:
            return self.unlisted()
        found: dict[str, Deployment] = {}
        token = ""
        for _ in range(_MOST_PAGES):
            page = await self._page(token)
            for model in page.models():
                found[model.id] = self._offer.deployment(model.id, operations=model.operations)
            token = page.next_page_token
            if not token:
                break
        return self._offer.source(found.values(), accepts_any=True)

    async def _page(self, token: str) -> Page:
        query = urlencode({"pageSize": _PAGE} | ({"pageToken": token} if token else {}))
        reply = await self._ask("GET", f"{self._list_path}?{query}", b"", self._quota)
        try:
            body = await reply.read()
        finally:
            reply.close()
        if reply.status != 200:
            raise read_error(reply.status, body, None)
        try:
            return _page.decode(body)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            raise UpstreamInvalid(f"What `{self.name}` lists are no models.") from None

    def unlisted(self) -> Source:
        """The operator's list, or any name as `provider/name`."""
        return self._offer.unlisted()

    async def aclose(self) -> None:
        """Close idle connections."""
        for pool in self.pools:
            await pool.aclose()
