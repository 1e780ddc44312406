"""A host of AWS's, with what opens it."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache

from aldgate.providers.bedrock.lent import Borrowed
from aldgate.providers.bedrock.signature import Signer, canonical_path
from aldgate.upstream.pool import Pool
from aldgate.upstream.reply import Reply


class Door:
    """A host, with what opens it: a bearer token, or a signer.

    Args:
        pool: Connections to it.
        base_path: Path before every other, without a slash at its end.
        api_key: Sent as a bearer token; empty signs instead.
        signer: Signs requests; None with a token, or where nobody asks who calls.
        borrowed: Whose credentials it signs with, where they are lent.
    """

    def __init__(self, pool: Pool, base_path: str, api_key: str, signer: Signer | None, borrowed: Borrowed | None = None) -> None:
        self.pool = pool
        self.signer = signer
        self._borrowed = borrowed
        self._base_path = base_path
        bearer = f"authorization: Bearer {api_key}\r\n" if api_key else ""
        self._common = f"host: {pool.origin.host_header}\r\naccept-encoding: identity\r\n{bearer}"
        self._paths: Callable[[str], tuple[str, str]] = lru_cache(maxsize=1024)(self._written)

    def _written(self, path: str) -> tuple[str, str]:
        whole = self._base_path + path
        return whole, canonical_path(whole)

    async def ask(self, method: str, path: str, query: str, body: bytes) -> Reply:
        """Send one request. What is signed holds for five minutes, so it is signed here, for each attempt anew.

        Raises:
            UpstreamError: Nobody lends credentials, or as `Pool.request`.
        """
        wire, canonical = self._paths(path)
        borrowed = self._borrowed
        if borrowed is not None and self.signer is not None:
            self.signer.credentials = borrowed.current() or await borrowed.renewed()
        lines = self.signer.lines(method, canonical, query, body) if self.signer is not None else ""
        head = (
            f"{method} {wire}{'?' + query if query else ''} HTTP/1.1\r\n{self._common}{lines}"
            f"content-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n"
        )
        reply = await self.pool.request(head.encode("latin-1"), body)
        if borrowed is not None and reply.status in (400, 403) and b"ExpiredToken" in (reply.header(b"x-amzn-errortype") or b""):
            borrowed.forget()
        return reply
