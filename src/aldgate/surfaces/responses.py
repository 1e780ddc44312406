"""`POST /v1/responses`: a call like any other, and what the gate keeps of it.

A response is kept unless its caller says `store: false`, for its account alone. What continues one is sent on with all that went
before, so that any provider and any deployment can answer it.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Awaitable, Callable, Collection

import msgspec

from aldgate.core.calls import Named, Peek
from aldgate.core.errors import BodyTooLarge, InvalidRequest, PreviousResponseNotFound, StoreUnavailable
from aldgate.core.principals import Operation, Principal
from aldgate.dialects.responses.broken import is_broken, mended
from aldgate.dialects.responses.dialect import RESPONSES
from aldgate.dialects.responses.history import Turn, continued, input_of, references, resolved
from aldgate.dialects.responses.requests import governed
from aldgate.dialects.sse import EventReader
from aldgate.ports import KeptResponse, Store
from aldgate.surfaces.asgi import Headers, Outlet
from aldgate.surfaces.face import Doors, Face

log = logging.getLogger("aldgate.responses")

LIFETIME_S = 30 * 86_400
"""How long OpenAI keeps a response (https://platform.openai.com/docs/guides/your-data)."""
MOST_KEPT = 4
"""A chain of kept responses may come to so many times the largest body: each repeats what it was asked with."""
MOST_REFERRED = 100
"""Responses that one request may take items from, each of which is looked for in the database."""
Recall = Callable[[str], list[Turn] | None]
"""Turns up to a response that only this connection remembers, or None."""


class _Final(msgspec.Struct):
    type: str = ""
    response: msgspec.Raw = msgspec.Raw()


class _Told(msgspec.Struct):
    id: str
    status: str = "completed"


_final = msgspec.json.Decoder(_Final)
_told = msgspec.json.Decoder(_Told)
_KEPT = frozenset({"response.completed", "response.incomplete"})


class History:
    """What went before, for one account at a time.

    Args:
        store: Where responses are kept.
        max_body_bytes: The most that a request may come to with all that went before.
    """

    def __init__(self, store: Store, max_body_bytes: int) -> None:
        self._store = store
        self._max_body_bytes = max_body_bytes

    async def filled(self, account: str, peek: Peek, recall: Recall | None = None) -> bytes:
        """The body of the request with everything it refers to.

        Raises:
            PreviousResponseNotFound: It continues a response that is not there.
            InvalidRequest: It refers to an item that is not there.
            BodyTooLarge: All together is too much.
        """
        names = references(peek)
        if names:
            bodies = await self._referred(account, names)
            peek = msgspec.structs.replace(peek, body=resolved(peek, bodies, self._max_body_bytes))
        previous = governed(peek).previous_response_id if b'"previous_response_id"' in peek.body else None
        if previous is None:
            return peek.body
        turns = (recall(previous) if recall is not None else None) or await self.turns(account, previous)
        body = continued(peek, turns)
        if len(body) > self._max_body_bytes:
            raise BodyTooLarge(f"The conversation has come to {len(body)} bytes; at most {self._max_body_bytes} are taken.")
        return body

    async def _referred(self, account: str, names: Collection[str]) -> dict[str, bytes]:
        if len(names) > MOST_REFERRED:
            raise InvalidRequest(f"The input refers to items of more than {MOST_REFERRED} responses.", param="input")
        now, room = time.time(), MOST_KEPT * self._max_body_bytes
        bodies: dict[str, bytes] = {}
        for name in names:
            kept = await self._store.find_response(account, name, now)
            if kept is None:
                continue
            bodies[name] = kept.body
            room -= len(kept.body)
            if room < 0:
                raise BodyTooLarge("The responses that the input refers to are too much to be read at once.")
        return bodies

    async def chain(self, account: str, response_id: str) -> list[KeptResponse]:
        """A response and all that it continued, oldest first, as far as it is there.

        Raises:
            BodyTooLarge: It is more than one process should hold for one caller.
        """
        return await self._store.response_chain(account, response_id, MOST_KEPT * self._max_body_bytes)

    async def turns(self, account: str, response_id: str) -> list[Turn]:
        """All that was said up to and with a response.

        Raises:
            PreviousResponseNotFound: It, or one that it stands on, is not there.
        """
        chain = await self.chain(account, response_id)
        if not chain or chain[0].previous_id is not None:
            raise PreviousResponseNotFound(
                f"There is no response `{response_id[:100]}` that could be continued.", param="previous_response_id"
            )
        return [(kept.input, kept.body) for kept in chain]


class ResponsesFace(Face):
    """The face that makes responses.

    Args:
        incarnation: This process's random id.
    """

    may_be_cached = False

    def __init__(self, doors: Doors, store: Store, incarnation: str) -> None:
        super().__init__(RESPONSES, doors)
        self._store = store
        self._incarnation = incarnation
        self.history = History(store, doors.max_body_bytes)

    async def _call(
        self, operation: Operation, call_id: str, principal: Principal, body: bytes, named: Named | None, outlet: Outlet
    ) -> None:
        await self.respond(call_id, principal, body, outlet)

    async def _asked(self, operation: Operation, principal: Principal, body: bytes, named: Named | None) -> Peek:
        return RESPONSES.peek("chat", await self.filled(principal.account, body))

    async def respond(
        self, call_id: str, principal: Principal, body: bytes, outlet: Outlet, recall: Recall | None = None
    ) -> bytes | None:
        """Make a response and keep it, before its last bytes go out. Returns it, None if it broke off.

        Raises:
            GatewayError: Refused or failed before anything was said.
        """
        peek = RESPONSES.peek("chat", body)
        full = await self._filled(principal.account, peek, recall)
        withheld = Withheld(outlet)
        more = max(0, len(full) - len(body))
        self._in_flight.take(more)
        try:
            await super()._call("chat", call_id, principal, full, None, withheld)
            response = withheld.response(is_stream=peek.stream)
            if response is not None:
                await self._keep(principal.account, peek, response)
            return response
        finally:
            self._in_flight.release(more)
            withheld.release()

    async def _filled(self, account: str, peek: Peek, recall: Recall | None) -> bytes:
        if governed(peek).background:
            raise InvalidRequest("Responses do not run in the background here; leave `background` out.", param="background")
        return await self.history.filled(account, peek, recall)

    async def filled(self, account: str, body: bytes) -> bytes:
        """See `ports.Memory`."""
        return await self._filled(account, RESPONSES.peek("chat", body), None)

    async def keep(self, account: str, body: bytes, answer: bytes) -> None:
        """See `ports.Memory`."""
        await self._keep(account, RESPONSES.peek("chat", body), answer)

    async def _keep(self, account: str, peek: Peek, response: bytes) -> None:
        wanted = governed(peek)
        if wanted.store is False:
            return
        previous_id, now = wanted.previous_response_id, time.time()
        told = _told.decode(response)
        kept = KeptResponse(told.id, previous_id, now, now + LIFETIME_S, told.status, self._incarnation, input_of(peek), response)
        try:
            await self._store.keep_response(account, kept)
        except StoreUnavailable as error:  # the answer is made and paid for: its caller shall have it
            log.error("the database did not take a response", extra={"response": told.id}, exc_info=error)


class Withheld:
    """An outlet that holds the last piece back, so that whoever has read it finds everything kept."""

    def __init__(self, outlet: Outlet) -> None:
        self._outlet = outlet
        self._status = 0
        self._first = b""
        self._latest = b""
        self._last: bytes | None = None

    @property
    def is_lost(self) -> bool:
        """See `Outlet`."""
        return self._outlet.is_lost

    def begin(self, status: int, headers: Headers) -> None:
        """See `Outlet`."""
        self._status = status
        self._outlet.begin(status, headers)

    def write(self, piece: bytes) -> Awaitable[None] | bool:
        """See `Outlet`."""
        self._first = self._first or piece
        self._latest = piece
        return self._outlet.write(piece)

    def end(self, piece: bytes) -> None:
        """See `Outlet`: the piece waits for `release`."""
        self._last = mended(self._first, self._latest, piece) if is_broken(piece) else piece

    def release(self) -> None:
        """Pass the last piece on, if there is one."""
        if self._last is not None:
            self._outlet.end(self._last)

    def response(self, *, is_stream: bool) -> bytes | None:
        """The complete response that the last piece holds."""
        if self._status != 200 or self._last is None:
            return None
        if not is_stream:
            return self._last
        for payload in EventReader().feed(self._last):
            if b'"response":' in payload:
                event = _final.decode(payload)
                if event.type in _KEPT:
                    return bytes(event.response)
        return None
