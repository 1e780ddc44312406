"""One call's claims at Valkey: how they are sent, what comes back, and what that means."""

import asyncio
import struct
from collections.abc import Callable, Iterator, Mapping, Sequence

from aldgate.core.errors import GatewayError, StoreUnavailable
from aldgate.core.limits import SECOND, Bucket
from aldgate.limiter.claims import LONGEST_PERIOD_S, Claim, Standing, Unit, concurrency_limited, rate_limited
from aldgate.limiter.valkey.connection import is_error
from aldgate.limiter.valkey.link import Link
from aldgate.limiter.valkey.presence import Presence
from aldgate.limiter.valkey.resp import Reply, bulk
from aldgate.limiter.valkey.scripts import Scripts

MOST = 2**50
"""More units than anybody has; as much as the scripts add up exactly."""
MILLISECOND = 1_000_000
REFUSED, NOT_REGISTERED, NOBODY_KNOWS = 0, -1, -2
TRIES = 4
_VERDICT = struct.Struct("<d")
_STATE = struct.Struct("<5d")
_STRICT, _LENIENT = bulk(b"0"), bulk(b"1")


class Plan:
    """What calls with claims on the same counters have in common.

    Args:
        prefix: What all keys begin with: a hash tag, so that one node of a cluster holds them all.
        counters: Account, unit and period of each claim.
        scripts: What is run.

    Raises:
        ValueError: A period is longer than the scripts add up exactly.
    """

    def __init__(self, prefix: str, counters: Sequence[tuple[str, str, int]], scripts: Scripts) -> None:
        if any(period_s > LONGEST_PERIOD_S for _, _, period_s in counters):
            raise ValueError(f"a limit is for {LONGEST_PERIOD_S} seconds at the most")
        keys = [f"{prefix}:{account}:{unit}:{period_s}".encode() for account, unit, period_s in counters]
        all_keys = (f"{prefix}:processes".encode(), *keys)
        self.places = tuple(key for key, (_, _, period_s) in zip(keys, counters, strict=True) if not period_s)
        self.take = scripts.take.head(all_keys, 3)
        self.settle = scripts.settle.head(all_keys, 4)
        self.standings = scripts.standings.head(all_keys, 1)
        self.pack = struct.Struct(f"<{3 * len(keys)}d").pack
        self.pack_uses = struct.Struct(f"<{len(keys)}d").pack
        self.no_state = bytes(_STATE.size * len(keys))

    def packed(self, claims: Sequence[Claim]) -> bytes:
        """The claims as the scripts read them."""
        values: list[int] = []
        for _, _, limit, period_s, units, _ in claims:
            values += (period_s * 1000, limit if limit < MOST else MOST, units if units < MOST else MOST)
        return bulk(self.pack(*values))


class ValkeyTaken:
    """See `Taken`. `state` is what the script gave, None where nobody was asked."""

    __slots__ = ("claims", "has_left", "is_settled", "packed", "plan", "state")

    def __init__(self, claims: Sequence[Claim], plan: Plan, packed: bytes, state: bytes | None) -> None:
        self.claims = claims
        self.plan = plan
        self.packed = packed
        self.state = state
        self.has_left = False
        self.is_settled = False

    def standings(self) -> list[Standing]:
        """See `Taken`."""
        if self.state is None:
            return []
        levels = ((level, rest) for level, rest, *_ in _STATE.iter_unpack(self.state))
        return standings_of(self.claims, levels)

    def settlement(self, name: bytes, used: Mapping[Unit, int]) -> bytes | None:
        """The command that gives back what was not used and takes what was used more; None if there is nothing to say.

        Args:
            name: As whose the places among calls under way come back, as a bulk string; empty if none must.
            used: Units of each kind; those of a kind that is missing were all used.
        """
        uses: list[int] = []
        is_right = True
        for _, unit, _, period_s, units, _ in self.claims:
            amount = used.get(unit, units) if period_s and self.state is not None else units
            if amount != units:
                is_right = False
                amount = max(0, min(amount, MOST))
            uses.append(amount)
        if is_right and not (name and self.plan.places):
            return None
        state = self.state or self.plan.no_state
        return self.plan.settle + (name or bulk(b"")) + self.packed + bulk(state) + bulk(self.plan.pack_uses(*uses))


def standings_of(claims: Sequence[Claim], levels: Iterator[tuple[float, float]]) -> list[Standing]:
    """How each claim's limit stands at a level of units and a remainder in units / period in ms; or calls under way and 0."""
    standings: list[Standing] = []
    for claim, (level, rest) in zip(claims, levels, strict=True):
        if claim.period_s:
            standings.append(Standing(claim.limit, *_bucket(claim, level, rest).standing(0)))
        else:
            standings.append(Standing(claim.limit, max(0, claim.limit - int(level)), 0))
    return standings


