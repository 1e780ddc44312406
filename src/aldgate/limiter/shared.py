"""The limits of a principal's levels in Valkey, for the gate: what they claim, and what a call that was let through holds."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from aldgate.core.limits import RATES, SECOND, UNIT_NAMES, Units
from aldgate.limiter.claims import Claim, Unit
from aldgate.limiter.memory import Limited, Places, Standing
from aldgate.limiter.valkey.calls import ValkeyTaken
from aldgate.limiter.valkey.limiter import ValkeyLimiter

MOST_REMEMBERED = 50_000
_UNITS: tuple[Unit, ...] = ("requests", "tokens", "images", "audio_seconds", "gpu_seconds")
_WORDS: dict[str, bytes] = {"requests": b"requests", "tokens": b"tokens"}


class SharedGauge:
    """What one call holds of limits in Valkey; stands where a `memory.Gauge` does once that has been spent."""

    __slots__ = ("_limiter", "_taken")

    def __init__(self, limiter: ValkeyLimiter, taken: ValkeyTaken) -> None:
        self._limiter = limiter
        self._taken = taken

    def settle(self, places: Places, held: Units, used: Units) -> None:
        """End the call; see `memory.Gauge.settle`."""
        self._limiter.settle(self._taken, dict(zip(_UNITS, used, strict=True)))  # pyright: ignore[reportArgumentType]

    def leave(self, places: Places) -> None:
        """End the call, of which what it counted is not known yet; see `memory.Gauge.leave`."""
        self._limiter.leave(self._taken)

    def correct(self, places: Places, held: Units, used: Units) -> None:
        """See `memory.Gauge.correct`."""
        self.settle(places, held, used)


class SharedLimits:
    """Limits over all processes.

    Args:
        valkey: Counts.
    """

    def __init__(self, valkey: ValkeyLimiter) -> None:
        self._valkey = valkey
        self._last: dict[str, list[Standing]] = {}

    async def take(self, account: str, limited: Iterable[Limited], units: Units) -> SharedGauge:
        """Check every limit, then spend every limit.

        Args:
            account: The caller's own, under which `standings` is asked.
            limited: The levels with limits.
            units: What the call is expected to count.

        Raises:
            RateLimited: As `memory.Gauge.check`; so is `ConcurrencyLimited`.
            StoreUnavailable: Valkey is away, and one of the limits is not to pass unchecked.
        """
        claims = [claim for each in limited for claim in claims_of(each, units)]
        taken = await self._valkey.take(claims)
        if len(self._last) >= MOST_REMEMBERED:
            self._last.clear()
        self._last[account] = _tightest(claims, taken)
        return SharedGauge(self._valkey, taken)

    def standings(self, account: str) -> list[Standing]:
        """How the account's tightest limits stood after its last call through this process."""
        return self._last.get(account, [])

    async def remaining(self, limited: Iterable[Limited]) -> list[tuple[Claim, int, int]]:
        """Of each limit, how many units are left, and in how many nanoseconds all of it is there again.

        Raises:
            StoreUnavailable: Valkey is away.
        """
        claims = [claim for each in limited for claim in claims_of(each, (1, 1, 1, 1, 1))]
        stood = await self._valkey.standings(claims) if claims else []
        return [(claim, standing.left, standing.reset_ns) for claim, standing in zip(claims, stood, strict=True)]


def opener(is_open: bool, open_limits: Iterable[str], closed_limits: Iterable[str]) -> Callable[[Claim], bool]:
    """Says of a claim whether it lets calls through while Valkey is away.

    Args:
        is_open: What holds for limits that are not named.
        open_limits: Names of `Limits`' fields.
        closed_limits: Likewise; they win.
    """
    said = dict.fromkeys(map(_kind_of, open_limits), True) | dict.fromkeys(map(_kind_of, closed_limits), False)
    return lambda claim: said.get((claim.unit, claim.period_s), is_open)


def _kind_of(name: str) -> tuple[str, int]:
    if name == "concurrency":
        return name, 0
    return UNIT_NAMES[RATES[name].unit], RATES[name].period_ns // SECOND


def claims_of(limited: Limited, units: Units) -> Iterable[Claim]:
    """What a call claims of one level's limits; nothing of those whose units it has none of."""
    account, limits, whose = limited
    for name, limit in limits.rates:
        unit, period_ns, _ = RATES[name]
        if units[unit]:
            yield Claim(account, _UNITS[unit], limit, period_ns // SECOND, units[unit], whose)
    if limits.concurrency is not None:
        yield Claim(account, "concurrency", limits.concurrency, 0, 1, whose)


def _tightest(claims: list[Claim], taken: ValkeyTaken) -> list[Standing]:
    found: dict[bytes, Standing] = {}
    for claim, standing in zip(claims, taken.standings(), strict=False):
        word = _WORDS.get(claim.unit)
        if word is not None and (word not in found or standing.left < found[word].left):
            found[word] = Standing(word, standing.limit, standing.left, standing.reset_ns)
    return [found[word] for word in _WORDS.values() if word in found]
