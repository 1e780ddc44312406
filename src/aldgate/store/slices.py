"""The arithmetic of a budget that several processes spend from: what is free, and who gets how much of it.

A process gets a slice (`granted`), spends from it in memory and says now and then how much it has spent (`reported`). What is
open of a slice counts against the budget as if it were spent, so that nothing which happens between two reports, a crash
included, lets a cent be spent twice: settled + presumed + sum(granted - reported) <= limit.
"""

from collections.abc import Mapping, Sequence

import msgspec

from aldgate.storage import SliceGrant, SliceRequest

MOST = 2**62
"""More than all the money there is, and less than a 64-bit column holds: a report beyond it is a provider's nonsense."""

BudgetName = tuple[str, str]
"""Account and period."""


def name_of(request: SliceRequest) -> BudgetName:
    """The budget a request is about."""
    return request.account, request.period


class Slice(msgspec.Struct):
    """One budget, and one process's slice of it. All amounts in micro-dollars.

    Attributes:
        limit: What all processes together may spend.
        settled: What they have reported spent.
        presumed: What lost processes may have spent of their slices.
        others: What is open of the other processes' slices.
        granted: What this process was given so far.
        reported: What this process has spent of it.
    """

    limit: int
    settled: int = 0
    presumed: int = 0
    others: int = 0
    granted: int = 0
    reported: int = 0

    @property
    def free(self) -> int:
        """What can still be granted; below 0 when a limit was lowered or a bill came out over its bound."""
        return self.limit - self.settled - self.presumed - self.others - (self.granted - self.reported)

    def report(self, limit: int, reported: int) -> None:
        """Take in what the process says it has spent in all: a repeated or overtaken report changes nothing.

        What was spent beyond the grant counts as granted; else the next grant would pay for it a second time.
        """
        spent = max(0, min(reported, MOST) - self.reported)
        self.limit = limit
        self.reported += spent
        self.settled = min(MOST, self.settled + spent)
        self.granted = max(self.granted, self.reported)

    def take_back(self, amount: int) -> None:
        """Shrink the slice, at most by what is open of it."""
        self.granted = max(self.granted - max(0, amount), self.reported)


def grant_all(slices: Mapping[BudgetName, Slice], requests: Sequence[SliceRequest]) -> list[SliceGrant]:
    """Grant every request at least its minimum, or nobody anything.

    At most half of what is free goes out beyond a minimum, so that other processes find something left.
    """
    amounts: list[int] = []
    for request in requests:
        budget = slices[name_of(request)]
        if 0 < request.minimum > budget.free:
            break
        wanted = max(request.minimum, budget.free // 2) if request.minimum else 0
        amounts.append(min(request.maximum, wanted))
        budget.granted += amounts[-1]
    else:
        return [SliceGrant(amount, slices[name_of(request)].free) for request, amount in zip(requests, amounts, strict=True)]
    for request, amount in zip(requests, amounts, strict=False):
        slices[name_of(request)].granted -= amount
    return [SliceGrant(0, slices[name_of(request)].free) for request in requests]
