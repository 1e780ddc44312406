"""Limits of one process, in memory: check every limit, then spend every limit, with nothing awaited in between."""

from collections.abc import Iterable
from copy import copy

import msgspec

from aldgate.core.errors import ConcurrencyLimited, RateLimited
from aldgate.core.limits import DAY, MINUTE, SECOND, Bucket, Limits, whole_seconds
from aldgate.ports import RecentUse

Headers = list[tuple[bytes, bytes]]
Standing = tuple[bytes, int, int, int]
"""What is counted, how much is allowed, how much is left, and in how many nanoseconds all of it is there again."""
Places = tuple[int, int]
"""Where a call's tokens stand in the limits per minute and per day."""


class Remaining(msgspec.Struct, frozen=True):
    """How much of one limit is left, and in how many seconds all of it is there again; None: when calls under way end."""

    what: str
    limit: int
    left: int
    reset_s: float | None = None


class _Counters(msgspec.Struct):
    requests: Bucket
    minute_tokens: Bucket
    day_tokens: Bucket
    in_flight: int = 0

    def copy(self) -> "_Counters":
        return _Counters(copy(self.requests), copy(self.minute_tokens), copy(self.day_tokens), self.in_flight)


class MemoryLimiter:
    """The counters of all accounts, by account id: editing a key or reloading the configuration resets none."""

    def __init__(self) -> None:
        self._accounts: dict[str, _Counters] = {}

    def _counters(self, account: str) -> _Counters:
        counters = self._accounts.get(account)
        if counters is None:
            counters = self._accounts[account] = _Counters(Bucket(), Bucket(), Bucket())
        return counters

    def check(self, account: str, limits: Limits, tokens: int, now_ns: int) -> None:
        """Refuse if any limit does not allow one more call of so many tokens; spend nothing.

        Args:
            account: Whose counters.
            limits: What is allowed.
            tokens: The call's expected tokens, input and output.
            now_ns: Monotonic nanoseconds.

        Raises:
            RateLimited: Names the limit; `retry_after_s` is when all that are spent now suffice again.
            ConcurrencyLimited: As many calls as allowed are under way.
        """
        counters = self._counters(account)
        if limits.concurrency is not None and counters.in_flight >= limits.concurrency:
            raise ConcurrencyLimited(
                f"{counters.in_flight} calls are under way with this key, and its limit is {limits.concurrency}.", retry_after_s=1
            )
        waits: list[tuple[int, str]] = []
        if limits.rpm is not None and (wait_ns := counters.requests.wait_ns(1, limits.rpm, MINUTE, now_ns)):
            waits.append((wait_ns, f"{limits.rpm} requests per minute"))
        if limits.tpm is not None and (wait_ns := counters.minute_tokens.wait_ns(tokens, limits.tpm, MINUTE, now_ns)):
            waits.append((wait_ns, f"{limits.tpm} tokens per minute"))
        if limits.tpd is not None and (wait_ns := counters.day_tokens.wait_ns(tokens, limits.tpd, DAY, now_ns)):
            waits.append((wait_ns, f"{limits.tpd} tokens per day"))
        if waits:
            raise _limited(*max(waits))

    def spend(self, account: str, limits: Limits, tokens: int) -> Places:
        """Take what `check` allowed. Returns what `settle` must know to give the right part of it back."""
        counters = self._counters(account)
        counters.in_flight += 1
        minute = day = 0
        if limits.rpm is not None:
            counters.requests.spend(1, MINUTE)
        if limits.tpm is not None:
            minute = counters.minute_tokens.spend(tokens, MINUTE)
        if limits.tpd is not None:
            day = counters.day_tokens.spend(tokens, DAY)
        return minute, day

    def settle(self, account: str, limits: Limits, places: Places, held_tokens: int, used_tokens: int) -> None:
        """End a call: give its place back, and those tokens that it held and did not use."""
        counters = self._counters(account)
        counters.in_flight -= 1
        if limits.tpm is not None:
            counters.minute_tokens.settle(places[0], held_tokens, used_tokens, MINUTE)
        if limits.tpd is not None:
            counters.day_tokens.settle(places[1], held_tokens, used_tokens, DAY)

    def in_flight(self) -> int:
        """Calls under way in all accounts that have limits."""
        return sum(counters.in_flight for counters in self._accounts.values())

    def knows(self, account: str) -> bool:
        """True if the account has counters here."""
        return account in self._accounts

    def copy_of(self, *accounts: str) -> "MemoryLimiter":
        """A limiter with the counters of these accounts, to be asked without a trace here."""
        other = MemoryLimiter()
        other._accounts = {account: self._accounts[account].copy() for account in accounts if account in self._accounts}
        return other

    def remaining(self, account: str, limits: Limits, now_ns: int) -> list[Remaining]:
        """How an account stands with each of its limits."""
        counters = self._counters(account)
        found: list[Remaining] = []
        for what, bucket, limit, period in (
            ("requests per minute", counters.requests, limits.rpm, MINUTE),
            ("tokens per minute", counters.minute_tokens, limits.tpm, MINUTE),
            ("tokens per day", counters.day_tokens, limits.tpd, DAY),
        ):
            if limit is not None:
                left, reset_ns = bucket.standing(limit, period, now_ns)
                found.append(Remaining(what, limit, left, round(reset_ns / SECOND, 3)))
        if limits.concurrency is not None:
            found.append(Remaining("calls at once", limits.concurrency, max(0, limits.concurrency - counters.in_flight)))
        return found

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
        long_ago_ns = now_ns - 2 * DAY  # below 0 if the machine has just booted: monotonic time begins there
        buckets = Bucket(0, long_ago_ns), Bucket(0, long_ago_ns), Bucket(0, long_ago_ns)
        counters = self._accounts[account] = _Counters(*buckets)
        for use in uses:
            at_ns = now_ns - int((now_s - use.at) * SECOND)
            for bucket, limit, period, units in (
                (counters.requests, limits.rpm, MINUTE, use.calls),
                (counters.minute_tokens, limits.tpm, MINUTE, use.tokens),
                (counters.day_tokens, limits.tpd, DAY, use.tokens),
            ):
                if limit is not None:
                    bucket.leak(limit, at_ns)
                    bucket.spend(units, period)

    def headers(self, account: str, limits: Limits, now_ns: int) -> Headers:
        """OpenAI's rate-limit headers (https://platform.openai.com/docs/guides/rate-limits#rate-limits-in-headers)."""
        headers: Headers = []
        for unit, limit, remaining, reset_ns in self.standings(account, limits, now_ns):
            names = _NAMES[unit]
            headers += [(names[0], b"%d" % limit), (names[1], b"%d" % remaining), (names[2], _duration(reset_ns))]
        return headers

    def standings(self, account: str, limits: Limits, now_ns: int) -> list[Standing]:
        """How an account stands with each of its limits that headers tell of; tokens per day only where none are per minute."""
        counters = self._counters(account)
        standings: list[Standing] = []
        if limits.rpm is not None:
            standings.append((b"requests", limits.rpm, *counters.requests.standing(limits.rpm, MINUTE, now_ns)))
        if limits.tpm is not None:
            standings.append((b"tokens", limits.tpm, *counters.minute_tokens.standing(limits.tpm, MINUTE, now_ns)))
        elif limits.tpd is not None:
            standings.append((b"tokens", limits.tpd, *counters.day_tokens.standing(limits.tpd, DAY, now_ns)))
        return standings


def _limited(wait_ns: int, limit: str) -> RateLimited:
    retry_after_s = whole_seconds(wait_ns)
    return RateLimited(f"The limit of {limit} is reached; try again in {retry_after_s} s.", retry_after_s=retry_after_s)


_NAMES = {
    unit: (b"x-ratelimit-limit-" + unit, b"x-ratelimit-remaining-" + unit, b"x-ratelimit-reset-" + unit)
    for unit in (b"requests", b"tokens")
}


def _duration(nanoseconds: int) -> bytes:
    """A wait in OpenAI's spelling: `20ms`, `7.5s`, `6m0s`, `1h2m3s`."""
    milliseconds = -(-nanoseconds // 1_000_000)
    if milliseconds < 1000:
        return b"%dms" % milliseconds
    if milliseconds < 60_000:
        return f"{milliseconds / 1000:g}s".encode()
    minutes, seconds = divmod(-(-milliseconds // 1000), 60)
    hours, minutes = divmod(minutes, 60)
    return b"%dh%dm%ds" % (hours, minutes, seconds) if hours else b"%dm%ds" % (minutes, seconds)