def _bucket(claim: Claim, level: float, rest: float) -> Bucket:
    return Bucket(claim.limit, claim.period_s * SECOND, (int(level) * claim.period_s * 1000 + int(rest)) * MILLISECOND)


def refusal(claims: Sequence[Claim], state: bytes) -> GatewayError:
    """Why it was refused: calls at once are looked at first, else it is the limit that lasts longest."""
    waits: list[tuple[int, Claim]] = []
    for claim, (level, rest, *_) in zip(claims, _STATE.iter_unpack(state), strict=True):
        if not claim.period_s:
            if level + claim.units > claim.limit:
                return concurrency_limited(claim, int(level))
        else:
            waits.append((_bucket(claim, level, rest).wait_ns(claim.units, 0), claim))
    wait_ns, longest = max(waits, key=lambda wait: wait[0])
    return rate_limited(longest, wait_ns)


class Asking:
    """A call that waits to be let in. `future` has what it took, or why it may not pass.

    Args:
        claims: What it claims.
        plan: Of these claims.
        link: The way to Valkey.
        presence: This process.
        is_open: See `ValkeyLimiter`.
        give_back: Is given what was taken for a caller who has left.
    """

    __slots__ = (
        "_claims",
        "_give_back",
        "_is_open",
        "_link",
        "_name",
        "_packed",
        "_plan",
        "_presence",
        "_pass",
        "_tries",
        "future",
    )

    def __init__(
        self,
        claims: Sequence[Claim],
        plan: Plan,
        link: Link,
        presence: Presence,
        is_open: Callable[[Claim], bool],
        give_back: Callable[[ValkeyTaken], None],
    ) -> None:
        self._claims = claims
        self._plan = plan
        self._link = link
        self._presence = presence
        self._is_open = is_open
        self._give_back = give_back
        self._packed = plan.packed(claims)
        self._name = b""
        self._pass = _STRICT
        self._tries = 0
        self.future: asyncio.Future[ValkeyTaken] = asyncio.get_running_loop().create_future()

    def send(self) -> None:
        """Ask Valkey, or find out at once that it is away."""
        presence = self._presence
        self._name = presence.name
        self._tries += 1
        self._link.send(self._plan.take + presence.bulk + self._pass + self._packed, self._answered)

    def _answered(self, reply: Reply | ConnectionError) -> None:
        if not isinstance(reply, bytes):
            self._not_answered(reply)
            return
        verdict = _VERDICT.unpack_from(reply)[0]
        if verdict > 0:
            self._took(reply[8:])
        elif verdict == REFUSED:
            if not self.future.done():
                self.future.set_exception(refusal(self._claims, reply[8:]))
        elif self._tries >= TRIES:
            self._link.fail("Valkey forgets this process as soon as it has joined.")
            self._unasked()
        elif verdict == NOT_REGISTERED:
            self._link.rejoin(self._name)
            self.send()
        else:
            self._nobody_knows()

    def _not_answered(self, reply: Reply | ConnectionError) -> None:
        if is_error(reply, "NOSCRIPT") and self._tries < TRIES:
            self._link.load()
            self.send()
            return
        if not isinstance(reply, ConnectionError):
            self._link.fail(str(reply))
        self._unasked()

    def _nobody_knows(self) -> None:
        """Valkey is back, or was emptied, and other processes have not yet said how many calls they have under way."""
        if all(claim.period_s or self._is_open(claim) for claim in self._claims):
            self._pass = _LENIENT
            self.send()
        elif not self.future.done():
            error = StoreUnavailable("How many calls are under way is being counted anew; try again in 1 s.", retry_after_s=1)
            self.future.set_exception(error)

    def _unasked(self) -> None:
        if self.future.done():
            return
        if all(map(self._is_open, self._claims)):
            self._took(None)
        else:
            self.future.set_exception(StoreUnavailable("The limits cannot be checked just now.", retry_after_s=1))

    def _took(self, state: bytes | None) -> None:
        plan = self._plan
        taken = ValkeyTaken(self._claims, plan, self._packed, state)
        if plan.places:
            self._presence.add(plan.places)
        if self.future.done():
            self._give_back(taken)
        else:
            self.future.set_result(taken)

    def forsake(self) -> None:
        """The caller has left: give back what was taken, as soon as that is known."""
        if self.future.cancelled() or not self.future.done():
            return  # `_took` sees it
        if self.future.exception() is None:
            self._give_back(self.future.result())
