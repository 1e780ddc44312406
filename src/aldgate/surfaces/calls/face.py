"""A face in any dialect: reads the request, walks it through the gate, writes the answer, whole or streamed.

What differs between faces is the dialect, and the paths that lead here; the way through is the same for all.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Generator, Mapping
from contextlib import suppress
from functools import lru_cache, partial
from typing import Any, cast

import msgspec

from aldgate.core.calls import Admission, Named, Outcome, Peek
from aldgate.core.errors import BudgetExceeded, ClientGone, GatewayError, ShuttingDown, UpstreamBroken
from aldgate.core.principals import Operation, Principal
from aldgate.gate.explain.explain import explain
from aldgate.gate.explain.explanation import Explanation
from aldgate.gate.gate import Gate
from aldgate.gate.money.bounds import counted
from aldgate.gate.policies.shaping import shaped
from aldgate.gate.principals.identity import Identity
from aldgate.gate.runs import OpenStream, Run
from aldgate.gate.watch import Watch
from aldgate.gate.whole import Committed, left, recorded, whole
from aldgate.limiter.headers import rate_headers
from aldgate.ports import FaceDialect, Relay
from aldgate.surfaces.calls.cache import LARGEST_ANSWER_BYTES, Cache, Kept, check_may_be_made, key_of, nothing_kept
from aldgate.surfaces.calls.explained import ASKS, Telling, is_denial, with_explanation
from aldgate.surfaces.calls.idempotency import IDEMPOTENCY_KEY, Once, asked_by, idempotency_key
from aldgate.surfaces.calls.recorder import Recorder
from aldgate.surfaces.http.asgi import Handler, Headers, Outlet, Receive, Scope, Send, headers_of
from aldgate.surfaces.http.bodies import BytesInFlight, bounded, check_json, read_body
from aldgate.surfaces.http.credentials import check_place, come_from, place_of_call, secret_of
from aldgate.surfaces.server.listener import Connection

ReadNamed = Callable[[Scope], Named]

_JSON = (b"content-type", b"application/json")


class Doors(msgspec.Struct, frozen=True):
    """What every face needs.

    Attributes:
        committed: With strict durability, waits until what was settled is on disk; None does not wait.
        max_body_bytes: Largest request body.
    """

    gate: Gate
    identity: Identity
    watch: Watch
    once: Once
    cache: Cache
    in_flight: BytesInFlight
    committed: Committed | None
    max_body_bytes: int


class Face:
    """Handlers for the paths of one dialect that make calls.

    Attributes:
        may_be_cached: False where an answer is more than what it says, because it is kept under its id.
    """

    may_be_cached = True

    def __init__(self, dialect: FaceDialect, doors: Doors) -> None:
        self._dialect = dialect
        self._gate = doors.gate
        self._identity = doors.identity
        self._once = doors.once
        self._cache = doors.cache
        self._in_flight = doors.in_flight
        self._committed = doors.committed
        self._max_body_bytes = doors.max_body_bytes
        charset = b"; charset=utf-8" if dialect.stream_type.startswith(b"text/") else b""
        self._stream_headers: Headers = [
            (b"content-type", dialect.stream_type + charset),
            (b"cache-control", b"no-cache"),
            (b"x-accel-buffering", b"no"),
        ]

    def serving(self, operation: Operation, read_named: ReadNamed | None = None) -> Handler:
        """The handler for a path of an operation. `read_named` reads what the dialect says in path and headers."""
        return partial(self._serve, operation, read_named)

    async def _serve(
        self, operation: Operation, read_named: ReadNamed | None, scope: Scope, receive: Receive, send: Send
    ) -> None:
        call_id = self._gate.new_id()
        connection: Connection = scope["aldgate.connection"]
        connection.cut_on_loss()
        come_from(scope)
        outlet = connection.outlet
        principal: Principal | None = None
        named: Named | None = None
        body = b""
        headers = headers_of(scope)
        try:
            secret = secret_of(headers)
            generation = self._identity.generation
            principal = (self._identity.known(secret) if secret else None) or await self._identity.identify(secret)
            if principal.rights.tells_places:
                check_place(principal, scope)
            check_json(headers)
            whole_body = outlet.take_body()
            if whole_body is not None:
                body = bounded(whole_body, self._max_body_bytes, self._in_flight)
            else:
                body = await read_body(headers, receive, self._max_body_bytes, self._in_flight)
            try:
                if self._identity.generation != generation:  # to read a body can take long
                    principal = await self._again(secret, scope)
                if ASKS in headers:
                    outlet = Telling(outlet)
                named = read_named(scope) if read_named is not None else None
                key = idempotency_key(headers) if IDEMPOTENCY_KEY in headers else None
                if key is None and (b"x-aldgate-cache" in headers or b"cache-control" in headers or self._cache.models):
                    await self._cached(headers, operation, call_id, principal, body, named, outlet)
                elif key is None:
                    await self._call(operation, call_id, principal, body, named, outlet)
                else:
                    connection.cancels_on_loss = False  # such a call runs to its end: its answer is owed to the repetition
                    call = partial(self._call, operation, call_id, principal, body, named)
                    await self._once.serve(principal.id, key, asked_by(scope, headers) + b"\0" + body, outlet, call)
            finally:
                self._in_flight.release(len(body))
        except GatewayError as error:
            _untie(error)
            status, lines, answer = self._dialect.error(error, call_id)
            limits = self._limits(principal) if principal is not None else []
            if error.attempts > 1:
                lines = [*lines, (b"x-aldgate-attempts", b"%d" % error.attempts)]
            if ASKS in headers and principal is not None and is_denial(error):
                connection.cancels_on_loss = False  # from here on, nothing takes a cancellation that is ours
                with suppress(GatewayError):  # the database is away: a refusal without its explanation is one all the same
                    explanation = await self._explained(error, operation, principal, body, named)
                    lines, answer = with_explanation(lines, answer, explanation)
            outlet.begin(status, [*lines, *limits])
            outlet.end(answer)
        except asyncio.CancelledError:
            if not connection.is_lost or connection.task is None:
                raise
            connection.task.uncancel()  # the caller left, nobody cancels us: all is settled, and no one is there to answer
        finally:
            connection.cancels_on_loss = False

    async def _again(self, secret: bytes, scope: Scope) -> Principal:
        """Who calls, by what is known now."""
        principal = await self._identity.identify(secret)
        if principal.rights.tells_places:
            check_place(principal, scope)
        return principal

    async def _call(
        self, operation: Operation, call_id: str, principal: Principal, body: bytes, named: Named | None, outlet: Outlet
    ) -> None:
        call = self._gate.call(call_id, operation, principal, self._peek(operation, principal, body, named))
        await self._run(self._gate.admit(call) or await self._gate.admit_shared(call), outlet)

    async def _explained(
        self, error: GatewayError, operation: Operation, principal: Principal, body: bytes, named: Named | None
    ) -> Explanation:
        """Why a call was refused, with `error`."""
        try:
            asked = await self._asked(operation, principal, body, named)
        except GatewayError as unreadable:
            asked = unreadable
        return await explain(self._gate, principal, operation, self._dialect, asked, error)

    async def _asked(self, operation: Operation, principal: Principal, body: bytes, named: Named | None) -> Peek:
        return self._peek(operation, principal, body, named)

    def _peek(self, operation: Operation, principal: Principal, body: bytes, named: Named | None) -> Peek:
        """What is asked, as the principal's policies will have it."""
        peek = self._dialect.peek(operation, body, named)
        return shaped(self._dialect, principal, operation, peek, named) if principal.rights.tells_parameters else peek

    def _run(self, admission: Admission, outlet: Outlet) -> Awaitable[Outcome]:
        return self._stream(admission, outlet) if admission.call.peek.stream else self._whole(admission, outlet)

    async def _cached(
        self,
        headers: Mapping[bytes, bytes],
        operation: Operation,
        call_id: str,
        principal: Principal,
        body: bytes,
        named: Named | None,
        outlet: Outlet,
    ) -> None:
        """A call that may be answered as one before was. It is admitted all the same; a kept answer costs nothing."""
        if not self.may_be_cached or principal.rights.guardrails:  # what was passed once need not pass again
            check_may_be_made(headers)
            return await self._call(operation, call_id, principal, body, named, outlet)
        call = self._gate.call(call_id, operation, principal, self._peek(operation, principal, body, named))
        terms = self._cache.terms(headers, call.operation, call.peek, principal.rights.retention_s)
        admission = self._gate.admit(call) or await self._gate.admit_shared(call)
        if terms is None:
            await self._run(admission, outlet)
            return
        key = key_of(self._dialect.name, terms, admission)
        try:
            kept = await self._cache.find(key, terms)
        except asyncio.CancelledError:
            gone = Outcome()
            gone.fail(ClientGone("The caller left."))
            self._gate.settle(admission, gone)
            raise
        if kept is None and terms.only_kept:
            missing, unmade = nothing_kept(), Outcome()
            unmade.fail(missing)
            self._gate.settle(admission, unmade)
            raise missing
        if kept is not None:
            self._gate.settle(admission, Outcome(200, usage_source="cache", first_byte_s=0.0))
            return await self._replay(admission, kept, outlet)
        recorder = Recorder(outlet, LARGEST_ANSWER_BYTES, [(b"x-aldgate-cache", b"miss")])
        with self._cache.making(key):
            if (await self._run(admission, recorder)).error is None:
                self._cache.keep(key, terms, recorder)

    async def _replay(self, admission: Admission, kept: Kept, outlet: Outlet) -> None:
        """Give a kept answer again, in the pieces that it came in."""
        if self._committed is not None:
            await recorded(self._committed)
        call = admission.call
        own = [(b"x-request-id", call.id.encode()), *self._limits(call.principal)]
        age = b"%d" % self._cache.age_s(kept)
        outlet.begin(200, [*kept.headers, *own, (b"x-aldgate-cache", b"hit"), (b"age", age)])
        for piece in kept.pieces[:-1]:
            verdict = outlet.write(piece)
            if verdict is not True:
                await cast(Awaitable[None], verdict)
        outlet.end(kept.pieces[-1])

    def _headers(self, admission: Admission, run: Run) -> Headers:
        call = admission.call
        served = _header_value(admission.deployment.id)
        headers = [(b"x-request-id", call.id.encode()), (b"x-aldgate-model", served), *self._limits(call.principal)]
        if run.attempts > 1:
            headers.append((b"x-aldgate-attempts", b"%d" % run.attempts))
        if run.warnings:
            headers.append((b"x-aldgate-warnings", _header_value("left out: " + ", ".join(run.warnings))))
        return headers

    def _limits(self, principal: Principal) -> Headers:
        return rate_headers(self._gate.standings(principal))

    async def _whole(self, admission: Admission, outlet: Outlet) -> Outcome:
        outcome = Outcome()
        run = await whole(self._gate, admission, self._dialect, outcome, self._committed)
        body = run.first
        outlet.begin(200, [_JSON, (b"content-length", b"%d" % len(body)), *self._headers(admission, run)])
        outlet.end(body)
        return outcome

    async def _stream(self, admission: Admission, outlet: Outlet) -> Outcome:
        call = admission.call
        outcome = Outcome()
        relay: Relay | None = None
        has_begun = False
        last = b""
        task = cast("asyncio.Task[Any]", asyncio.current_task())
        stream = self._gate.streams[call.id] = OpenStream(admission, task, place_of_call(), call.principal.expires_at)
        try:
            run = await self._gate.run(admission, self._dialect)
            relay = stream.relay = run.relay
            try:
                outcome.first_byte_s = run.first_byte_s
                if relay.failure is not None and not run.first:
                    raise relay.failure
                has_begun = True
                outlet.begin(200, self._stream_headers + self._headers(admission, run))
                last = await self._relay(admission, run, outlet)
            finally:
                run.exchange.close()
            outcome.status = 200
            if relay.failure is not None:
                raise relay.failure
        except GatewayError as error:
            outcome.fail(error)
            if relay is None or not has_begun:
                raise
            _untie(error)
            last += self._dialect.failed(error, call.id)
        except asyncio.CancelledError:
            cut = left(admission, outcome, self._gate)
            if admission.cut is None:
                if relay is not None:  # if it is the caller who left, this goes nowhere
                    outlet.end(self._dialect.failed(cut, call.id))
                raise
            task.uncancel()  # the gate itself has ended the call, and its task goes on to say so
            if relay is None:
                raise cut from None
            last = self._dialect.failed(cut, call.id)
        finally:
            del self._gate.streams[call.id]
            if relay is not None:
                _bill_stream(admission, relay, outcome)
            self._gate.settle(admission, outcome)
        if self._committed is not None:
            try:
                await recorded(self._committed)
            except GatewayError as error:
                outcome.error = error
                last = self._dialect.failed(error, call.id)
        outlet.end(last)
        return outcome

    async def _relay(self, admission: Admission, run: Run, outlet: Outlet) -> bytes:
        """Pass events on until the stream is done or has failed; returns the last ones, which wait for the settlement."""
        relay = run.relay
        last = run.first

        def pass_on(piece: bytes) -> Awaitable[None] | bool:
            nonlocal last
            events = relay.feed(piece)
            if relay.is_done or relay.failure is not None:
                last = events
                return False
            if relay.delivered >= admission.extend_at and not self._gate.extend(admission, relay.delivered):
                return _Later(partial(self._extended, admission, relay, events, outlet))
            return outlet.write(events) if events else True

        if not relay.is_done and relay.failure is None:
            last = b""
            await self._extended(admission, relay, run.first, outlet)
            await run.exchange.pipe(pass_on)
        if relay.is_done:
            run.exchange.finish()
        elif relay.failure is None:
            last = relay.end()
        if relay.delivered > admission.paid_output:
            await self._gate.extend_shared(admission, relay.delivered)
        return last

    async def _extended(self, admission: Admission, relay: Relay, events: bytes, outlet: Outlet) -> None:
        """Reserve what the stream needs to go on, whoever has to be asked, and pass events on."""
        if relay.delivered >= admission.extend_at:
            await self._gate.extend_shared(admission, relay.delivered)
        verdict = outlet.write(events) if events else True
        if verdict is not True:
            await cast(Awaitable[None], verdict)


