"""What processes that share a database ask of it about each other, and about the money that lost ones had."""

from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

import msgspec

from aldgate.core.alerts import Alert


class Pulse(msgspec.Struct, frozen=True):
    """The processes that share the database now, this one among them, and how often what they cache was changed, by name."""

    alive: frozenset[str]
    revisions: Mapping[str, int]


class ProcessStore(Protocol):
    """Processes that share the database."""

    async def beat(self) -> Pulse:
        """Say that this process is alive. Returns who else is."""
        ...

    async def leave(self) -> None:
        """This process ends."""
        ...

    async def forget_dead(self) -> None:
        """Remove what is known of processes that ended long ago without a word; not what they may have spent."""
        ...

    async def announce(self, what: str) -> None:
        """Count a change of something that processes cache, and tell them all; who misses that sees it by its next `beat`."""
        ...

    async def tell(self, message: str) -> None:
        """Send a message to all processes, this one included."""
        ...

    async def listen(self, heard: Callable[[str], None]) -> None:
        """Hand messages to `heard` until cancelled.

        Raises:
            StoreUnavailable: The connection was lost, and with it perhaps messages.
        """
        ...


class LostSlice(msgspec.Struct, frozen=True):
    """What a process that is gone had of a budget and did not report: it may have spent it.

    Attributes:
        seen_at: When it was seen last, Unix seconds; None: that is not known any more.
    """

    process: str
    microusd: int
    seen_at: float | None


class BudgetStanding(msgspec.Struct, frozen=True):
    """Where the money of one budget is in one period, in micro-dollars.

    Attributes:
        settled: Reported spent.
        outstanding: With processes that are alive, spent and not reported yet, or to be spent.
        lost: With processes that are gone.
        presumed: May have been spent by processes before this one; where the database is one process's own.
    """

    account: str
    period: str
    limit: int
    settled: int
    outstanding: int
    lost: tuple[LostSlice, ...]
    presumed: int

    @property
    def presumed_spent(self) -> int:
        """What nobody knows to be spent and is counted as if it were."""
        return self.presumed + sum(part.microusd for part in self.lost)


class BudgetAuthority(Protocol):
    """Budgets, as an operator sees them."""

    async def budget_standings(self, account: str | None, *, is_lost: bool, limit: int) -> list[BudgetStanding]:
        """Budgets that something was spent of, by account and period, at most `limit`.

        Args:
            account: Whose alone.
            is_lost: Only those of which lost processes may have spent something.
            limit: The most to return.
        """
        ...

    async def release_lost(self, account: str | None, period: str | None, process: str | None) -> int:
        """Count as unspent what lost processes had and did not report; of all that is not None, only this.

        Returns the micro-dollars that are free again. What such a process reports later all the same is counted then.
        """
        ...

    async def claim_alerts(self, names: Sequence[tuple[str, str]], percents: Sequence[int], now: float) -> list[Alert]:
        """What is to be told of budgets, by account and period: whoever is first to ask for an alert gets it, nobody else."""
        ...
