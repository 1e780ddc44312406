"""Requests to one provider over its pool: the heads, made once, and questions that are asked beside calls."""

from __future__ import annotations

from collections.abc import Awaitable
from typing import TypeVar

import msgspec

from aldgate.core.errors import UpstreamInvalid
from aldgate.core.principals import OwnCredential
from aldgate.ports import UpstreamDialect
from aldgate.upstream.pool import Pool
from aldgate.upstream.reply import Reply

T = TypeVar("T")

LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})
"""Where servers that want no key usually are."""
BEARER = "authorization: Bearer "


class Wire:
    """The HTTP side of a provider that is called with a key.

    Args:
        name: What the catalogue calls the provider.
        pool: Connections to its origin.
        base_path: Path of the base URL, without a slash at the end.
        dialect: Reads its errors.
        api_key: Sent with every request; empty sends none.
        key_line: What stands before the key in its header line.
    """

    def __init__(
        self, name: str, pool: Pool, base_path: str, dialect: UpstreamDialect, api_key: str, key_line: str = BEARER
    ) -> None:
        self.name = name
        self.pool = pool
        self.base_path = base_path
        self.has_credential = bool(api_key) or pool.origin.host in LOOPBACK
        self._dialect = dialect
        self._key_line = key_line
        self._api_key = api_key

    def common(self, own: OwnCredential | None = None) -> str:
        """The header lines of every request. `own`: the key to send instead of the provider's."""
        secret = self._api_key if own is None else own.secret
        credential = f"{self._key_line}{secret}\r\n" if secret else ""
        return f"host: {self.pool.origin.host_header}\r\n{credential}accept-encoding: identity\r\n"

    def head(self, path: str, accept: str = "application/json", own: OwnCredential | None = None) -> bytes:
        """The head of a POST, up to the value of its length. `own` as of `common`."""
        content = f"accept: {accept}\r\ncontent-type: application/json\r\ncontent-length: "
        return f"POST {self.base_path}{path} HTTP/1.1\r\n{self.common(own)}{content}".encode("latin-1")

    def send(self, head: bytes, body: bytes, realm: str | None = None, more: bytes = b"") -> Awaitable[Reply]:
        """Send a POST whose head `head` made; `realm` as of the pool, `more` header lines of this request alone."""
        return self.pool.request(b"%b%d\r\n%b\r\n" % (head, len(body), more), body, realm)

    async def post(self, path: str, body: bytes) -> bytes:
        """The body of what a POST is answered with.

        Raises:
            UpstreamError: No answer, or an error.
        """
        return await self.answer(self.send(self.head(path), body))

    async def models(self, path: str, decoder: msgspec.json.Decoder[T], own: OwnCredential | None = None, more: str = "") -> T:
        """The list of models, or a page of it, that a GET of `path` is answered with. `own` as of `common`, `more` as of `send`.

        Raises:
            UpstreamError: No answer, an error, or not such a list.
        """
        head = f"GET {self.base_path}{path} HTTP/1.1\r\n{self.common(own)}accept: application/json\r\n{more}\r\n"
        body = await self.answer(self.pool.request(head.encode("latin-1"), b"", own and own.id))
        try:
            return decoder.decode(body)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            asked = path.partition("?")[0]
            raise UpstreamInvalid(f"What `{self.name}` answers to GET {asked} is no list of models.") from None

    async def answer(self, sent: Awaitable[Reply]) -> bytes:
        """The body of a reply.

        Raises:
            UpstreamError: No answer, or an error.
        """
        reply = await sent
        try:
            body = await reply.read()
        finally:
            reply.close()
        if reply.status != 200:
            raise self._dialect.read_error(reply.status, body, None)
        return body