class _Later:
    """Something to await whose coroutine is only made then: who is cancelled before leaves none behind."""

    def __init__(self, begin: Callable[[], Awaitable[None]]) -> None:
        self._begin = begin

    def __await__(self) -> Generator[Any, Any, None]:
        return self._begin().__await__()


def _untie(error: GatewayError) -> None:
    """Drop the tracebacks of an error that is dealt with, and of those that led to it.

    Its frames hold the call with its body, and an outcome or a reply that holds the error: a knot that only the garbage collector
    undoes, and it looks seldom.
    """
    met: BaseException | None = error
    while met is not None:
        met.__traceback__ = None
        met = met.__cause__ or met.__context__


@lru_cache(maxsize=4096)
def _header_value(text: str) -> bytes:
    if text.isascii() and text.isprintable():
        return text.encode()[:2_000]
    return "".join(character if character.isprintable() else " " for character in text).encode("ascii", "replace")[:2_000]


def _bill_stream(admission: Admission, relay: Relay, outcome: Outcome) -> None:
    """What a stream is billed: what the provider reported, else what was delivered, else nothing.

    Some report the input at the start and the output at the end: a stream that was cut between is billed what it delivered. One
    that its budget cut had as much delivered as was paid for; what came behind that was not passed on.
    """
    reported, delivered = relay.usage, relay.delivered
    is_spent = isinstance(outcome.error, BudgetExceeded) and admission.cut is None
    if is_spent:
        delivered = min(delivered, admission.paid_output)
    if reported is not None and (is_spent or not relay.is_done and reported.output_tokens < delivered):
        outcome.usage, outcome.usage_source = msgspec.structs.replace(reported, output_tokens=delivered), "counted"
    elif reported is not None:
        outcome.usage, outcome.usage_source = reported, "reported"
    elif delivered or isinstance(outcome.error, ClientGone | ShuttingDown | UpstreamBroken) and outcome.first_byte_s:
        outcome.usage, outcome.usage_source = counted(admission.call, delivered), "counted"
