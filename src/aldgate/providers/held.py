"""A reply that was read before it is passed on, because what is passed on is not quite what came."""

from __future__ import annotations

from collections.abc import Mapping

from aldgate.core.errors import GatewayError, UpstreamBroken
from aldgate.ports import Sink


class HeldReply:
    """Implements `ports.Exchange` for a body that is all here."""

    def __init__(self, status: int, headers: Mapping[bytes, bytes], body: bytes) -> None:
        self.status = status
        self._headers = headers
        self._body: bytes | None = body
        self._error: GatewayError | None = None

    def header(self, name: bytes) -> bytes | None:
        """See `ports.Exchange`."""
        return self._headers.get(name)

    async def next(self) -> bytes | None:
        """The body, once; see `ports.Exchange`."""
        if self._error is not None:
            raise self._error
        body, self._body = self._body, None
        return body

    async def read(self) -> bytes:
        """See `ports.Exchange`."""
        return await self.next() or b""

    async def pipe(self, sink: Sink) -> None:
        """See `ports.Exchange`."""
        if (body := await self.next()) is not None:
            verdict = sink(body)
            if not isinstance(verdict, bool):
                await verdict

    def abort(self, error: GatewayError) -> None:
        """See `ports.Exchange`."""
        self._error = self._error or error

    def finish(self) -> None:
        """See `ports.Exchange`."""
        self.close()

    def close(self) -> None:
        """See `ports.Exchange`."""
        self.abort(UpstreamBroken("The reply was let go of."))
