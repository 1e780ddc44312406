"""How often logins may fail, by name and by address: in this process, and over all of them where they share Valkey."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from hashlib import blake2b
from typing import Any, Literal, Protocol

import msgspec

from aldgate.core.errors import RateLimited, StoreUnavailable
from aldgate.core.throttles import Throttle
from aldgate.limiter.claims import Claim, Unit

Kind = Literal["name", "address"]
BOUNDS: dict[Kind, tuple[int, int]] = {"name": (10, 30), "address": (50, 6)}
"""Failures at once, and seconds for each further one."""


class Counting(Protocol):
    """Counts over all processes, as `limiter.valkey.ValkeyLimiter` does."""

    async def take(self, claims: Sequence[Claim]) -> Any:
        """Count, or raise `RateLimited`; `StoreUnavailable` where nobody can count."""
        ...

    def settle(self, taken: Any, used: Mapping[Unit, int]) -> None:
        """Give back what was counted and not used."""
        ...


class Try(msgspec.Struct, frozen=True):
    """One that was counted as a failure before it is known what becomes of it."""

    by: dict[Kind, str]
    taken: Any = None


class Tries:
    """Counts them.

    Attributes:
        shared: Counts over all processes; None: there is one, or they share nothing.
    """

    def __init__(self) -> None:
        self.shared: Counting | None = None
        self._throttles = {kind: Throttle(burst, every_s, time.monotonic) for kind, (burst, every_s) in BOUNDS.items()}

    async def begin(self, by: dict[Kind, str]) -> Try:
        """Count one by these names.

        Raises:
            RateLimited: One of them failed too often.
        """
        self._count_here(by)
        try:
            return Try(by, await self._count_everywhere(by))
        except BaseException:
            self._forgive_here(by)
            raise

    def forgive(self, begun: Try) -> None:
        """It was no failure."""
        self._forgive_here(begun.by)
        if begun.taken is not None and self.shared is not None:
            self.shared.settle(begun.taken, {"requests": 0})

    def _count_here(self, by: dict[Kind, str]) -> None:
        counted: dict[Kind, str] = {}
        for kind, text in by.items():
            wait_s = self._throttles[kind].take(text)
            if wait_s > 0:
                self._forgive_here(counted)
                raise _too_many(max(1, round(wait_s + 0.5)))
            counted[kind] = text

    def _forgive_here(self, by: dict[Kind, str]) -> None:
        for kind, text in by.items():
            self._throttles[kind].give_back(text)

    async def _count_everywhere(self, by: dict[Kind, str]) -> Any:
        if self.shared is None:
            return None
        try:
            return await self.shared.take([_claim(kind, text) for kind, text in by.items()])
        except RateLimited as error:
            raise _too_many(error.retry_after_s or 1) from None
        except StoreUnavailable:  # this process has counted it; nobody is locked out because a cache is away
            return None


def _claim(kind: Kind, text: str) -> Claim:
    burst, every_s = BOUNDS[kind]
    digest = blake2b(text.encode("utf-8", "surrogateescape"), digest_size=16).hexdigest()
    return Claim(f"tries-{kind}-{digest}", "requests", burst, burst * every_s, 1)


def _too_many(retry_after_s: int) -> RateLimited:
    return RateLimited("Too many attempts failed; wait before the next.", retry_after_s=retry_after_s)
