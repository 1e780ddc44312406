"""Requests to one provider over its pool: the heads, made once, and questions that are asked beside calls."""

from __future__ import annotations

from collections.abc import Awaitable, Mapping

from aldgate.core.errors import UpstreamError
from aldgate.core.principals import OwnCredential
from aldgate.ports import UpstreamDialect
from aldgate.upstream.pool import Pool
from aldgate.upstream.reply import Reply

LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})
"""Where servers that want no key usually are."""


class Wire:
    """The HTTP side of a native provider.

    Args:
        pool: Connections to its origin.
        base_path: Path of the base URL, without a slash at the end.
        headers: Sent with every request, credentials among them.
        dialect: Reads its errors.
    """

    def __init__(self, pool: Pool, base_path: str, headers: Mapping[str, str], dialect: UpstreamDialect) -> None:
        self.pool = pool
        self._base_path = base_path
        self._dialect = dialect
        self._headers = headers
        self.has_credential = "authorization" in headers or pool.origin.host in LOOPBACK

    def _common(self, own: OwnCredential | None) -> str:
        headers = self._headers if own is None else {**self._headers, "authorization": f"Bearer {own.secret}"}
        lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        return f"host: {self.pool.origin.host_header}\r\n{lines}accept-encoding: identity\r\n"

    def head(self, path: str, accept: str = "application/json", own: OwnCredential | None = None) -> bytes:
        """The head of a POST, up to the value of its length. `own`: the bearer token to send instead of the provider's."""
        content = f"accept: {accept}\r\ncontent-type: application/json\r\ncontent-length: "
        return f"POST {self._base_path}{path} HTTP/1.1\r\n{self._common(own)}{content}".encode("latin-1")

    def send(self, head: bytes, body: bytes, realm: str | None = None) -> Awaitable[Reply]:
        """Send a POST whose head `head` made; `realm` as of the pool."""
        return self.pool.request(b"%s%d\r\n\r\n" % (head, len(body)), body, realm)

    async def get(self, path: str, own: OwnCredential | None = None) -> bytes:
        """The body of what `path` answers.

        Raises:
            UpstreamError: No answer, or an error.
        """
        head = f"GET {self._base_path}{path} HTTP/1.1\r\n{self._common(own)}accept: application/json\r\n\r\n"
        return await self._answer(self.pool.request(head.encode("latin-1"), b"", own and own.id))

    async def post(self, path: str, body: bytes) -> bytes:
        """The same of a POST."""
        return await self._answer(self.send(self.head(path), body))

    async def _answer(self, sent: Awaitable[Reply]) -> bytes:
        reply = await sent
        try:
            body = await reply.read()
        finally:
            reply.close()
        if reply.status != 200:
            error: UpstreamError = self._dialect.read_error(reply.status, body, None)
            raise error
        return body
