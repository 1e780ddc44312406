"""Streams and sockets that are open, and whether those who opened them may still call: what was revoked ends at once."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Hashable, Sequence

from msgspec.structs import replace

from aldgate.core.calls import Admission
from aldgate.core.errors import GatewayError, PolicyDenied, RevokedKey, StoreUnavailable, UnknownKey
from aldgate.core.principals import Principal
from aldgate.gate.gate import Gate
from aldgate.gate.principals.identity import Identity

log = logging.getLogger("aldgate.watch")

AT_ONCE = 4
"""Principals looked up at once: half of the database's connections, so that calls need not wait."""
PAUSE_S = 0.1
"""Between two looks: keys that are made or changed in a row cost one."""

Cut = Callable[[GatewayError], None]
Shown = tuple[str, bytes]
"""Whose a call is, and what they showed for it: a principal may have several sessions or secrets, of which one ends."""


class Watch:
    """Looks at everybody who has something open when a principal was changed, here or by another process.

    Args:
        gate: Has the open streams, `gate.streams`.
        identity: Knows who may still call.

    Attributes:
        sockets: Whose they are, and what ends them.
    """

    def __init__(self, gate: Gate, identity: Identity) -> None:
        self._gate = gate
        self._identity = identity
        self._asked = asyncio.Event()
        self.sockets: dict[Hashable, tuple[Principal, Cut]] = {}

    def ask(self) -> None:
        """A principal was changed: look soon."""
        self._asked.set()

    async def run(self) -> None:
        """Look whenever asked, until cancelled."""
        while True:
            await self._asked.wait()
            self._asked.clear()
            try:
                await self.look()
            except StoreUnavailable as error:
                log.warning("it is not known whether all who have streams open may still call", exc_info=error)
                self._asked.set()
            await asyncio.sleep(PAUSE_S)

    async def look(self) -> None:
        """End what is open of those who may call no longer, or not this.

        Raises:
            StoreUnavailable: The database did not answer; the rest goes on for now.
        """
        streaming = {_shown(admission.call.principal) for admission, _ in self._gate.streams.values()}
        everybody = sorted(streaming | {_shown(principal) for principal, _ in self.sockets.values()})
        for start in range(0, len(everybody), AT_ONCE):
            some = everybody[start : start + AT_ONCE]
            self._judge(some, await asyncio.gather(*map(self._standing, some)))

    async def _standing(self, shown: Shown) -> Principal | GatewayError:
        try:
            principal, refused = await self._identity.look_at(*shown)
        except UnknownKey:
            return RevokedKey("This API key is not there any more.")
        return refused or principal

    def _judge(self, some: Sequence[Shown], standings: Sequence[Principal | GatewayError]) -> None:
        known = dict(zip(some, standings, strict=True))
        for admission, task in list(self._gate.streams.values()):
            now = known.get(_shown(admission.call.principal))
            error = objection(self._gate, admission, now) if isinstance(now, Principal) else now
            if error is not None and admission.cut is None:
                admission.cut = _fresh(error)
                task.cancel()
        for principal, cut in list(self.sockets.values()):
            now = known.get(_shown(principal))
            if isinstance(now, GatewayError):
                cut(_fresh(now))


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


def _fresh(error: GatewayError) -> GatewayError:
    return type(error)(error.message, param=error.param)
