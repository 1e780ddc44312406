"""The server: listens, keeps the script, and counts what it saw and billed."""

import asyncio
import ssl
from collections import deque
from types import TracebackType
from typing import Self

from aldgate.testing.upstream.answers import answer
from aldgate.testing.upstream.connection import Connection
from aldgate.testing.upstream.plays import Billed, Moment, Play, Step
from aldgate.testing.upstream.replies import Asked, Reply, render
from aldgate.testing.upstream.requests import Recorded


class FakeUpstream:
    """A loopback server that speaks OpenAI's wire, misbehaves on request and remembers what it saw.

    Use it as `async with FakeUpstream() as upstream:`; what is scripted happens to the next requests in order, and everything
    else gets the good `reply`.

    Attributes:
        requests: Every request read whole, oldest first.
        connections: How many were accepted.
        calls: Answers that were billed; errors are free.
        prompt_tokens: Billed so far, and so are `completion_tokens`. Streams are billed as they are generated.
        closed_early: Clients that closed before their reply was complete.
        malformed: Why bytes that are no request were turned away.
    """

    def __init__(
        self,
        ssl: ssl.SSLContext | None = None,
        *,
        reply: Reply | None = None,
        default: Step | None = None,
        port: int = 0,
        keep_requests: bool = True,
    ) -> None:
        """Describe the upstream; it listens once entered.

        Args:
            ssl: A server context to speak TLS with.
            reply: What good answers say.
            default: Happens to every request that nothing was scripted for; a good answer when None.
            port: 0 takes any free one.
            keep_requests: False for long runs, where remembering every request would fill the memory.
        """
        self.reply = reply or Reply()
        self.default = default
        self.port = port
        self.requests: list[Recorded] = []
        self.malformed: list[str] = []
        self.connections = self.calls = self.prompt_tokens = self.completion_tokens = self.closed_early = 0
        self._ssl = ssl
        self._keep_requests = keep_requests
        self._script: deque[Step] = deque()
        self._open: set[Connection] = set()
        self._server: asyncio.Server | None = None
        self._changed = asyncio.Event()

    @property
    def url(self) -> str:
        """The base URL a client of the OpenAI API is given."""
        return f"http{'s' if self._ssl else ''}://127.0.0.1:{self.port}/v1"

    @property
    def open_connections(self) -> int:
        """Connections that are open now."""
        return len(self._open)

    async def __aenter__(self) -> Self:
        """Listen."""
        await self.listen()
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        """Stop listening and reset what is open."""
        self.refuse()
        for connection in tuple(self._open):
            connection.reset()
        while self._open:
            await self._change()

    async def listen(self) -> None:
        """Listen, again on the same port after `refuse`. Harmless when listening already."""
        if self._server is None:
            loop = asyncio.get_running_loop()
            self._server = await loop.create_server(lambda: Connection(self), "127.0.0.1", self.port, ssl=self._ssl, backlog=4096)
            self.port = self._server.sockets[0].getsockname()[1]

    def refuse(self) -> None:
        """Stop listening at once and close idle connections, until `listen`."""
        if self._server is not None:
            self._server.close()
            self._server = None
        for connection in tuple(self._open):
            if not connection.is_busy:
                connection.close()

    def script(self, *steps: Step) -> None:
        """Let `steps` happen to the next requests, one each, after what was scripted before."""
        self._script.extend(steps)
        self.ended()

    def forget(self) -> None:
        """Forget what was scripted and seen: for a server that many tests share. What it charged stays charged."""
        self._script.clear()
        self.requests.clear()
        self.malformed.clear()
        self.closed_early = 0

    async def saw_close(self, times: int = 1) -> None:
        """Wait until `closed_early` has reached `times`. Bound it with `asyncio.timeout`."""
        while self.closed_early < times:
            await self._change()

    async def saw_requests(self, times: int = 1) -> None:
        """Wait until so many requests were read. Bound it with `asyncio.timeout`."""
        while len(self.requests) < times:
            await self._change()

    # What connections ask.

    def is_due(self, moment: Moment) -> bool:
        """Whether the next scripted step begins at `moment`."""
        return bool(self._script) and self._script[0].moment == moment

    def begin(self, request: Recorded) -> Play | bytes:
        """The play for a request, or at once the bytes of its whole answer."""
        step = self._script.popleft() if self._script else self.default
        if step is not None:
            return step.play(Asked(request, self.reply))
        rendered = render(request.path, request.body, self.reply)
        if not rendered.wire:
            return answer(Asked(request, self.reply))
        if rendered.status < 400:
            self.calls += 1
            self.prompt_tokens += rendered.prompt_tokens
            self.completion_tokens += rendered.completion_tokens
        return rendered.wire

    def bill(self, billed: Billed) -> None:
        """Add to what is charged."""
        self.calls += billed.calls
        self.prompt_tokens += billed.prompt_tokens
        self.completion_tokens += billed.completion_tokens

    def saw(self, request: Recorded) -> None:
        """Remember a request that was read whole."""
        if self._keep_requests:
            self.requests.append(request)
            self._changed.set()

    def saw_malformed(self, reason: str) -> None:
        """Remember that something came that is no request."""
        self.malformed.append(reason)

    def connected(self, connection: Connection) -> None:
        """Count a connection."""
        self.connections += 1
        self._open.add(connection)

    def lost(self, connection: Connection, *, early: bool) -> None:
        """Forget a connection."""
        self._open.discard(connection)
        self.closed_early += early
        self._changed.set()
        self.ended()

    def ended(self) -> None:
        """Stop listening if the script says so next."""
        if self.is_due("listening"):
            self._script.popleft()
            self.refuse()

    async def _change(self) -> None:
        self._changed.clear()
        await self._changed.wait()
