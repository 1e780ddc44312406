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
Shown = tuple[str, bytes]
"""Whose a call is, and what they showed for it: a principal may have several sessions or secrets, of which one ends."""


class OpenSocket(msgspec.Struct):
    """A WebSocket.

    Attributes:
        principal: Whose it is.
        cut: Ends it, with an error as its last word.
        check_place: Raises if a principal may not call from where this was opened; None: it was nowhere.
        expires_at: Unix seconds at which it ends; None: never.
    """

    principal: Principal
    cut: Cut
    check_place: Callable[[Principal], None] | None = None
    expires_at: float | None = None

    def __post_init__(self) -> None:
        self.expires_at = self.principal.expires_at


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
            if socket.expires_at is not None and socket.expires_at <= now:
                socket.cut(ExpiredKey("This API key has expired."))

    async def look(self) -> None:
        """End what is open of those who may call no longer, or not this.

        Raises:
            StoreUnavailable: The database did not answer; the rest goes on for now.
        """
        streaming = {_shown(stream.admission.call.principal) for stream in self._gate.streams.values()}
        everybody = sorted(streaming | {_shown(socket.principal) for socket in self.sockets.values()})
        for start in range(0, len(everybody), AT_ONCE):
            some = everybody[start : start + AT_ONCE]
            await self._judge(some, await asyncio.gather(*map(self._standing, some)))

    async def _standing(self, shown: Shown) -> Principal | GatewayError:
        try:
            principal, refused = await self._identity.look_at(*shown)
        except UnknownKey:
            return RevokedKey("This API key is not there any more.")
        return refused or principal

    async def _judge(self, some: Sequence[Shown], standings: Sequence[Principal | GatewayError]) -> None:
        known = dict(zip(some, standings, strict=True))
        for stream in list(self._gate.streams.values()):
            now = known.get(_shown(stream.admission.call.principal))
            error = now if isinstance(now, GatewayError) else now and await self._objection(stream, now)
            if error is not None:
                stream.cut(_fresh(error))
        for socket in list(self.sockets.values()):
            now = known.get(_shown(socket.principal))
            if isinstance(now, Principal):
                socket.expires_at = now.expires_at
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


def _shown(principal: Principal) -> Shown:
    return principal.id, principal.credential


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
