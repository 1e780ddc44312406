"""Responses that are made without anybody waiting: each is a call like any other, in a task of its own.

https://platform.openai.com/docs/guides/background. What is under way is here; what became of it is in the store.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Awaitable, Callable

from msgspec.structs import replace

from aldgate.core.errors import ConcurrencyLimited, GatewayError, InternalError, ShuttingDown, StoreUnavailable
from aldgate.core.kept import KeptResponse
from aldgate.dialects.responses.states import ending, in_state
from aldgate.ports import ByteBound
from aldgate.storage import Store
from aldgate.surfaces.responses.event_log import EventLog
from aldgate.surfaces.responses.withheld import Withheld

log = logging.getLogger("aldgate.responses")

LEASE_S = 60.0
"""Where several processes share a database: so long after it was last heard of, what a process had under way is lost."""
RETRY_S = 1.0

Work = Callable[[Withheld], Awaitable[None]]
"""Makes the call and gives its answer to the outlet."""
Wait = Callable[[asyncio.Event, float], Awaitable[None]]
"""Returns when the event is set, or after so many seconds."""


class BackgroundRun:
    """A response under way.

    Attributes:
        account: Whose it is.
        body: The response as it is now.
        events: What it says, for followers if it `is_streamed`.
        is_ended: All is said; it may not be kept yet.
        over: It is kept.
        was_cut: The gate stopped it, and not its caller.
    """

    def __init__(self, account: str, kept: KeptResponse, events: EventLog, *, is_streamed: bool) -> None:
        self.account = account
        self.kept = kept
        self.body = kept.body
        self.events = events
        self.is_streamed = is_streamed
        self.is_ended = False
        self.over = asyncio.Event()
        self.task: asyncio.Task[None] | None = None
        self.was_cut = False
        self._is_cancelled = False

    def cancel(self, *, by_caller: bool) -> None:
        """Stop it, unless it has ended."""
        if not self.is_ended and not self._is_cancelled:
            self._is_cancelled = True
            self.was_cut = not by_caller
            # Not before its first step: a task that is cancelled before that never takes it, and would settle nothing.
            asyncio.get_running_loop().call_soon(self._stop)

    def _stop(self) -> None:
        if not self.is_ended and self.task is not None:
            self.task.cancel()


class Background:
    """All that is under way in this process.

    Args:
        store: Keeps what becomes of it.
        bound: The bound on bytes held for calls under way.
        memory: The bound on events that are remembered.
        most: Responses of an account at once.
        quota_bytes: The most that the responses of an account may come to.
    """

    def __init__(
        self,
        store: Store,
        bound: ByteBound,
        memory: ByteBound,
        *,
        most: int,
        quota_bytes: int,
        wait: Wait,
    ) -> None:
        self._store = store
        self._bound = bound
        self._memory = memory
        self._most = most
        self._quota_bytes = quota_bytes
        self._wait = wait
        self._runs: dict[tuple[str, str], BackgroundRun] = {}
        self._places: Counter[str] = Counter()
        self._quiet = asyncio.Event()
        self._quiet.set()
        self._is_stopping = False

    def find(self, account: str, name: str) -> BackgroundRun | None:
        """The account's response with this id, if it is being made here."""
        return self._runs.get((account, name))

    def reserve(self, account: str, size: int) -> None:
        """Take a place for another response of the account, which holds `size` bytes; once it is started, it gives it back.

        Raises:
            ConcurrencyLimited: The account has as many as it may.
            Shedding: There is no room for the bytes.
        """
        if self._places[account] >= self._most:
            raise ConcurrencyLimited(f"{self._most} responses of this key run in the background already.", retry_after_s=5)
        self._bound.take(size)
        self._places[account] += 1

    def give_back(self, account: str, size: int) -> None:
        """The place is free again."""
        self._bound.release(size)
        self._places[account] -= 1
        if not self._places[account]:
            del self._places[account]

    def start(self, account: str, kept: KeptResponse, work: Work, *, is_streamed: bool, held: int) -> BackgroundRun:
        """Begin with a response that is kept as queued and has its place."""
        run = BackgroundRun(account, kept, EventLog(self._memory), is_streamed=is_streamed)
        self._runs[account, kept.id] = run
        self._quiet.clear()
        run.task = asyncio.create_task(self._carry(run, work, held))
        return run

    async def _carry(self, run: BackgroundRun, work: Work, held: int) -> None:
        withheld = Withheld(run.events)
        try:
            status, body = await self._made(run, work, withheld)
            run.is_ended = True
            events = await run.events.packed(withheld.last or b"") if run.is_streamed else None
            ended = replace(run.kept, status=status, body=body, warnings=withheld.warnings, lease_s=None)
            await self._keep(run, ended, events)
        finally:
            withheld.release()
            self.give_back(run.account, held)
            run.events.release()
            del self._runs[run.account, run.kept.id]
            if not self._runs:
                self._quiet.set()
            run.over.set()

    async def _made(self, run: BackgroundRun, work: Work, withheld: Withheld) -> tuple[str, bytes]:
        """What became of it: status and response."""
        run.body = in_state(run.body, "in_progress")
        status = "failed"
        error: GatewayError | None = None
        try:
            await work(withheld)
            told = withheld.response(is_stream=run.is_streamed)
            if told is not None:
                return told
            error = InternalError("The response came to no end.")
        except asyncio.CancelledError:
            if run.was_cut:
                error = ShuttingDown("The gate was stopped before the response had ended.")
            else:
                status = "cancelled"
        except GatewayError as met:
            error = met
            error.__traceback__ = None  # its frames hold the call with its body
        except Exception:  # a border: one response's fault must not end the others
            log.exception("a response in the background failed", extra={"response": run.kept.id})
            error = InternalError("The gate failed; its log says why.")
        body = in_state(run.body, status, error)
        withheld.last = ending(withheld.latest, status, body)
        return status, body

    async def _keep(self, run: BackgroundRun, ended: KeptResponse, events: bytes | None) -> None:
        """Keep what became of it: nobody else has it, so a database that is away is waited for."""
        while True:
            try:
                await self._store.end_response(run.account, ended, events, self._quota_bytes)
                return
            except StoreUnavailable as error:
                log.warning("the database did not take a response", extra={"response": ended.id}, exc_info=error)
                if self._is_stopping:
                    return
                await self._wait(asyncio.Event(), RETRY_S)

    async def run(self) -> None:
        """Tell the other processes from time to time that what is under way here is alive, and hear what they cancelled."""
        while True:
            await self._wait(asyncio.Event(), LEASE_S / 3)
            if self._runs:
                await self.hold()

    async def hold(self) -> None:
        """Hold what is under way, and stop what is no longer wanted."""
        begun = dict(self._runs)
        try:
            held = await self._store.hold_responses(begun.keys(), LEASE_S)
        except StoreUnavailable as error:
            log.warning("the database did not answer", exc_info=error)
            return
        for key, run in begun.items():
            if key not in held:
                run.cancel(by_caller=True)

    async def drain(self, patience_s: float) -> None:
        """Let what is under way end within `patience_s`."""
        await self._wait(self._quiet, patience_s)

    async def aclose(self) -> None:
        """Cut what is still under way; it is kept as failed."""
        self._is_stopping = True
        runs = list(self._runs.values())
        for run in runs:
            run.cancel(by_caller=False)
        await asyncio.gather(*(run.over.wait() for run in runs))
