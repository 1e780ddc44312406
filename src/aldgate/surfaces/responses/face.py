"""`POST /v1/responses`: a call like any other, and what the gate keeps of it.

A response is kept unless its caller says `store: false`, for its account alone. What continues one is sent on with all that went
before, so that any provider and any deployment can answer it.
"""

from __future__ import annotations

import logging
from functools import partial

import msgspec
from msgspec.structs import replace

from aldgate.core.calls import Admission, Named, Outcome, Peek
from aldgate.core.errors import ClientGone, GatewayError, InvalidRequest, StoreUnavailable
from aldgate.core.principals import Operation, Principal
from aldgate.dialects.responses.dialect import RESPONSES
from aldgate.dialects.responses.history import input_of
from aldgate.dialects.responses.requests import governed
from aldgate.dialects.responses.written import framed
from aldgate.surfaces.calls.face import Doors, Face
from aldgate.surfaces.http.asgi import Outlet
from aldgate.surfaces.responses.background import LEASE_S, BackgroundRun
from aldgate.surfaces.responses.event_log import EventLog
from aldgate.surfaces.responses.history import History, Recall
from aldgate.surfaces.responses.shelf import Shelf, retained
from aldgate.surfaces.responses.withheld import Withheld

log = logging.getLogger("aldgate.responses")


class _Told(msgspec.Struct):
    id: str
    status: str = "completed"


_told = msgspec.json.Decoder(_Told)
_JSON = (b"content-type", b"application/json")
_KEPT = frozenset({"completed", "incomplete"})


class ResponsesFace(Face):
    """The face that makes responses."""

    may_be_cached = False

    def __init__(self, doors: Doors, shelf: Shelf) -> None:
        super().__init__(RESPONSES, doors)
        self._shelf = shelf
        self.history = History(shelf.store, doors.max_body_bytes)

    async def _call(
        self, operation: Operation, call_id: str, principal: Principal, body: bytes, named: Named | None, outlet: Outlet
    ) -> None:
        peek = self._peek("chat", principal, body, None)
        if b'"background"' in peek.body and governed(peek).background:
            await self._detach(call_id, principal, peek, outlet)
        else:
            await self.respond(call_id, principal, peek, outlet)

    async def _asked(self, operation: Operation, principal: Principal, body: bytes, named: Named | None) -> Peek:
        full = await self.history.filled(principal.account, RESPONSES.peek("chat", body))
        return self._peek("chat", principal, full, None)

    def asked(self, principal: Principal, body: bytes) -> Peek:
        """What a request asks, as the principal's policies will have it.

        Raises:
            GatewayError: It asks for nothing, or for what they forbid.
        """
        return self._peek("chat", principal, body, None)

    async def respond(
        self, call_id: str, principal: Principal, peek: Peek, outlet: Outlet, recall: Recall | None = None
    ) -> bytes | None:
        """Make a response and keep it, before its last bytes go out. Returns it, None if it broke off.

        Raises:
            GatewayError: Refused or failed before anything was said.
        """
        full = await self._filled(principal.account, peek, recall)
        is_kept = governed(peek).store is not False
        events = EventLog(self._shelf.memory) if is_kept and peek.stream else None
        withheld = Withheld(outlet, events)
        more = max(0, len(full) - len(peek.body))
        self._in_flight.take(more)
        try:
            await super()._call("chat", call_id, principal, full, None, withheld)
            status, response = withheld.response(is_stream=peek.stream) or ("", b"")
            if status not in _KEPT:
                return None
            if is_kept:
                packed = await events.packed(withheld.last or b"") if events is not None else None
                await self._keep(principal, peek, response, packed, withheld.warnings)
            return response
        finally:
            self._in_flight.release(more)
            if events is not None:
                events.release()
            withheld.release()

    async def _filled(self, account: str, peek: Peek, recall: Recall | None) -> bytes:
        if b'"background"' in peek.body and governed(peek).background:
            raise InvalidRequest("This way responses do not run in the background; leave `background` out.", param="background")
        return await self.history.filled(account, peek, recall)

    async def filled(self, account: str, body: bytes) -> bytes:
        """See `ports.Memory`."""
        return await self._filled(account, RESPONSES.peek("chat", body), None)

    async def keep(self, principal: Principal, body: bytes, answer: bytes) -> None:
        """See `ports.Memory`."""
        peek = RESPONSES.peek("chat", body)
        if governed(peek).store is not False:
            await self._keep(principal, peek, answer, None, "")

    async def _keep(self, principal: Principal, peek: Peek, response: bytes, events: bytes | None, warnings: str) -> None:
        told, previous_id = _told.decode(response), governed(peek).previous_response_id
        kept = self._shelf.labelled(told.id, previous_id, told.status, input_of(peek), response, warnings)
        kept = retained(kept, principal)
        try:
            await self._shelf.store.keep_response(principal.account, kept, events, self._shelf.quota_bytes)
        except StoreUnavailable as error:  # the answer is made and paid for: its caller shall have it
            log.error("the database did not take a response", extra={"response": told.id}, exc_info=error)

    async def _detach(self, call_id: str, principal: Principal, peek: Peek, outlet: Outlet) -> None:
        """Begin with a response in the background, and tell of it: as queued, or as the stream that it is."""
        if governed(peek).store is False:
            raise InvalidRequest("What runs in the background is kept: `store` must not be false.", param="store")
        full = self._peek("chat", principal, await self.history.filled(principal.account, peek), None)
        queued = framed(call_id, full).queued()
        call = self._gate.call(call_id, "chat", principal, full)
        admission = self._gate.admit(call) or await self._gate.admit_shared(call)
        run = await self._begun(admission, peek, queued["id"], msgspec.json.encode(queued))
        own = [(b"x-request-id", call_id.encode()), *self._limits(principal)]
        if not peek.stream:
            outlet.begin(200, [_JSON, (b"content-length", b"%d" % len(run.kept.body)), *own])
            return outlet.end(run.kept.body)
        outlet.begin(200, await run.events.begun() or [*self._stream_headers, *own])
        await run.events.follow(outlet, None)

    async def _begun(self, admission: Admission, peek: Peek, name: str, queued: bytes) -> BackgroundRun:
        """Keep an admitted call as queued, and let it run. Unless that comes about it is settled as one that never did."""
        shelf, principal, size = self._shelf, admission.call.principal, len(admission.call.peek.body)
        account = principal.account
        kept = shelf.labelled(name, governed(peek).previous_response_id, "queued", input_of(peek), queued)
        kept = replace(retained(kept, principal), lease_s=LEASE_S)
        try:
            shelf.background.reserve(account, size)
            try:
                await shelf.store.keep_response(account, kept, None, shelf.quota_bytes)
            except BaseException:
                shelf.background.give_back(account, size)
                raise
        except BaseException as error:
            outcome = Outcome()
            outcome.fail(error if isinstance(error, GatewayError) else ClientGone("The caller left."))
            self._gate.settle(admission, outcome)
            raise
        work = partial(self._work, admission)
        return shelf.background.start(account, kept, work, is_streamed=peek.stream, held=size)

    async def _work(self, admission: Admission, withheld: Withheld) -> None:
        await self._run(admission, withheld)
