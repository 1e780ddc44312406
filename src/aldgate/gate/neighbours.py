"""The other processes that share the database: who is alive, what they have changed, and what they ask of each other."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable

import msgspec

from aldgate.core.errors import GatewayError
from aldgate.storage import Store

log = logging.getLogger("aldgate.neighbours")

BEAT_S = 0.4
"""Between two looks: what is told is heard at once, and what was missed (a connection broke) is noticed here."""
PAUSE_S = 0.5

GiveBack = Callable[[str, str], Awaitable[None]]


class Neighbours:
    """This process among the others.

    Args:
        store: What they share.
        incarnation: This process's id.
        give_back: Returns what this process does not hold of a budget: account and period.
        recall_s: How long others have to give back what they do not hold before a call is refused.
        changed: By name, what is to be done when something that this process has cached was changed.

    Attributes:
        alive: The processes that were seen lately, this one among them.
    """

    def __init__(
        self,
        store: Store,
        incarnation: str,
        give_back: GiveBack,
        changed: dict[str, Callable[[], None]],
        recall_s: float = 0.05,
    ) -> None:
        self._store = store
        self._incarnation = incarnation
        self._give_back = give_back
        self._changed = changed
        self._recall_s = recall_s
        self._revisions: dict[str, int] = {}
        self._has_looked = False
        self._awaited: dict[tuple[str, str], tuple[set[str], asyncio.Event]] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self.alive: frozenset[str] = frozenset({incarnation})

    @property
    def are_there(self) -> bool:
        """Whether this process is not alone."""
        return len(self.alive) > 1

    async def run(self) -> None:
        """Be one of them, until cancelled."""
        try:
            await asyncio.gather(self._beating(), self._listening())
        finally:
            for task in self._tasks:
                task.cancel()

    async def _beating(self) -> None:
        while True:
            try:
                await self.look()
            except GatewayError as error:
                log.warning("the database did not tell who else is there", exc_info=error)
            await asyncio.sleep(BEAT_S)

    async def look(self) -> None:
        """Say that this process is alive, and see who else is and what was changed.

        Raises:
            StoreUnavailable: The database did not answer.
        """
        pulse = await self._store.beat()
        self.alive = pulse.alive
        if not self._has_looked:  # what was changed before this process began, it knows
            self._has_looked, self._revisions = True, dict(pulse.revisions)
        for name, value in pulse.revisions.items():
            self._note_change(name, value)

    async def _listening(self) -> None:
        while True:
            try:
                await self._store.listen(self._heard)
            except GatewayError as error:
                log.warning("what other processes tell is not heard for a moment", exc_info=error)
            await asyncio.sleep(PAUSE_S)

    def _heard(self, message: str) -> None:
        match msgspec.json.decode(message):
            case ["changed", str(name), int(value)]:
                self._note_change(name, value)
            case ["recall", str(who), str(account), str(period)] if who != self._incarnation:
                self._start(self._answer(account, period))
            case ["gave", str(who), str(account), str(period)]:
                self._note(who, account, period)
            case _:
                pass

    def _note_change(self, name: str, value: int) -> None:
        """Act on a change once, whether it was told or noticed."""
        if self._revisions.get(name, 0) < value:
            self._revisions[name] = value
            act = self._changed.get(name)
            if act is not None:
                act()

    def _start(self, work: Awaitable[None]) -> None:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _answer(self, account: str, period: str) -> None:
        try:
            await self._give_back(account, period)
            await self._store.tell(_message("gave", self._incarnation, account, period))
        except GatewayError as error:
            log.warning("a part of a budget could not be given back", exc_info=error)

    async def recall(self, account: str, period: str) -> None:
        """See `slices.Neighbours`."""
        others = set(self.alive - {self._incarnation})
        if not others:
            return
        answered = asyncio.Event()
        self._awaited[account, period] = others, answered
        try:
            async with asyncio.timeout(self._recall_s):
                await self._store.tell(_message("recall", self._incarnation, account, period))
                await answered.wait()
        except TimeoutError:
            log.info("not every process answered in time", extra={"missing": sorted(others)})
        except GatewayError as error:
            log.warning("other processes could not be asked", exc_info=error)
        finally:
            del self._awaited[account, period]

    def _note(self, who: str, account: str, period: str) -> None:
        awaited = self._awaited.get((account, period))
        if awaited is not None:
            others, answered = awaited
            others.discard(who)
            if not others:
                answered.set()

    async def change(self, name: str) -> None:
        """Tell the others that something was changed which is not in the database.

        Raises:
            StoreUnavailable: The database did not answer.
        """
        await self._store.announce(name)

    async def has(self, incarnation: str) -> bool:
        """Whether the process with this id is alive.

        Raises:
            StoreUnavailable: The database did not answer.
        """
        if incarnation not in self.alive:
            await self.look()  # it may have come just now
        return incarnation in self.alive


def _message(*words: str) -> str:
    return msgspec.json.encode(words).decode()
