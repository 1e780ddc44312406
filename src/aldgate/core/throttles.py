"""Throttles: how often something may fail, by whatever name it fails under."""

from collections.abc import Callable

MOST_NAMES = 10_000


class Throttle:
    """Lets `burst` failures of one name pass at once, and one more every `every_s` seconds.

    Names beyond `MOST_NAMES` push out those that failed the longest ago.
    """

    def __init__(self, burst: int, every_s: float, now: Callable[[], float]) -> None:
        self._room_s = burst * every_s
        self._every_s = every_s
        self._now = now
        self._until: dict[str, float] = {}
        """When each name will owe nothing any more."""

    def take(self, name: str) -> float:
        """Count a failure in advance. Returns 0, or the seconds to wait, and then nothing was counted."""
        now = self._now()
        until = max(now, self._until.pop(name, now))
        owed = until + self._every_s - now
        if owed > self._room_s:
            self._until[name] = until
            return owed - self._room_s
        self._until[name] = until + self._every_s
        while len(self._until) > MOST_NAMES:
            del self._until[next(iter(self._until))]
        return 0.0

    def give_back(self, name: str) -> None:
        """It was no failure."""
        until = self._until.get(name)
        if until is not None:
            self._until[name] = until - self._every_s
