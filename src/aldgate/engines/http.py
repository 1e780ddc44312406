"""How engines are reached: requests, downloads, uploads and sockets, with every failure as one of the gate's own errors."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Container, Mapping
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, Literal

import msgspec

from aldgate.core.errors import (
    UpstreamAuth,
    UpstreamBroken,
    UpstreamError,
    UpstreamInvalid,
    UpstreamLimited,
    UpstreamOverloaded,
    UpstreamRejected,
    UpstreamTimeout,
    UpstreamUnreachable,
)
from aldgate.upstream.tls import client_context

if TYPE_CHECKING:
    from aiohttp import ClientResponse, ClientSession, ClientWebSocketResponse

PIECE = 256 * 1024
MOST_JSON_BYTES = 64 * 1024 * 1024
MOST_ERROR_WORDS = 500


class EngineHttp:
    """One engine's address. Redirects are not followed: an engine has no business to send the gate elsewhere.

    Args:
        name: The engine's, for messages.
        base_url: Without a slash at its end.
        headers: Sent with each request, such as a credential.
        ca_bundle: PEM file of authorities to trust; empty: the system's.
        timeout_s: For a request, to its reply's head, unless it says otherwise; and for silence within a reply.
    """

    def __init__(
        self, name: str, base_url: str, *, headers: Mapping[str, str] | None = None, ca_bundle: str = "", timeout_s: float = 60.0
    ) -> None:
        self.name = name
        self.base_url = base_url
        self._headers = dict(headers or {})
        self._ca_bundle = ca_bundle
        self._timeout_s = timeout_s
        self._session: ClientSession | None = None

    @asynccontextmanager
    async def request(
        self, method: str, path: str, *, timeout_s: float | None = None, expect: Container[int] = range(200, 300), **more: Any
    ) -> AsyncGenerator[ClientResponse]:
        """Send a request; `more` as aiohttp takes it (`json`, `data`, `params`). The reply's status is in `expect`.

        Raises:
            UpstreamUnreachable: No connection; nothing was sent.
            UpstreamError: By status: `UpstreamAuth` 401 and 403, `UpstreamLimited` 429, `UpstreamOverloaded` 503,
                `UpstreamRejected` other 4xx, `UpstreamBroken` the rest; or it broke off or was silent for too long.
        """
        from aiohttp import ClientTimeout  # 90 ms that a gate without engines need not pay

        limit = self._timeout_s if timeout_s is None else timeout_s
        timeout = ClientTimeout(total=None, sock_connect=min(limit, 10.0), sock_read=limit)
        with self._as_ours():
            async with self._opened().request(
                method, self.base_url + path, timeout=timeout, allow_redirects=False, **more
            ) as reply:
                if reply.status not in expect:
                    raise await self._refusal(reply)
                yield reply

    async def json(self, method: str, path: str, *, most_bytes: int = MOST_JSON_BYTES, **more: Any) -> Any:
        """Send a request and read its JSON reply; an empty reply is None.

        Raises:
            UpstreamError: As `request`; `UpstreamInvalid`: it is no JSON, or too long.
        """
        body = await self.whole(method, path, most_bytes=most_bytes, **more)
        if not body.strip():
            return None
        try:
            return msgspec.json.decode(body)
        except msgspec.DecodeError as error:
            raise UpstreamInvalid(f"The engine `{self.name}` answered with what is no JSON: {error}") from None

    async def whole(self, method: str, path: str, *, most_bytes: int = MOST_JSON_BYTES, **more: Any) -> bytes:
        """Send a request and read its reply whole.

        Raises:
            UpstreamError: As `request`; `UpstreamInvalid`: it is too long.
        """
        async with self.request(method, path, **more) as reply:
            return await self._bounded(reply, most_bytes)

    async def pieces(self, method: str, path: str, **more: Any) -> AsyncIterator[bytes]:
        """Send a request and read its reply piece by piece.

        Raises:
            UpstreamError: As `request`.
        """
        async with self.request(method, path, **more) as reply:
            async for piece in reply.content.iter_chunked(PIECE):
                yield piece

    @asynccontextmanager
    async def socket(self, path: str, **more: Any) -> AsyncGenerator[ClientWebSocketResponse[Literal[True]]]:
        """Open a WebSocket; messages up to `MOST_JSON_BYTES`.

        Raises:
            UpstreamUnreachable: No connection.
            UpstreamError: It refused the handshake.
        """
        with self._as_ours():
            session = self._opened()
            async with session.ws_connect(self.base_url + path, max_msg_size=MOST_JSON_BYTES, decode_text=True, **more) as opened:
                yield opened

    async def aclose(self) -> None:
        """Close its connections."""
        if self._session is not None:
            await self._session.close()
            self._session = None

    def _opened(self) -> ClientSession:
        from aiohttp import ClientSession, TCPConnector

        if self._session is None:
            context = client_context(verify=True, ca_bundle=self._ca_bundle, client_cert="")
            connector = TCPConnector(ssl=context, limit=0)
            self._session = ClientSession(connector=connector, headers=self._headers, trust_env=False)
        return self._session

    def _as_ours(self) -> _AsOurs:
        return _AsOurs(self.name)

    async def _bounded(self, reply: ClientResponse, most_bytes: int) -> bytes:
        pieces: list[bytes] = []
        size = 0
        async for piece in reply.content.iter_chunked(PIECE):
            size += len(piece)
            if size > most_bytes:
                raise UpstreamInvalid(f"The engine `{self.name}` answered with more than {most_bytes} bytes.")
            pieces.append(piece)
        return b"".join(pieces)

    async def _refusal(self, reply: ClientResponse) -> UpstreamError:
        said = (await reply.content.read(MOST_ERROR_WORDS)).decode(errors="replace").strip()
        message = f"The engine `{self.name}` answered {reply.status}" + (f": {said}" if said else ".")
        kinds = {401: UpstreamAuth, 403: UpstreamAuth, 429: UpstreamLimited, 503: UpstreamOverloaded}
        kind = kinds.get(reply.status) or (UpstreamRejected if 400 <= reply.status < 500 else UpstreamBroken)
        return kind(message, upstream_status=reply.status)


class _AsOurs:
    """Turns aiohttp's errors into the gate's own."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        from aiohttp import ClientConnectorError, ClientError, ConnectionTimeoutError

        if isinstance(error, ClientConnectorError | ConnectionTimeoutError):
            raise UpstreamUnreachable(f"The engine `{self._name}` cannot be reached.") from error
        if isinstance(error, TimeoutError):
            raise UpstreamTimeout(f"The engine `{self._name}` was silent for too long.") from error
        if isinstance(error, ClientError | ConnectionError):
            raise UpstreamBroken(f"The engine `{self._name}` broke off: {type(error).__name__}.") from error
