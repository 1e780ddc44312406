"""Rates and concurrency shared by several processes: one script per call for all its limits, in Valkey or Redis."""

import asyncio
import ssl
import struct
from collections.abc import Callable, Mapping, Sequence

from aldgate.core.errors import StoreUnavailable
from aldgate.limiter.claims import Claim, Standing, Unit
from aldgate.limiter.valkey.address import parse_address
from aldgate.limiter.valkey.calls import Asking, Plan, ValkeyTaken, standings_of
from aldgate.limiter.valkey.link import Link
from aldgate.limiter.valkey.presence import Presence
from aldgate.limiter.valkey.scripts import Scripts

MOST_PLANS = 10_000
_LEVEL = struct.Struct("<2d")


class ValkeyLimiter:
    """Limits that hold over all processes with the same server and prefix. Rates go by the server's clock.

    Args:
        url: See `parse_address`.
        process: What this process is called there, for people; no two need differ.
        is_open: Whether a claim lets calls through unchecked while Valkey is away. One that does not refuses them all.
        prefix: Keys begin with it in braces, a hash tag.
        timeout_s: Seconds within which Valkey must answer; later it counts as away.
        beat_s: Seconds between two heartbeats.
        lapse_s: Seconds without one after which a process is missed; two beats later its calls are taken to have ended.
        tls: For `valkeys://`; None trusts the system's authorities.
        scripts: For tests with a clock of their own.

    Raises:
        InvalidConfiguration: The URL is none.
    """

    def __init__(
        self,
        url: str,
        *,
        process: str,
        is_open: Callable[[Claim], bool],
        prefix: str = "aldgate",
        timeout_s: float = 0.25,
        beat_s: float = 1.0,
        lapse_s: float = 3.0,
        tls: ssl.SSLContext | None = None,
        scripts: Scripts | None = None,
    ) -> None:
        self._is_open = is_open
        self._prefix = f"{{{prefix}}}"
        self._beat_s = beat_s
        self._scripts = scripts or Scripts()
        registry = f"{self._prefix}:processes".encode()
        self._presence = Presence(process, registry, self._scripts, lapse_s=lapse_s, grace_s=2 * beat_s)
        self._link = Link(parse_address(url), tls, timeout_s, self._scripts, self._presence)
        self._plans: dict[tuple[tuple[str, str, int], ...], Plan] = {}

    @property
    def is_up(self) -> bool:
        """True while Valkey can be asked."""
        return self._link.is_up

    async def open(self) -> None:
        """Connect for the first time. `run` would do so as well, but says nothing if it fails.

        Raises:
            StoreUnavailable: Valkey is away, or refuses us.
        """
        await self._link.connect()

    async def run(self) -> None:
        """Keep the heartbeat, and reconnect after a loss; until cancelled."""
        await self._link.keep(self._beat_s)

    async def aclose(self) -> None:
        """Let what was settled arrive, and take this process off the registry."""
        await self._link.aclose()

    def _plan(self, claims: Sequence[Claim]) -> Plan:
        counters = tuple([(account, unit, period_s) for account, unit, _, period_s, _, _ in claims])
        plan = self._plans.get(counters)
        if plan is None:
            if len(self._plans) >= MOST_PLANS:
                self._plans.clear()
            plan = self._plans[counters] = Plan(self._prefix, counters, self._scripts)
        return plan

    async def take(self, claims: Sequence[Claim]) -> ValkeyTaken:
        """Check every claim, then spend every claim, in one step over all processes. What is refused spends nothing.

        Safe to cancel: what was taken all the same is given back.

        Args:
            claims: At least one; no two on the same account, unit and period.

        Raises:
            RateLimited: Names the limit; `retry_after_s` is when all that are spent now suffice again.
            ConcurrencyLimited: As many calls as allowed are under way.
            StoreUnavailable: Valkey is away, and one of the claims is not to pass unchecked.
        """
        asking = Asking(claims, self._plan(claims), self._link, self._presence, self._is_open, self._give_back)
        asking.send()
        try:
            return await asking.future
        except asyncio.CancelledError:
            asking.forsake()
            raise

    def settle(self, taken: ValkeyTaken, used: Mapping[Unit, int]) -> None:
        """End a call: its places come back, and those units that it claimed and did not use. Never waits; once is enough.

        Args:
            taken: What `take` gave.
            used: Units of each kind; those of a kind that is missing were all used.
        """
        if taken.is_settled:
            return
        taken.is_settled = True
        self._tell(taken, used)

    def leave(self, taken: ValkeyTaken) -> None:
        """End a call whose units are not known yet: its places come back now, and `settle` says the rest later."""
        if not (taken.is_settled or taken.has_left):
            self._tell(taken, {})

    def _tell(self, taken: ValkeyTaken, used: Mapping[Unit, int]) -> None:
        is_up, holds_places = self._link.is_up, not taken.has_left
        taken.has_left = True
        if holds_places and taken.plan.places:
            self._presence.remove(taken.plan.places)
        command = taken.settlement(self._presence.bulk if is_up and holds_places else b"", used)
        if command is None:
            return
        if is_up:
            self._link.post(command)
        else:
            self._link.owe(command)  # places come back when this process joins again

    def _give_back(self, taken: ValkeyTaken) -> None:
        self.settle(taken, {claim.unit: 0 for claim in taken.claims})

    async def standings(self, claims: Sequence[Claim]) -> list[Standing]:
        """How each claim's limit stands now; nothing is spent.

        Raises:
            StoreUnavailable: Valkey is away.
        """
        plan = self._plan(claims)
        reply = await self._link.ask(plan.standings + plan.packed(claims))
        if not isinstance(reply, bytes):
            raise StoreUnavailable("Valkey answered with something else than was asked.", retry_after_s=1)
        levels = ((level, rest) for level, rest in _LEVEL.iter_unpack(reply))
        return standings_of(claims, levels)
