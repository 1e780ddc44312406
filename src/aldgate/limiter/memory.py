"""Limits of one process, in memory: check every limit of every level, then spend every limit, with nothing awaited in between."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from copy import copy
from typing import NamedTuple

import msgspec

from aldgate.core.errors import ConcurrencyLimited, RateLimited
from aldgate.core.limits import DAY, RATES, REQUESTS, SECOND, TOKENS, UNIT_NAMES, Bucket, Limits, Units, whole_seconds
from aldgate.core.principals import Principal
from aldgate.core.routes import Plan
from aldgate.limiter.claims import Claim
from aldgate.storage import RecentUse

Places = list[int]
"""Where a call's units stand in each bucket of its gauge."""
MOST_GAUGES = 50_000
_TOLD = ((REQUESTS, b"requests"), (TOKENS, b"tokens"))
"""Units that callers are told of, and by what word."""


class Limited(NamedTuple):
    """An account with limits. `whose` names it to callers, empty where it is the caller's own."""

    account: str
    limits: Limits
    whose: str = ""


class Standing(NamedTuple):
    """How much is left of what a limit counts (`requests`, `tokens`), and in how many nanoseconds all of it is there again."""

    word: bytes
    limit: int
    left: int
    reset_ns: int


class Remaining(msgspec.Struct, frozen=True):
    """How much of one limit is left, and in how many seconds all of it is there again; None: when calls under way end."""

    what: str
    limit: int
    left: int
    reset_s: float | None = None
    level: str = ""
    """Whose limit it is; empty: the caller's own."""


class _Account(msgspec.Struct):
    """The counters of one account, by the names of its limits."""

    buckets: dict[str, Bucket] = {}
    in_flight: int = 0

    def bucket(self, name: str, limit: int) -> Bucket:
        bucket = self.buckets.get(name)
        if bucket is None:
            bucket = self.buckets[name] = Bucket(limit, RATES[name].period_ns)
        bucket.limit = limit
        return bucket

    def copy(self) -> _Account:
        return _Account({name: copy(bucket) for name, bucket in self.buckets.items()}, self.in_flight)


class Gauge:
    """The counters of several accounts, which all have to let a call through. Made once for a principal, not per call."""

    __slots__ = ("_accounts", "_buckets", "_names", "_told", "is_empty")

    def __init__(self, limited: Sequence[tuple[_Account, Limited]]) -> None:
        self.is_empty = not limited
        """Nothing is limited."""
        self._accounts = [(account, each.limits.concurrency, each.whose) for account, each in limited]
        self._buckets = [
            (account.bucket(name, limit), RATES[name].unit, each.whose)
            for account, each in limited
            for name, limit in each.limits.rates
        ]
        self._names = [name for _, each in limited for name, _ in each.limits.rates]
        told = [(word, [bucket for bucket, unit, _ in self._buckets if unit == its]) for its, word in _TOLD]
        self._told = [(word, buckets) for word, buckets in told if buckets]

    def check(self, units: Units, now_ns: int) -> None:
        """Refuse if any limit does not allow one more call of so many units; spend nothing.

        Args:
            units: What the call is expected to count.
            now_ns: Monotonic nanoseconds.

        Raises:
            RateLimited: Names the limit; `retry_after_s` is when all that are spent now suffice again.
            ConcurrencyLimited: As many calls as allowed are under way.
        """
        for account, most, whose in self._accounts:
            if most is not None and account.in_flight >= most:
                raise _crowded(account.in_flight, most, whose)
        for bucket, unit, _ in self._buckets:
            if bucket.wait_ns(units[unit], now_ns):
                raise self._limited(units, now_ns)

    def _limited(self, units: Units, now_ns: int) -> RateLimited:
        longest = max(bucket.wait_ns(units[unit], now_ns) for bucket, unit, _ in self._buckets)
        for name, (bucket, unit, whose) in zip(self._names, self._buckets, strict=True):
            if bucket.wait_ns(units[unit], now_ns) == longest:
                return limited(longest, bucket.limit, name, whose)
        raise AssertionError("no limit is the longest")

    def spend(self, units: Units) -> Places:
        """Take what `check` allowed. Returns what `settle` must know to give the right part of it back."""
        for account, _, _ in self._accounts:
            account.in_flight += 1
        places: Places = []
        for bucket, unit, _ in self._buckets:
            places.append(bucket.spend(units[unit]))
        return places

    def settle(self, places: Places, held: Units, used: Units) -> None:
        """End a call: give its place back, and those units that it held and did not use."""
        self.leave(places)
        self.correct(places, held, used)

    def leave(self, places: Places) -> None:
        """End a call, of which what it counted is not known yet."""
        for account, _, _ in self._accounts:
            account.in_flight -= 1

    def correct(self, places: Places, held: Units, used: Units) -> None:
        """Of a call that has ended: give back those units that it held and did not use."""
        if held != used:
            for place, (bucket, unit, _) in zip(places, self._buckets, strict=True):
                if held[unit] != used[unit]:
                    bucket.settle(place, held[unit], used[unit])

    def standings(self, now_ns: int) -> list[Standing]:
        """The tightest limit of requests and the tightest one of tokens: what headers tell of."""
        found: list[Standing] = []
        for word, buckets in self._told:
            tightest = buckets[0]
            least, reset_ns = tightest.standing(now_ns)
            for bucket in buckets[1:]:
                left, its_reset_ns = bucket.standing(now_ns)
                if left < least:
                    tightest, least, reset_ns = bucket, left, its_reset_ns
            found.append(Standing(word, tightest.limit, least, reset_ns))
        return found

    def remaining(self, now_ns: int) -> list[Remaining]:
        """How the accounts stand with each of their limits."""
        found: list[Remaining] = []
        for name, (bucket, _, whose) in zip(self._names, self._buckets, strict=True):
            left, reset_ns = bucket.standing(now_ns)
            found.append(Remaining(RATES[name].words, bucket.limit, left, round(reset_ns / SECOND, 3), whose))
        for account, most, whose in self._accounts:
            if most is not None:
                found.append(Remaining("calls at once", most, max(0, most - account.in_flight), None, whose))
        return found


