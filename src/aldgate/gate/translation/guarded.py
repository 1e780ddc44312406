"""An answer on its way through guardrails: as a `Translation` whose events are looked at between its two dialects."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Sequence

from aldgate.core.calls import Call
from aldgate.core.conversation import Answer, Conversation
from aldgate.core.errors import ContentBlocked, GatewayError
from aldgate.core.events import Event, fold, unfold
from aldgate.core.guardrails.answers import StreamGuard, joined, replaced
from aldgate.core.guardrails.guard import Guarded
from aldgate.core.operations import Result
from aldgate.core.usage import Usage
from aldgate.gate.translation.translation import Translation, said_tokens
from aldgate.ports import Exchange, FaceDialect, Sink, UpstreamDialect

WINDOW = 2_000
"""Characters of an answer that wait, at the most, until somebody else has judged them."""
BEFORE = 500
"""Characters of what went before that a judge is shown again."""


class GuardedTranslation(Translation):
    """Implements `ports.Relay`.

    Attributes:
        waits: What passes the guard waits in `pending` until it is `given`.
    """

    def __init__(self, call: Call, guarded: Guarded, face: FaceDialect, upstream: UpstreamDialect) -> None:
        super().__init__(call.id, call.operation, call.peek, guarded.asked, face, upstream)
        asked = guarded.asked
        holds_json = isinstance(asked, Conversation) and asked.output_format is not None
        self._guard = StreamGuard(guarded.passage, holds_json=holds_json)
        self.waits = bool(guarded.passage.guard.judges)
        self.pending: list[Event] = []
        self._result: Result | None = None
        self.is_complete = False

    def whole(self, body: bytes) -> bytes:
        """See `ports.Relay`. Empty, with `failure`, where it may not be given out."""
        self.open(body)
        return self.written()

    def open(self, body: bytes) -> None:
        """Read a whole reply; what of it passes the guard is `pending`."""
        self._result = result = self._upstream.read(self._operation, body)
        self.usage, self.delivered = result.usage, said_tokens(result)
        if isinstance(result, Answer):
            self.pending = self._guard.feed(unfold(result))
            self.failure = self._guard.blocked

    def written(self) -> bytes:
        """The whole answer for the caller, as it is pending."""
        result = self._result
        assert result is not None
        if self.failure is not None:
            return b""
        told = fold(self.pending) if isinstance(result, Answer) else result
        return self._face.write(self._call_id, self._peek, self._asked, told)

    def given(self) -> bytes:
        """What is pending of a stream, for the caller."""
        events, self.pending = self.pending, []
        said = self._encoder.feed(events) if events else b""
        if not self.is_complete or self.failure is not None:
            return said
        self.is_done = True
        return said + self._encoder.end()

    def _write(self, events: Sequence[Event]) -> bytes:
        passed = self._guard.feed(events)
        self.failure = self._guard.blocked or self.failure
        if self.waits:
            self.pending += passed
            return b""
        return self._encoder.feed(passed) if passed else b""

    def _close(self) -> bytes:
        if not self.waits:
            return super()._close()
        self.is_complete = True
        return b""


class JudgedExchange:
    """Implements `ports.Exchange`: a reply in the caller's own dialect, given out as somebody else has judged it.

    Args:
        exchange: The reply as it comes.
        relay: Reads and writes it.
        judge: Is asked about texts, and told what was said before; returns what stands in their place.

    Attributes:
        told: The relay for what comes from here, which is ready for the caller.
    """

    def __init__(
        self, exchange: Exchange, relay: GuardedTranslation, judge: Callable[[list[str], str], Awaitable[list[str]]]
    ) -> None:
        self.status = exchange.status
        self.told = Told()
        self._exchange = exchange
        self._relay = relay
        self._judge = judge
        self._before = ""
        self._has_ended = False

    def header(self, name: bytes) -> bytes | None:
        """See `ports.Exchange`."""
        return self._exchange.header(name)

    def abort(self, error: GatewayError) -> None:
        """See `ports.Exchange`."""
        self._exchange.abort(error)

    def finish(self) -> None:
        """See `ports.Exchange`."""
        self._exchange.finish()

    def close(self) -> None:
        """See `ports.Exchange`."""
        self._exchange.close()

    async def read(self) -> bytes:
        """The whole answer; see `ports.Exchange`."""
        relay = self._relay
        body = await self._exchange.read()
        if self.status != 200:
            return body
        try:
            relay.open(body)
            await self._judged()
            return relay.written()
        finally:
            self.told.follow(relay)

    async def next(self) -> bytes | None:
        """What of the answer may be given out now; see `ports.Exchange`."""
        if self.status != 200:
            return await self._exchange.next()
        try:
            return await self._given()
        finally:
            self.told.follow(self._relay)

    async def _given(self) -> bytes | None:
        relay = self._relay
        while not self._has_ended and not relay.is_done and relay.failure is None:
            piece = await self._exchange.next()
            if piece is None:
                self._has_ended = True
                relay.end()
            else:
                relay.feed(piece)
            if self._is_due():
                await self._judged()
                if (said := relay.given()) or relay.failure is not None:
                    return said
        return None

    async def pipe(self, sink: Sink) -> None:
        """See `ports.Exchange`."""
        while (piece := await self.next()) is not None:
            verdict = sink(piece)
            if verdict is False:
                return
            if verdict is not True:
                await verdict

    def _is_due(self) -> bool:
        relay = self._relay
        is_over = self._has_ended or relay.is_complete or relay.failure is not None
        return is_over or sum(map(len, joined(relay.pending))) >= WINDOW

    async def _judged(self) -> None:
        """Have what is pending judged, a window at a time; what may not pass and all behind it is taken away."""
        relay = self._relay
        passed: list[Event] = []
        for events in _windows(relay.pending):
            texts = joined(events)
            try:
                found = await self._judge(texts, self._before)
            except ContentBlocked as error:
                relay.failure = error
                break
            self._before = texts[-1][-BEFORE:] if texts else self._before
            passed += events if found == texts else replaced(events, found)
        relay.pending = passed


def _windows(events: Sequence[Event]) -> Iterator[list[Event]]:
    window: list[Event] = []
    size = 0
    for event in events:
        window.append(event)
        size += sum(map(len, joined([event])))
        if size >= WINDOW:
            yield window
            window, size = [], 0
    if window:
        yield window


class Told:
    """Implements `ports.Relay` for what is in the caller's dialect already."""

    def __init__(self) -> None:
        self.usage: Usage | None = None
        self.delivered = 0
        self.is_done = False
        self.failure: GatewayError | None = None

    def follow(self, relay: GuardedTranslation) -> None:
        """Tell how another relay is getting on."""
        self.usage, self.delivered = relay.usage, relay.delivered
        self.is_done, self.failure = relay.is_done, relay.failure

    def whole(self, body: bytes) -> bytes:
        """See `ports.Relay`."""
        return body

    def feed(self, piece: bytes) -> bytes:
        """See `ports.Relay`."""
        return piece

    def end(self) -> bytes:
        """See `ports.Relay`."""
        return b""
