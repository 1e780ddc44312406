"""OpenAI's face: chat completions, completions and embeddings, whole and streamed.

Bytes pass through: a reply of the same dialect reaches the caller as it came, and only its usage is read on the way.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from functools import partial
from typing import cast

from aldgate.core.calls import Admission, Call, Outcome
from aldgate.core.errors import (
    ClientGone,
    ExpiredKey,
    GatewayError,
    ShuttingDown,
    UpstreamBroken,
    UpstreamInvalid,
)
from aldgate.core.principals import Operation, Principal
from aldgate.core.usage import Usage
from aldgate.dialects import openai_errors
from aldgate.dialects.openai_requests import peek
from aldgate.dialects.openai_usage import StreamMeter, count_output, read_reply
from aldgate.gate.gate import Gate
from aldgate.gate.identity import Identity
from aldgate.ports import Exchange
from aldgate.surfaces.asgi import Handler, Headers, Outlet, Receive, Scope, Send, headers_of
from aldgate.surfaces.bodies import BytesInFlight, check_json, read_body
from aldgate.surfaces.credentials import secret_of
from aldgate.surfaces.faults import render_for_path
from aldgate.surfaces.idempotency import Once, idempotency_key
from aldgate.surfaces.listener import Connection

Committed = Callable[[], Awaitable[None]]

_JSON = (b"content-type", b"application/json")
_EVENTS: Headers = [
    (b"content-type", b"text/event-stream; charset=utf-8"),
    (b"cache-control", b"no-cache"),
    (b"x-accel-buffering", b"no"),
]


class OpenAIFace:
    """Handlers for the paths of OpenAI's API that make calls.

    Args:
        committed: With strict durability, waits until what was settled is on disk; None does not wait.
        max_body_bytes: Largest request body.
    """

    def __init__(
        self,
        *,
        gate: Gate,
        identity: Identity,
        once: Once,
        in_flight: BytesInFlight,
        committed: Committed | None,
        max_body_bytes: int,
    ) -> None:
        self._gate = gate
        self._identity = identity
        self._once = once
        self._in_flight = in_flight
        self._committed = committed
        self._max_body_bytes = max_body_bytes

    def serving(self, operation: Operation) -> Handler:
        """The handler for the path of an operation."""
        return partial(self._serve, operation)

    async def _serve(self, operation: Operation, scope: Scope, receive: Receive, send: Send) -> None:
        call_id = self._gate.new_id()
        connection: Connection = scope["aldgate.connection"]
        connection.cancels_on_loss = True
        outlet = connection.outlet
        principal: Principal | None = None
        headers = headers_of(scope)
        try:
            secret = secret_of(headers)
            principal = (self._identity.known(secret) if secret else None) or await self._identity.identify(secret)
            check_json(headers)
            body = await read_body(headers, receive, self._max_body_bytes, self._in_flight)
            try:
                key = idempotency_key(headers)
                if key is None:
                    await self._call(operation, call_id, principal, body, outlet)
                else:
                    connection.cancels_on_loss = False  # such a call runs to its end: its answer is owed to the repetition
                    call = partial(self._call, operation, call_id, principal, body)
                    await self._once.serve(principal.id, key, scope["path"].encode() + b"\0" + body, outlet, call)
            finally:
                self._in_flight.release(len(body))
        except GatewayError as error:
            _untie(error)
            status, lines, body = render_for_path(scope["path"], error)
            limits = self._gate.headers(principal) if principal is not None else []
            outlet.begin(status, [*lines, (b"x-request-id", call_id.encode()), *limits])
            outlet.end(body)
        except asyncio.CancelledError:
            if not connection.is_lost or connection.task is None:
                raise
            connection.task.uncancel()  # the caller left, nobody cancels us: all is settled, and no one is there to answer
        finally:
            connection.cancels_on_loss = False

    async def _call(self, operation: Operation, call_id: str, principal: Principal, body: bytes, outlet: Outlet) -> None:
        call = self._gate.call(call_id, operation, principal, peek(operation, body))
        admission = self._gate.admit(call) or await self._gate.admit_shared(call)
        if call.peek.stream:
            await self._stream(admission, outlet)
        else:
            await self._whole(admission, outlet)

    def _headers(self, admission: Admission) -> Headers:
        call = admission.call
        return [(b"x-request-id", call.id.encode()), *self._gate.headers(call.principal)]

    async def _whole(self, admission: Admission, outlet: Outlet) -> None:
        outcome = Outcome()
        try:
            body = await self._read_whole(admission, outcome)
        except GatewayError as error:
            outcome.fail(error)
            raise
        except asyncio.CancelledError:
            _left(admission, outcome, self._gate)
            raise
        finally:
            self._gate.settle(admission, outcome)
        if self._committed is not None:
            await self._committed()
        outlet.begin(200, [_JSON, (b"content-length", b"%d" % len(body)), *self._headers(admission)])
        outlet.end(body)

    async def _read_whole(self, admission: Admission, outcome: Outcome) -> bytes:
        call = admission.call
        exchange = await self._gate.run(admission)
        try:
            outcome.first_byte_s = time.perf_counter() - call.started_at
            _expect(exchange, b"json")
            body = await exchange.read()
            usage = read_reply(body)
        finally:
            exchange.close()
        outcome.status = 200
        if usage is None:
            outcome.usage, outcome.usage_source = _counted(call, count_output(body)), "counted"
        else:
            outcome.usage, outcome.usage_source = usage, "reported"
        return body

    async def _stream(self, admission: Admission, outlet: Outlet) -> None:
        call = admission.call
        outcome = Outcome()
        meter = StreamMeter(wants_usage=call.peek.wants_usage)
        last = b""
        has_begun = False
        try:
            exchange = await self._gate.run(admission)
            try:
                _expect(exchange, b"text/event-stream")
                first = await self._first(exchange, meter)
                outcome.first_byte_s = time.perf_counter() - call.started_at
                outlet.begin(200, _EVENTS + self._headers(admission))
                has_begun = True
                last = await self._relay(admission, exchange, meter, first, outlet)
            finally:
                exchange.close()
            outcome.status = 200
            if meter.failure is not None:
                raise meter.failure
        except GatewayError as error:
            outcome.fail(error)
            if not has_begun:
                raise
            _untie(error)
            last += _failed_event(error)
        except asyncio.CancelledError:
            cut = _left(admission, outcome, self._gate)
            if has_begun:  # if it is the caller who left, this goes nowhere
                outlet.end(_failed_event(cut))
            raise
        finally:
            _count_stream(call, meter, outcome)
            self._gate.settle(admission, outcome)
        if self._committed is not None:
            await self._committed()
        outlet.end(last)

    async def _first(self, exchange: Exchange, meter: StreamMeter) -> bytes:
        """The first events, before anything is promised to the caller: until then a failure is a plain error answer."""
        while True:
            piece = await exchange.next()
            if piece is None:
                return meter.end()
            events = meter.feed(piece)
            if events or meter.is_done:
                return events

    async def _relay(self, admission: Admission, exchange: Exchange, meter: StreamMeter, events: bytes, outlet: Outlet) -> bytes:
        """Pass events on until the stream is done or has failed; returns the last ones, which wait for the settlement."""
        last = events

        def pass_on(piece: bytes) -> Awaitable[None] | bool:
            nonlocal last
            events = meter.feed(piece)
            if meter.is_done or meter.failure is not None:
                last = events
                return False
            if not self._gate.extend(admission, meter.delivered):
                raise ExpiredKey("The stream was cut: its API key has expired.")
            return outlet.write(events) if events else True

        if not meter.is_done and meter.failure is None:
            last = b""
            verdict = outlet.write(events)
            if verdict is not True:
                await cast(Awaitable[None], verdict)
            await exchange.pipe(pass_on)
        if meter.is_done:
            exchange.finish()
        elif meter.failure is None:
            last = meter.end()
        return last


def _expect(exchange: Exchange, kind: bytes) -> None:
    content_type = exchange.header(b"content-type")
    if content_type is not None and kind not in content_type.lower():
        raise UpstreamInvalid(f"The provider answered with `{content_type.decode('latin-1')[:100]}`.")


def _untie(error: GatewayError) -> None:
    """Drop the traceback of an error that is dealt with.

    Its frames hold the call with its body, and an outcome or a reply that holds the error: a knot that only the garbage collector
    undoes, and it looks seldom.
    """
    error.__traceback__ = None


def _failed_event(error: GatewayError) -> bytes:
    """The last event of a stream that failed: the SDKs raise on a top-level `error`. No `[DONE]` follows."""
    return b"data: " + openai_errors.render(error) + b"\n\n"


def _left(admission: Admission, outcome: Outcome, gate: Gate) -> GatewayError:
    """The task was cancelled: the caller left, or the gate ran out of patience while stopping.

    A provider charges for what it began, whoever is there to read it; so the input is billed as counted, with what was delivered.
    """
    cut = ShuttingDown("The gate stopped.") if gate.is_draining else ClientGone("The caller left.")
    outcome.fail(cut)
    outcome.usage, outcome.usage_source = _counted(admission.call, 0), "counted"
    return cut


def _counted(call: Call, output_tokens: int) -> Usage:
    """Our own count where the provider reports none: four bytes of the request are about a token."""
    return Usage(input_tokens=-(-len(call.peek.body) // 4), output_tokens=0 if call.operation == "embed" else output_tokens)


def _count_stream(call: Call, meter: StreamMeter, outcome: Outcome) -> None:
    """What a stream is billed: what the provider reported, else what was delivered, else nothing."""
    if meter.usage is not None:
        outcome.usage, outcome.usage_source = meter.usage, "reported"
    elif meter.delivered or isinstance(outcome.error, ClientGone | ShuttingDown | UpstreamBroken) and outcome.first_byte_s:
        outcome.usage, outcome.usage_source = _counted(call, meter.delivered), "counted"