NO_GAUGE = Gauge(())


class MemoryLimiter:
    """The counters of all accounts, by account id: editing a key or reloading the configuration resets none."""

    def __init__(self) -> None:
        self._accounts: dict[str, _Account] = {}
        self._gauges: dict[str, tuple[object, object, Gauge]] = {}

    def of(self, principal: Principal, model: Limited | None = None) -> Gauge | None:
        """The gauge of all levels of a principal, and of the model it asks for where that has limits.

        None while some of the levels have limits and no counters here: see `restore`.
        """
        key = principal.account if model is None else f"{principal.account} {model.account}"
        known = self._gauges.get(key)
        if known is not None and known[0] is principal.levels and known[1] is (model and model.limits):
            return known[2]
        wanted = limited_levels(principal)
        if any(each.account not in self._accounts for each in wanted):
            return None
        if len(self._gauges) >= MOST_GAUGES:
            self._gauges.clear()
        gauge = self.gauge(wanted if model is None else [*wanted, model])
        self._gauges[key] = principal.levels, model and model.limits, gauge
        return gauge

    def stand(self, limited: Sequence[Limited], stood: Iterable[tuple[Claim, int, int]], now_ns: int) -> None:
        """Make the counters of these accounts stand as others do: of each limit, how many units are left."""
        self.gauge(limited)
        for claim, left, _ in stood:
            account = self._accounts[claim.account]
            if not claim.period_s:
                account.in_flight = claim.limit - left
            for name, bucket in account.buckets.items():
                rate = RATES[name]
                if rate.period_ns == claim.period_s * SECOND and UNIT_NAMES[rate.unit] == claim.unit:
                    bucket.at_ns, bucket.level = now_ns, (claim.limit - left) * bucket.period_ns

    def gauge(self, limited: Sequence[Limited]) -> Gauge:
        """The gauge of these accounts, with new counters for those that have none."""
        return Gauge([(self._accounts.setdefault(each.account, _Account()), each) for each in limited])

    def in_flight(self) -> int:
        """Calls under way in all accounts that have limits."""
        return sum(account.in_flight for account in self._accounts.values())

    def knows(self, account: str) -> bool:
        """True if the account has counters here."""
        return account in self._accounts

    def copy_of(self, *accounts: str) -> MemoryLimiter:
        """A limiter with the counters of these accounts, to be asked without a trace here."""
        other = MemoryLimiter()
        other._accounts = {account: self._accounts[account].copy() for account in accounts if account in self._accounts}
        return other

    def restore(self, account: str, limits: Limits, uses: Iterable[RecentUse], *, now_s: float, now_ns: int) -> None:
        """Rebuild an account's counters from what the ledger remembers, so that a restart resets no limit.

        Args:
            account: Whose counters; if there are some, nothing happens.
            limits: What is allowed.
            uses: At most two days old, oldest first.
            now_s: Unix seconds, as the times of `uses` are.
            now_ns: Monotonic nanoseconds.
        """
        if account in self._accounts:
            return
        counters = self._accounts[account] = _Account()
        long_ago_ns = now_ns - 2 * DAY  # below 0 if the machine has just booted: monotonic time begins there
        buckets = [(counters.bucket(name, limit), RATES[name].unit) for name, limit in limits.rates]
        for bucket, _ in buckets:
            bucket.at_ns = long_ago_ns
        for use in uses:
            at_ns = now_ns - int((now_s - use.at) * SECOND)
            units = (use.calls, use.tokens, 0, 0, 0)
            for bucket, unit in buckets:
                bucket.leak(at_ns)
                bucket.spend(units[unit])


def limited_levels(principal: Principal) -> list[Limited]:
    """Those levels of a principal that have limits."""
    return [
        Limited(level.account, level.policy.limits, "" if level is principal.levels[-1] else str(level))
        for level in principal.levels
        if not level.policy.limits.is_empty
    ]


def own_limits(plan: Plan) -> Limited | None:
    """The limits of the name that a call asks for, if it has some."""
    if plan.own_limits.is_empty:
        return None
    return Limited(f"model:{plan.name}", plan.own_limits, f"the model `{plan.name}`")


def limited(wait_ns: int, limit: int, name: str, whose: str) -> RateLimited:
    """The refusal of a call that has to wait for a limit."""
    retry_after_s = whole_seconds(wait_ns)
    of = f" of {whose}" if whose else ""
    return RateLimited(
        f"The limit of {limit} {RATES[name].words}{of} is reached; try again in {retry_after_s} s.", retry_after_s=retry_after_s
    )


def _crowded(in_flight: int, most: int, whose: str) -> ConcurrencyLimited:
    where = f"in {whose}" if whose else "with this key"
    return ConcurrencyLimited(f"{in_flight} calls are under way {where}, and the limit is {most}.", retry_after_s=1)
