"""Streams and sockets that are open, and whether those who opened them may still call: what was revoked ends at once."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Hashable, Sequence
from contextlib import suppress

import msgspec
from msgspec.structs import replace

from aldgate.core.calls import UNBOUND, Admission
from aldgate.core.errors import ExpiredKey, GatewayError, PolicyDenied, RevokedKey, StoreUnavailable, UnknownKey
from aldgate.core.principals import Principal
from aldgate.gate.gate import Gate
from aldgate.gate.principals.identity import Identity
from aldgate.gate.runs import OpenStream

log = logging.getLogger("aldgate.watch")

AT_ONCE = 4
"""Principals looked up at once: half of the database's connections, so that calls need not wait."""
PAUSE_S = 0.1
"""Between two looks: keys that are made or changed in a row cost one."""
TICK_S = 0.5
"""At the most between two looks at whose time is over."""

Cut = Callable[[GatewayError], None]


class OpenSocket(msgspec.Struct):
    """A WebSocket.

    Attributes:
        principal: Whose it is.
        cut: Ends it, with an error as its last word.
        check_place: Raises if a principal may not call from where this was opened; None: it was nowhere.
    """

    principal: Principal
    cut: Cut
    check_place: Callable[[Principal], None] | None = None


class Watch:
    """Looks at everybody who has something open when a principal was changed, here or by another process, and when one expires.

    Args:
        gate: Has the open streams, `gate.streams`.
        identity: Knows who may still call.
        now: Unix seconds.

    Attributes:
        sockets: Those that are open.
    """

    def __init__(self, gate: Gate, identity: Identity, now: Callable[[], float] = time.time) -> None:
        self._gate = gate
        self._identity = identity
        self._now = now
        self._asked = asyncio.Event()
        self.sockets: dict[Hashable, OpenSocket] = {}

    def ask(self) -> None:
        """A principal was changed: look soon."""
        self._asked.set()

    async def run(self) -> None:
        """Look whenever asked, until cancelled."""
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(TICK_S):
                    await self._asked.wait()
            self.expire()
            if not self._asked.is_set():
                continue
            self._asked.clear()
            try:
                await self.look()
            except StoreUnavailable as error:
                log.warning("it is not known whether all who have streams open may still call", exc_info=error)
                self._asked.set()
            await asyncio.sleep(PAUSE_S)

    def expire(self) -> None:
        """End what is open of those whose time is over."""
        now = self._now()
        for stream in list(self._gate.streams.values()):
            if stream.expires_at is not None and stream.expires_at <= now:
                stream.cut(ExpiredKey("The stream was cut: its API key has expired."))
        for socket in list(self.sockets.values()):
            expires_at = socket.principal.expires_at
            if expires_at is not None and expires_at <= now:
                socket.cut(ExpiredKey("This API key has expired."))

    async def look(self) -> None:
        """End what is open of those who may call no longer, or not this.

        Raises:
            StoreUnavailable: The database did not answer; the rest goes on for now.
        """
        streaming = {stream.admission.call.principal.id for stream in self._gate.streams.values()}
        ids = sorted(streaming | {socket.principal.id for socket in self.sockets.values()})
        for start in range(0, len(ids), AT_ONCE):
            some = ids[start : start + AT_ONCE]
            await self._judge(some, await asyncio.gather(*map(self._standing, some)))

    async def _standing(self, principal_id: str) -> Principal | GatewayError:
        try:
            principal, refused = await self._identity.look_at(principal_id)
        except UnknownKey:
            return RevokedKey("This API key is not there any more.")
        return refused or principal

    async def _judge(self, ids: Sequence[str], standings: Sequence[Principal | GatewayError]) -> None:
        known = dict(zip(ids, standings, strict=True))
        for stream in list(self._gate.streams.values()):
            now = known.get(stream.admission.call.principal.id)
            error = now if isinstance(now, GatewayError) else now and await self._objection(stream, now)
            if error is not None:
                stream.cut(_fresh(error))
        for socket in list(self.sockets.values()):
            now = known.get(socket.principal.id)
            if isinstance(now, Principal):
                socket.principal = now
                now = _misplaced(socket.check_place, now)
            if now is not None:
                socket.cut(_fresh(now))

    async def _objection(self, stream: OpenStream, principal: Principal) -> GatewayError | None:
        """What speaks against a stream, by what its principal may do now; else it is held to that from here on."""
        admission, rights = stream.admission, principal.rights
        error = objection(self._gate, admission, principal) or _misplaced(stream.check_place, principal)
        if error is not None:
            return error
        stream.expires_at = principal.expires_at
        steps = self._gate.steps
        steps.restrict(
            admission, UNBOUND if rights.max_output_tokens is None else rights.max_output_tokens * admission.call.peek.choices
        )
        if not rights.has_budget and not admission.parts:
            return None
        try:
            await steps.adapt(admission, principal, stream.delivered)
        except StoreUnavailable:
            raise
        except GatewayError as refused:
            return refused
        return None


def objection(gate: Gate, admission: Admission, principal: Principal) -> GatewayError | None:
    """What speaks against a call that is under way, by what its principal may do now."""
    call = replace(admission.call, principal=principal)
    try:
        able = gate.candidates(call)
    except GatewayError as error:
        return error
    if admission.deployment.id not in {deployment.id for deployment in able}:
        return PolicyDenied(f"A policy does not allow `{admission.deployment.id}` any more.", param="model")
    return None


def _misplaced(check_place: Callable[[Principal], None] | None, principal: Principal) -> GatewayError | None:
    if check_place is None or not principal.rights.tells_places:
        return None
    try:
        check_place(principal)
    except GatewayError as error:
        return error
    return None


def _fresh(error: GatewayError) -> GatewayError:
    return type(error)(error.message, param=error.param)
