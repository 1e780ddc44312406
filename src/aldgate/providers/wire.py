"""Requests to one provider over its pool: the heads, made once, and questions that are asked beside calls."""

from __future__ import annotations

from collections.abc import Awaitable, Mapping

from aldgate.core.errors import UpstreamError
from aldgate.ports import UpstreamDialect
from aldgate.upstream.pool import Pool
from aldgate.upstream.reply import Reply


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
        lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        self._common = f"host: {pool.origin.host_header}\r\n{lines}accept-encoding: identity\r\n"

    def head(self, path: str, accept: str = "application/json") -> bytes:
        """The head of a POST, up to the value of its length."""
        content = f"accept: {accept}\r\ncontent-type: application/json\r\ncontent-length: "
        return f"POST {self._base_path}{path} HTTP/1.1\r\n{self._common}{content}".encode("latin-1")

    def send(self, head: bytes, body: bytes) -> Awaitable[Reply]:
        """Send a POST whose head `head` made."""
        return self.pool.request(b"%s%d\r\n\r\n" % (head, len(body)), body)

    async def get(self, path: str) -> bytes:
        """The body of what `path` answers.

        Raises:
            UpstreamError: No answer, or an error.
        """
        head = f"GET {self._base_path}{path} HTTP/1.1\r\n{self._common}accept: application/json\r\n\r\n"
        return await self._answer(self.pool.request(head.encode("latin-1"), b""))

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
