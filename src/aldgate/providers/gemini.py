"""Google's Gemini API, by key (https://ai.google.dev/api)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import quote, urlencode

import msgspec

from aldgate.core.calls import Attempt
from aldgate.core.principals import Operation, OwnCredential
from aldgate.core.routes import Facts, Origin, Source
from aldgate.core.tiers import tier_of
from aldgate.dialects.gemini.dialect import GEMINI
from aldgate.dialects.gemini.requests import verb_of
from aldgate.ports import UpstreamDialect
from aldgate.providers.natives import NATIVES
from aldgate.providers.offer import Offer
from aldgate.providers.prices import PriceBook
from aldgate.providers.section import ProviderSection, Surroundings, address_of, decode_section, key_of, pool_of
from aldgate.providers.wire import Wire
from aldgate.upstream.pool import Pool
from aldgate.upstream.reply import Reply

BASE_URL = "https://generativelanguage.googleapis.com/v1beta"

_OPERATIONS: dict[str, Operation] = {
    "generateContent": "chat",
    "embedContent": "embed",
    "batchEmbedContents": "embed",
}
_PAGE = 1_000
_MOST_PAGES = 100


class _Model(msgspec.Struct, rename="camel"):
    name: str
    supported_generation_methods: list[str] = []
    input_token_limit: int | None = None
    output_token_limit: int | None = None
    thinking: bool = False

    def operations(self) -> frozenset[Operation]:
        return frozenset(_OPERATIONS[method] for method in self.supported_generation_methods if method in _OPERATIONS)

    def facts(self) -> Facts:
        given, made = self.input_token_limit, self.output_token_limit
        can = frozenset({"reasoning"}) if self.thinking else frozenset[str]()
        return Facts(context_window=given + made if given and made else None, max_output=made, can=can)


class _Models(msgspec.Struct, rename="camel"):
    models: list[_Model] = []
    next_page_token: str = ""


_models = msgspec.json.Decoder(_Models)


class Gemini:
    """Implements `ports.Backend`; see the attributes there.

    Args:
        name: What the catalogue calls this provider.
        pool: Connections to its origin.
        base_path: Path of the base URL, without a slash at the end.
        api_key: Sent as `x-goog-api-key`; empty sends none.
        models: The operator's list; None asks the provider.
        origin: Where this provider was configured.
        prices: Prices of its models.
    """

    operations: frozenset[Operation] = frozenset({"chat", "embed"})

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
    ) -> None:
        self.name = name
        self.pools: Sequence[Pool] = (pool,)
        self.dialects: Mapping[str, UpstreamDialect] = {GEMINI.name: GEMINI}
        self._offer = Offer(name, models, origin, prices)
        self._wire = Wire(name, pool, base_path, GEMINI, api_key, "x-goog-api-key: ")
        self._path = base_path.encode("latin-1")
        self._common = self._wire.common().encode("latin-1")
        self.has_credential = bool(api_key)

    async def start(self, attempt: Attempt) -> Reply:
        """Send the attempt; see `ports.Backend`."""
        body, own = attempt.body, attempt.own
        verb = verb_of(attempt.operation, body, stream=attempt.stream)
        head = b"POST %b/%b:%b HTTP/1.1\r\n%bcontent-type: application/json\r\ncontent-length: %d\r\n\r\n" % (
            self._path,
            _resource(attempt.deployment.model),
            verb,
            self._common if own is None else self._wire.common(own).encode("latin-1"),
            len(body),
        )
        reply = await self._wire.pool.request(head, body, own and own.id)
        served = reply.header(b"x-gemini-service-tier")  # https://ai.google.dev/gemini-api/docs/priority-inference
        if served is not None:
            attempt.tier = tier_of(served.decode("latin-1"))
        return reply

    async def discover(self) -> Source:
        """The operator's list of models, or else the provider's own (`GET /models`); see `ports.Backend`."""
        if self._offer.models is not None:
            return self.unlisted()
        return self._offer.source(
            (
                self._offer.deployment(model.name.removeprefix("models/"), model.facts(), model.operations())
                for model in await self._list_models()
                if model.operations()
            ),
            accepts_any=True,
        )

    def unlisted(self) -> Source:
        """The provider while its list is not known: any name is taken as `provider/name`."""
        return self._offer.unlisted()

    async def _list_models(self) -> list[_Model]:
        found: list[_Model] = []
        token = ""
        for _ in range(_MOST_PAGES):
            page = await self._list_page(token)
            found += page.models
            token = page.next_page_token
            if not token:
                break
        return found

    async def check(self, own: OwnCredential) -> None:
        """See `gate.brought.TakesCredentials`."""
        await self._list_page("", own)

    async def _list_page(self, token: str, own: OwnCredential | None = None) -> _Models:
        query = urlencode({"pageSize": _PAGE} | ({"pageToken": token} if token else {}))
        return await self._wire.models(f"/models?{query}", _models, own)

    async def aclose(self) -> None:
        """Close idle connections."""
        await self._wire.pool.aclose()


def _resource(model: str) -> bytes:
    """`models/{model}`, or a tuned model's own path. Nothing in a name can lead elsewhere."""
    kind, _, name = model.partition("/")
    if kind != "tunedModels" or not name:
        kind, name = "models", model
    return f"{kind}/{quote(name, safe='@')}".encode()


def build(name: str, table: Mapping[str, Any], origin: Origin, surroundings: Surroundings) -> Gemini:
    """The backend for a table of this kind.

    Raises:
        ConfigError: As `section.build_provider`.
    """
    section = decode_section(name, table, ProviderSection)
    address, base_path = address_of(name, section.base_url or BASE_URL)
    return Gemini(
        name,
        pool=pool_of(name, address, section, surroundings),
        base_path=base_path,
        api_key=key_of(name, section, NATIVES["gemini"].key_names, surroundings),
        models=None if section.models is None else tuple(section.models),
        origin=origin,
        prices=PriceBook("google", is_free=False),
    )
