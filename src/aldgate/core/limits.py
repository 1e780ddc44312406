"""Rate arithmetic: GCRA in integers, so that a limit of 10^12 is as exact as a limit of 1.

A bucket's level is counted in units x period: one unit adds `period`, and each nanosecond leaks `limit`. A limit of N per
period therefore lets N through at once, then one each period / N.
"""

from collections.abc import Iterator
from typing import NamedTuple

import msgspec

SECOND = 1_000_000_000
MINUTE = 60 * SECOND
DAY = 86_400 * SECOND

REQUESTS, TOKENS, IMAGES, AUDIO_S, GPU_S = range(5)
Units = tuple[int, int, int, int, int]
"""What a call counts: requests, tokens, images, seconds of audio, seconds of a GPU; the constants are its indexes."""
UNIT_NAMES = ("requests", "tokens", "images", "audio_seconds", "gpu_seconds")
NO_UNITS: Units = (0, 0, 0, 0, 0)


class Rate(NamedTuple):
    """What one kind of limit counts, over how long, and what it is called."""

    unit: int
    period_ns: int
    words: str


RATES = {
    "rpm": Rate(REQUESTS, MINUTE, "requests per minute"),
    "tpm": Rate(TOKENS, MINUTE, "tokens per minute"),
    "tpd": Rate(TOKENS, DAY, "tokens per day"),
    "images_per_minute": Rate(IMAGES, MINUTE, "images per minute"),
    "images_per_day": Rate(IMAGES, DAY, "images per day"),
    "audio_seconds_per_minute": Rate(AUDIO_S, MINUTE, "seconds of audio per minute"),
    "audio_seconds_per_day": Rate(AUDIO_S, DAY, "seconds of audio per day"),
    "gpu_seconds_per_minute": Rate(GPU_S, MINUTE, "GPU-seconds per minute"),
    "gpu_seconds_per_day": Rate(GPU_S, DAY, "GPU-seconds per day"),
}
"""Every kind of limit but `concurrency`, by its name in `Limits`."""


class Limits(msgspec.Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """What one account may do over time. None: no such limit."""

    rpm: int | None = None
    """Requests per minute."""
    tpm: int | None = None
    """Tokens per minute."""
    tpd: int | None = None
    """Tokens per day."""
    concurrency: int | None = None
    """Calls under way at once."""
    images_per_minute: int | None = None
    images_per_day: int | None = None
    audio_seconds_per_minute: int | None = None
    audio_seconds_per_day: int | None = None
    gpu_seconds_per_minute: int | None = None
    gpu_seconds_per_day: int | None = None

    @property
    def is_empty(self) -> bool:
        """True when nothing is limited."""
        return self == UNLIMITED

    @property
    def rates(self) -> Iterator[tuple[str, int]]:
        """Its limits over time, by name."""
        for name in RATES:
            limit = getattr(self, name)
            if limit is not None:
                yield name, limit

    def meet(self, other: "Limits") -> "Limits":
        """What both allow."""
        if other is UNLIMITED:
            return self
        both = ((getattr(self, name), getattr(other, name)) for name in self.__struct_fields__)
        return Limits(*(one if other is None else other if one is None else min(one, other) for one, other in both))


UNLIMITED = Limits()


class Bucket(msgspec.Struct):
    """How full one limit is: `level` in units x period as it stood at `at_ns`; `drained` is all that ever left it.

    `limit` units fit, and as many leak in `period_ns` nanoseconds. The limit may be changed at any time.
    """

    limit: int
    period_ns: int
    level: int = 0
    at_ns: int = 0
    drained: int = 0

    def leak(self, now_ns: int) -> int:
        """Bring the level forward to `now_ns` and return it. A clock that steps back leaks nothing."""
        elapsed = now_ns - self.at_ns
        if elapsed > 0:
            self.at_ns = now_ns
            level = self.level
            gone = elapsed * self.limit
            gone = gone if gone < level else level
            self.level = level - gone
            self.drained += gone
        return self.level

    def wait_ns(self, units: int, now_ns: int) -> int:
        """Nanoseconds until `units` fit, 0 if they fit now. Spends nothing.

        More units than the limit holds wait for an empty bucket: such a call runs alone and its excess is paid off afterwards.
        """
        limit, level = self.limit, self.level
        elapsed = now_ns - self.at_ns
        if elapsed > 0:  # as `leak` does, without a call: every request comes through here once for each of its limits
            self.at_ns = now_ns
            gone = elapsed * limit
            gone = gone if gone < level else level
            self.level = level = level - gone
            self.drained += gone
        fitting = units if units < limit else limit
        excess = level + (fitting - limit) * self.period_ns
        return 0 if excess <= 0 else -(-excess // limit)

    def spend(self, units: int) -> int:
        """Add `units`. Returns their place in the order in which all that is ever added drains."""
        place = self.drained + self.level
        self.level += units * self.period_ns
        return place

    def settle(self, place: int, held: int, used: int) -> None:
        """Of `held` units spent at `place` only `used` were used: take out the others, as far as they have not drained yet.

        Where they have, others were let through in their stead; given back as well, they would count for nobody.
        More may be used than was held: that is added.
        """
        period_ns = self.period_ns
        if used > held:
            self.level += (used - held) * period_ns
            return
        drained = self.drained
        begin = place if place > drained else drained
        end = place + held * period_ns
        keep = place + used * period_ns
        gone = end - (keep if keep > begin else begin)
        if gone > 0:
            gone = gone if gone < self.level else self.level
            self.level -= gone
            self.drained = drained + gone

    def standing(self, now_ns: int) -> tuple[int, int]:
        """Whole units that would fit now, and nanoseconds until the bucket is empty again."""
        level = self.level - (now_ns - self.at_ns if now_ns > self.at_ns else 0) * self.limit
        if level <= 0:
            return self.limit, 0
        left = self.limit - -(-level // self.period_ns)
        return (left if left > 0 else 0), -(-level // self.limit)


def whole_seconds(wait_ns: int) -> int:
    """A wait as `Retry-After` wants it: whole seconds, rounded up, at least 1."""
    return max(1, -(-wait_ns // SECOND))
