"""Two limiters under load while their server is emptied, loses connections and scripts, and is stopped and started."""

import asyncio
import random
import signal
from collections.abc import Callable

from aldgate.core.errors import ConcurrencyLimited, StoreUnavailable
from aldgate.limiter.claims import Claim
from aldgate.limiter.valkey.limiter import ValkeyLimiter
from tests.limiter.valkey.conftest import NewLimiter
from tests.limiter.valkey.server import Server
from tests.limiter.valkey.test_away import kept, left

CALLERS, LIMIT, CALLS_BETWEEN = 24, 7, 60
AT_ONCE = Claim("key", "concurrency", LIMIT, 0, 1)
CLAIMS = [Claim("key", "tokens", 10**9, 60, 10), AT_ONCE]


class Load:
    """Callers who hold places for a moment, and the most that were ever held at once."""

    def __init__(self) -> None:
        self.calls = self.held = self.most = self.refused = self.patient = self.faults = 0
        self.is_over = False

    async def caller(self, limiter: ValkeyLimiter, dice: random.Random) -> None:
        while not self.is_over:
            try:
                async with asyncio.timeout(dice.choice([0.002, 5, 5, 5, 5])):
                    taken = await limiter.take(CLAIMS)
            except (ConcurrencyLimited, StoreUnavailable):
                self.refused += 1
                await asyncio.sleep(0)
                continue
            except TimeoutError:
                continue
            self.calls += 1
            self.held += 1
            self.most = max(self.most, self.held)
            await self.hold(dice)
            self.held -= 1
            limiter.settle(taken, {"tokens": dice.randrange(20)})

    async def hold(self, dice: random.Random) -> None:
        """For a few turns, or, up to four callers, through the next fault and until others have called after it."""
        if self.patient < 4:
            self.patient += 1
            before = self.faults
            while self.faults == before and not self.is_over:
                await asyncio.sleep(0)
            enough = self.calls + CALLS_BETWEEN // 2
            while self.calls < enough and not self.is_over:
                await asyncio.sleep(0)
            self.patient -= 1
        for _ in range(dice.randrange(6)):
            await asyncio.sleep(0)

    async def until(self, calls: int) -> None:
        while self.calls < calls:
            await asyncio.sleep(0)


def restart(server: Server) -> None:
    server.stop(signal.SIGKILL)
    server.start()


FAULTS: list[Callable[[Server], object]] = [
    lambda server: server.ask("FLUSHALL"),
    lambda server: server.ask("SCRIPT", "FLUSH"),
    lambda server: server.ask("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"),
    restart,
]


async def test_never_more_than_the_limit_and_every_place_comes_back(server: Server, new_limiter: NewLimiter) -> None:
    load, dice = Load(), random.Random(4)
    one = await new_limiter(server.url, process="one", beat_s=0.5)
    two = await new_limiter(server.url, process="two", beat_s=0.5)
    async with kept(one), kept(two):
        async with asyncio.TaskGroup() as group:
            for number in range(CALLERS):
                group.create_task(load.caller((one, two)[number % 2], random.Random(number)))
            for fault in [*FAULTS, *FAULTS[1:3] * 4]:
                await load.until(load.calls + CALLS_BETWEEN + dice.randrange(CALLS_BETWEEN))
                fault(server)
                load.faults += 1
            await load.until(load.calls + CALLS_BETWEEN)
            load.is_over = True
        assert load.most == LIMIT and load.refused > 0
        await left(two, AT_ONCE)  # all that it had settled has arrived
        assert await left(one, AT_ONCE) == await left(two, AT_ONCE) == LIMIT
