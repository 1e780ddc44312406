"""Anthropic, and whatever else answers to its Messages API at a `base_url`.

Wire: https://platform.claude.com/docs/en/api/overview.
"""

from __future__ import annotations

from collections.abc import Awaitable, Mapping, Sequence
from typing import Any

import msgspec

from aldgate.core.calls import Attempt
from aldgate.core.errors import UpstreamInvalid
from aldgate.core.principals import Operation, OwnCredential
from aldgate.core.routes import Facts, Origin, Source
from aldgate.dialects.anthropic.dialect import ANTHROPIC
from aldgate.ports import UpstreamDialect
from aldgate.providers.natives import NATIVES
from aldgate.providers.offer import Offer
from aldgate.providers.prices import PriceBook
from aldgate.providers.section import LOOPBACK, ProviderSection, Surroundings, address_of, decode_section, key_of, pool_of
from aldgate.providers.wire import Wire
from aldgate.upstream.pool import Pool
from aldgate.upstream.reply import Reply

BASE_URL = "https://api.anthropic.com"
VERSION = b"anthropic-version: 2023-06-01\r\n"
"""What translated requests are written in, and callers who name no version get."""
_NAMES_VERSION = b"anthropic-version:"
_ACCEPT = "application/json, text/event-stream"
_PAGE = 1000
_MOST_PAGES = 20
_CAPABILITIES = {
    "image_input": "vision",
    "pdf_input": "documents",
    "thinking": "reasoning",
    "structured_outputs": "json_schema",
}


class _Capability(msgspec.Struct):
    supported: bool = False


class _Model(msgspec.Struct):
    """One entry of `GET /v1/models` (https://platform.claude.com/docs/en/api/models-list)."""

    id: str
    lifecycle: str = "active"
    retires_at: str | None = None
    max_input_tokens: int | None = None
    max_tokens: int | None = None
    capabilities: dict[str, Any] | None = None

    def facts(self) -> Facts:
        """What the provider says of it; servers that say less leave it open."""
        told = self.capabilities or {}
        known = {word: _supports(told[name]) for name, word in _CAPABILITIES.items() if name in told}
        return Facts(
            context_window=self.max_input_tokens or None,
            max_output=self.max_tokens or None,
            can=frozenset(word for word, is_there in known.items() if is_there),
            cannot=frozenset(word for word, is_there in known.items() if not is_there),
            ends_on=self.retires_at[:10] if self.retires_at else None,
        )


class _Models(msgspec.Struct):
    data: list[_Model]
    has_more: bool = False
    last_id: str | None = None


class _Count(msgspec.Struct):
    input_tokens: int


_models = msgspec.json.Decoder(_Models)
_count = msgspec.json.Decoder(_Count)


class Anthropic:
    """Implements `ports.Backend` and `ports.CountsTokens`; see the attributes there.

    Args:
        name: What the catalogue calls this provider.
        pool: Connections to its origin.
        base_path: Path of the base URL, without `/v1` and without a slash at the end.
        api_key: Sent as `x-api-key`; empty sends none.
        models: The operator's list; None asks the provider.
        origin: Where this provider was configured.
        prices: Prices of its models.
    """

    operations: frozenset[Operation] = ANTHROPIC.operations
    dialects: Mapping[str, UpstreamDialect] = {ANTHROPIC.name: ANTHROPIC}

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
        self._offer = Offer(name, models, origin, prices)
        self._wire = Wire(name, pool, f"{base_path}/v1", ANTHROPIC, api_key, "x-api-key: ")
        self.has_credential = self._wire.has_credential
        self._message_head = self._wire.head("/messages", _ACCEPT)
        self._count_head = self._wire.head("/messages/count_tokens")

    def start(self, attempt: Attempt) -> Awaitable[Reply]:
        """Send the attempt; see `ports.Backend`."""
        own = attempt.own
        if own is not None:
            return self._send(self._wire.head("/messages", _ACCEPT, own), attempt.forward, attempt.body, own.id)
        return self._send(self._message_head, attempt.forward, attempt.body)

    def _send(self, head: bytes, forward: bytes, body: bytes, realm: str | None = None) -> Awaitable[Reply]:
        version = b"" if _NAMES_VERSION in forward else VERSION
        return self._wire.send(head, body, realm, version + forward)

    async def count_tokens(self, body: bytes, forward: bytes) -> int:
        """See `ports.CountsTokens`."""
        answer = await self._wire.answer(self._send(self._count_head, forward, body))
        try:
            return _count.decode(answer).input_tokens
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            raise UpstreamInvalid(f"What `{self.name}` answers to a count of tokens is none.") from None

    async def discover(self) -> Source:
        """The operator's list of models, or else the provider's own; see `ports.Backend`."""
        if self._offer.models is not None:
            return self.unlisted()
        listed = [model for model in await self.list_models() if model.lifecycle != "retired"]
        return self._offer.source((self._offer.deployment(model.id, model.facts()) for model in listed), accepts_any=True)

    def unlisted(self) -> Source:
        """The provider while its list is not known: any name is taken as `provider/name`."""
        return self._offer.unlisted()

    async def check(self, own: OwnCredential) -> None:
        """See `gate.brought.TakesCredentials`."""
        await self._page("", own)

    async def list_models(self) -> list[_Model]:
        """What `GET /v1/models` lists, page by page.

        Raises:
            UpstreamError: No answer, an error, or not such a list.
        """
        models: list[_Model] = []
        after = ""
        for _ in range(_MOST_PAGES):
            page = await self._page(after)
            models += page.data
            if not page.has_more or not page.last_id:
                break
            after = f"&after_id={page.last_id}"
        return models

    async def _page(self, after: str, own: OwnCredential | None = None) -> _Models:
        page = await self._wire.models(f"/models?limit={_PAGE}{after}", _models, own, VERSION.decode())
        if page.last_id is not None and not (page.last_id.isascii() and page.last_id.isprintable() and " " not in page.last_id):
            raise UpstreamInvalid(f"`{self.name}` names its models in letters that no address can carry.")
        return page

    async def aclose(self) -> None:
        """Close idle connections."""
        await self._wire.pool.aclose()


def _supports(told: Any) -> bool:
    try:
        return msgspec.convert(told, _Capability).supported
    except msgspec.ValidationError:
        return bool(told)


def build(name: str, table: Mapping[str, Any], origin: Origin, surroundings: Surroundings) -> Anthropic:
    """The provider of a table of kind `anthropic`; see `section.Build`.

    Raises:
        ConfigError: A key or value cannot be used.
    """
    section = decode_section(name, table, ProviderSection)
    address, base_path = address_of(name, section.base_url or BASE_URL)
    return Anthropic(
        name,
        pool=pool_of(name, address, section, surroundings),
        base_path=base_path.removesuffix("/v1"),
        api_key=key_of(name, section, NATIVES["anthropic"].key_names, surroundings),
        models=None if section.models is None else tuple(section.models),
        origin=origin,
        prices=PriceBook("anthropic", is_free=address.host in LOOPBACK),
    )
