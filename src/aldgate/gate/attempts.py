"""Runs an admitted call: attempts at its deployments, until a reply of one has begun well."""

from __future__ import annotations

import time
from copy import deepcopy

from aldgate.core.calls import Admission, Attempt
from aldgate.core.errors import GatewayError, UpstreamInvalid
from aldgate.core.operations import Request
from aldgate.core.routes import Deployment, Plan, Seat, Stage
from aldgate.gate.money.brought import of_own, own_credential
from aldgate.gate.routing.affinity import Served
from aldgate.gate.routing.live import Live
from aldgate.gate.routing.trials import Ask, Count, Trial
from aldgate.gate.runs import Run
from aldgate.gate.translation.guarded import GuardedTranslation, JudgedExchange
from aldgate.gate.translation.guarding import Guarding
from aldgate.gate.translation.outgoing import guarded, may_be_sealed, parsed, written
from aldgate.gate.translation.signatures import unsealed
from aldgate.gate.translation.spoken import spoken
from aldgate.ports import Backend, Exchange, FaceDialect, Relay, UpstreamDialect

_LONGEST_FAULT_BYTES = 65_536


class Attempts:
    """Makes attempts at backends: for most calls one, at the only deployment there is; else as many as a `Trial` wants.

    Args:
        live: How deployments are doing.
        count: Is told of each attempt that failed.
        retries: How often a deployment that is on no route is asked again.

    Attributes:
        guarding: What policies' guardrails do; one that can ask somebody else takes the place of this one.
    """

    def __init__(self, live: Live, count: Count, retries: int) -> None:
        self.guarding = Guarding({})
        self._live = live
        self._count = count
        self.retries = retries

    async def run(self, admission: Admission, face: FaceDialect) -> Run:
        """See `Gate.run`."""
        if admission.call.principal.rights.guardrails:
            admission.is_waiting = True  # nobody was asked yet: whoever leaves meanwhile owes nothing
            admission.guarded = await self.guarding.check(admission, face)
            admission.is_waiting = False
        plan = admission.plan
        if plan is not None:
            return await Trial(admission, plan, self._live, self._asking(admission, face), self._count).run()
        deployment = admission.deployment
        try:
            run = await self._try(admission, deployment, face)
        except GatewayError as error:
            met = error
        else:
            if deployment.id in self._live.troubled:
                self._live.began(deployment, run.first_byte_s)
            return run
        if not self.retries:
            self._live.failed(deployment, met)
            self._count(deployment, met)
            raise met
        alone = Plan(stage=Stage((Seat(deployment),)), retries=self.retries)
        trial = Trial(admission, alone, self._live, self._asking(admission, face), self._count)
        return await trial.resume(deployment, met, time.perf_counter() - admission.call.started_at)

    def _asking(self, admission: Admission, face: FaceDialect) -> Ask:
        """Makes attempts that read the request once, however many of them have to translate it."""
        asked: Request | None = None
        call = admission.call
        sealed = may_be_sealed(admission)

        async def ask(deployment: Deployment, served: Served | None) -> Run:
            nonlocal asked
            if sealed and (served is None or served.backend != deployment.backend):
                given = admission.guarded
                whole = parsed(face, admission) if given is None else deepcopy(given.changed)
                return await self._try(admission, deployment, face, unsealed(whole))
            if admission.guarded is not None:
                return await self._try(admission, deployment, face)
            backend: Backend = call.backends[deployment.backend]
            upstream = spoken(backend, deployment).get(face.name)
            if upstream is not None and call.operation in upstream.operations:
                return await self._try(admission, deployment, face)
            asked = asked or parsed(face, admission)
            return await self._try(admission, deployment, face, asked)

        return ask

    async def _try(self, admission: Admission, deployment: Deployment, face: FaceDialect, asked: Request | None = None) -> Run:
        """One attempt. With `asked`, the request is written anew, even for a provider of the caller's dialect."""
        call = admission.call
        backend: Backend = call.backends[deployment.backend]
        warnings: list[str] = []
        given = admission.guarded
        waits = False
        if given is None:
            upstream, body, relay = written(admission, deployment, backend, face, warnings, asked)
        else:
            upstream, body, relay = guarded(admission, given, deployment, backend, face, warnings, asked)
            waits = relay.waits
        attempt = Attempt(call.id, call.operation, deployment, body, call.peek.stream, upstream.name, call.peek.forward)
        if call.principal.own is not None:
            attempt.own = own_credential(call, deployment)
        exchange = await backend.start(attempt)
        if waits and isinstance(relay, GuardedTranslation):
            exchange = JudgedExchange(exchange, relay, self.guarding.judge(admission))
            relay = exchange.told
        try:
            if exchange.status != 200:
                fault = await _fault(exchange, upstream)
                raise fault if attempt.own is None else of_own(fault, deployment.backend)
            first_byte_s = time.perf_counter() - call.started_at
            if call.peek.stream:
                first = await _first(exchange, relay, upstream, is_alone=len(admission.candidates) == 1)
            else:
                first = await _whole(exchange, relay)
        except BaseException:
            exchange.close()
            raise
        admission.tier = attempt.tier
        return Run(exchange, relay, first, first_byte_s, warnings)


async def _whole(exchange: Exchange, relay: Relay) -> bytes:
    _expect(exchange, b"json")
    body = await exchange.read()
    exchange.close()
    return relay.whole(body)


async def _first(exchange: Exchange, relay: Relay, upstream: UpstreamDialect, *, is_alone: bool) -> bytes:
    """The first events, before anything is promised to the caller: until then a failure is a plain error answer.

    Where another deployment could answer instead (not `is_alone`), what says nothing yet waits for what follows it.
    """
    _expect(exchange, upstream.stream_type)
    events = b""
    while True:
        piece = await exchange.next()
        if piece is None:
            return events + relay.end()
        events += relay.feed(piece)
        if relay.is_done or relay.failure is not None or (events and (is_alone or relay.delivered or not _is_overture(events))):
            return events


def _is_overture(events: bytes) -> bool:
    """Whether these are comments that keep a connection awake, with one event of a single line among them at the most."""
    return sum(line[:1] not in (b"", b":", b"\r") for line in events.split(b"\n")) <= 1


def _expect(exchange: Exchange, kind: bytes) -> None:
    content_type = exchange.header(b"content-type")
    if content_type is not None and kind not in content_type and kind not in content_type.lower():
        raise UpstreamInvalid(f"The provider answered with `{content_type.decode('latin-1')[:100]}`.")


async def _fault(exchange: Exchange, upstream: UpstreamDialect) -> GatewayError:
    retry_after_s = _retry_after(exchange)
    pieces: list[bytes] = []
    while sum(map(len, pieces)) < _LONGEST_FAULT_BYTES and (piece := await exchange.next()) is not None:
        pieces.append(piece)
    return upstream.read_error(exchange.status, b"".join(pieces), retry_after_s)


def _retry_after(exchange: Exchange) -> int | None:
    """Whole seconds the upstream asks us to wait, at least 1 and at most a minute: the SDKs obey whatever we pass on."""
    milliseconds, seconds = exchange.header(b"retry-after-ms"), exchange.header(b"retry-after")
    try:
        if milliseconds is not None:
            return min(60, max(1, -(-int(milliseconds) // 1000)))
        return None if seconds is None else min(60, max(1, round(float(seconds))))
    except (ValueError, OverflowError):
        return None
