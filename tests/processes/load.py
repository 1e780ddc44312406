"""Callers behind a balancer, and what became of each of their calls."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import count, cycle

import httpx2

from tests.processes.fleet import Host, until


class Load:
    """Callers with one key who take turns at the gates, and repeat a call elsewhere when its gate was lost, under the same name.

    Each call has one outcome: an answer, a refusal, or that a crash left its fate unknown.

    Args:
        gates: Where they call.
        key: Their key.
        callers: How many there are. One whose call finds a budget spent leaves.

    Attributes:
        answers: By the calls' names.
        unknown: Names of calls of unknown fate.
        refusals: How often each gate refused a call, by the gate's URL and the error's code.
        cut: How often a connection was lost in the middle of a call.
    """

    def __init__(self, gates: Sequence[Host], key: str, callers: int) -> None:
        self._gates = list(gates)
        self._doomed: Host | None = None
        self._key = key
        self._is_enough = False
        self.answers: dict[str, httpx2.Response] = {}
        self.unknown: set[str] = set()
        self.refusals: Counter[tuple[str, str]] = Counter()
        self.cut = 0
        self._callers = [asyncio.create_task(self._call_on(number)) for number in range(callers)]

    async def _call_on(self, caller: int) -> None:
        places = cycle(range(caller, caller + len(self._gates)))
        for number in count():
            if self._is_enough or await self._outcome(f"{caller}-{number}", places) == "budget_exceeded":
                return

    async def _outcome(self, name: str, places: Iterator[int]) -> str:
        while True:
            gate = self._gates[next(places) % len(self._gates)]
            try:
                reply = await gate.post(self._key, **{"idempotency-key": name})
            except httpx2.TransportError:
                assert gate is self._doomed, "only the gate that was killed loses a call"
                self.cut += 1
                continue
            code = reply.json().get("error", {}).get("code", "")
            if reply.status_code == 200:
                self.answers[name] = reply
            elif code == "idempotency_unknown":
                self.unknown.add(name)
            elif code == "idempotency_in_progress":
                continue
            else:
                self.refusals[gate.url, code] += 1
            return code

    async def until_answered(self, more: int = 1) -> None:
        """Until so many more calls than now were answered, or a caller is gone."""
        wanted = len(self.answers) + more

        async def is_so() -> bool:
            return len(self.answers) >= wanted or any(caller.done() for caller in self._callers)

        await until(is_so)

    def expect_loss_of(self, gate: Host) -> None:
        """This gate is about to be killed."""
        self._doomed = gate

    def forget(self, gate: Host) -> None:
        """Call no more at this gate."""
        self._gates.remove(gate)

    async def end(self) -> None:
        """Let every caller end the call that it is at."""
        self._is_enough = True
        async with asyncio.timeout(60):
            await asyncio.gather(*self._callers)

    @property
    def ids(self) -> set[str]:
        """The answers' ids, which are all different."""
        ids = {reply.headers["x-request-id"] for reply in self.answers.values()}
        assert len(ids) == len(self.answers)
        return ids
