"""Rate arithmetic: GCRA in integers, so that a limit of 10^12 is as exact as a limit of 1.

A bucket's level is counted in units x period: one unit adds `period`, and each nanosecond leaks `limit`. A limit of N per
period therefore lets N through at once, then one each period / N.
"""

import msgspec

SECOND = 1_000_000_000
MINUTE = 60 * SECOND
DAY = 86_400 * SECOND


class Limits(msgspec.Struct, frozen=True, omit_defaults=True):
    """What one account may do over time. None: no such limit."""

    rpm: int | None = None
    """Requests per minute."""
    tpm: int | None = None
    """Tokens per minute."""
    tpd: int | None = None
    """Tokens per day."""
    concurrency: int | None = None
    """Calls under way at once."""

    @property
    def is_empty(self) -> bool:
        """True when nothing is limited."""
        return self.rpm is None and self.tpm is None and self.tpd is None and self.concurrency is None


UNLIMITED = Limits()


class Bucket(msgspec.Struct):
    """How full one limit is: `level` in units x period as it stood at `at_ns`; `drained` is all that ever left it."""

    level: int = 0
    at_ns: int = 0
    drained: int = 0

    def leak(self, limit: int, now_ns: int) -> int:
        """Bring the level forward to `now_ns` and return it. A clock that steps back leaks nothing."""
        elapsed = now_ns - self.at_ns
        if elapsed > 0:
            self._drain(elapsed * limit)
            self.at_ns = now_ns
        return self.level

    def _drain(self, amount: int) -> None:
        gone = amount if amount < self.level else self.level
        self.level -= gone
        self.drained += gone

    def wait_ns(self, units: int, limit: int, period_ns: int, now_ns: int) -> int:
        """Nanoseconds until `units` fit, 0 if they fit now. Spends nothing.

        More units than the limit holds wait for an empty bucket: such a call runs alone and its excess is paid off afterwards.
        """
        fitting = units if units < limit else limit
        excess = self.leak(limit, now_ns) + (fitting - limit) * period_ns
        return 0 if excess <= 0 else -(-excess // limit)

    def spend(self, units: int, period_ns: int) -> int:
        """Add `units`. Returns their place in the order in which all that is ever added drains."""
        place = self.drained + self.level
        self.level += units * period_ns
        return place

    def settle(self, place: int, held: int, used: int, period_ns: int) -> None:
        """Of `held` units spent at `place` only `used` were used: take out the others, as far as they have not drained yet.

        Where they have, others were let through in their stead; given back as well, they would count for nobody.
        More may be used than was held: that is added.
        """
        if used > held:
            self.spend(used - held, period_ns)
        else:
            begin = place if place > self.drained else self.drained
            self._drain(max(0, place + held * period_ns - begin) - max(0, place + used * period_ns - begin))

    def standing(self, limit: int, period_ns: int, now_ns: int) -> tuple[int, int]:
        """Whole units that would fit now, and nanoseconds until the bucket is empty again."""
        level = self.leak(limit, now_ns)
        left = limit - -(-level // period_ns)
        return (left if left > 0 else 0), -(-level // limit)


def whole_seconds(wait_ns: int) -> int:
    """A wait as `Retry-After` wants it: whole seconds, rounded up, at least 1."""
    return max(1, -(-wait_ns // SECOND))
