"""Calls under way of processes that end, crash or stand still."""

import asyncio
import os
import signal
import sys

import pytest

from aldgate.core.errors import ConcurrencyLimited
from aldgate.limiter.claims import Claim
from aldgate.limiter.valkey.limiter import ValkeyLimiter
from aldgate.limiter.valkey.scripts import Scripts
from tests.limiter.valkey.conftest import NewLimiter, opened
from tests.limiter.valkey.server import Server
from tests.limiter.valkey.test_away import kept, left
from tests.limiter.valkey.test_model import CLOCK

CLAIM = Claim("key", "concurrency", 3, 0, 1)
HOLDER = """
import asyncio, sys
from aldgate.limiter.claims import Claim
from aldgate.limiter.valkey.limiter import ValkeyLimiter
from aldgate.limiter.valkey.scripts import Scripts

async def main():
    limiter = ValkeyLimiter(sys.argv[1], process="crashing", is_open=lambda _: False, prefix="crash", beat_s=0.1, lapse_s=1.5)
    await limiter.open()
    for _ in range(3):
        await limiter.take([Claim("key", "concurrency", 3, 0, 1)])
    print("holds", flush=True)
    await limiter.run()

asyncio.run(main())
"""


async def test_a_killed_process_gives_its_places_back_when_its_heartbeat_lapses(
    shared_server: Server, new_limiter: NewLimiter
) -> None:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    holder = await asyncio.create_subprocess_exec(
        sys.executable, "-c", HOLDER, shared_server.url, stdout=asyncio.subprocess.PIPE, env=environment
    )
    assert holder.stdout is not None
    limiter = await new_limiter(shared_server.url, prefix="crash", beat_s=0.1, lapse_s=1.5)
    async with kept(limiter):
        assert await holder.stdout.readline() == b"holds\n"
        with pytest.raises(ConcurrencyLimited):
            await limiter.take([CLAIM])
        holder.send_signal(signal.SIGKILL)
        await holder.wait()
        refused = 0
        while True:
            try:
                taken = await limiter.take([CLAIM])
                break
            except ConcurrencyLimited:
                refused += 1
        assert refused > 0
        assert [standing.left for standing in taken.standings()] == [2]


async def test_one_that_stood_still_comes_back_with_what_it_has_under_way(shared_server: Server, new_limiter: NewLimiter) -> None:
    still = await new_limiter(shared_server.url, process="still", beat_s=0.1, lapse_s=1)
    other = await new_limiter(shared_server.url, process="other", beat_s=0.1, lapse_s=1)
    held = [await still.take([CLAIM]) for _ in range(2)]
    async with kept(other):
        while await left(other, CLAIM) < 3:  # no heartbeat: it is taken for lost
            await asyncio.sleep(0)
        assert [standing.left for standing in (await still.take([CLAIM])).standings()] == [0]
        still.settle(held[0], {})
        assert await left(still, CLAIM) == 1


async def test_one_that_ends_gives_its_places_back_at_once(shared_server: Server, new_limiter: NewLimiter) -> None:
    staying = await new_limiter(shared_server.url)
    async with opened(shared_server.url, prefix="leaving") as leaving:
        await leaving.take([CLAIM])
        staying = await new_limiter(shared_server.url, prefix="leaving")
        assert await left(staying, CLAIM) == 2
    assert await left(staying, CLAIM) == 3


async def test_places_are_freed_once_however_often_it_is_said(shared_server: Server, new_limiter: NewLimiter) -> None:
    one: ValkeyLimiter = await new_limiter(shared_server.url)
    two: ValkeyLimiter = await new_limiter(shared_server.url)
    held = [await one.take([CLAIM]), await two.take([CLAIM])]
    for _ in range(3):
        one.settle(held[0], {})
    assert await left(one, CLAIM) == 2


async def test_a_clock_that_steps_loses_nobody_who_lives(shared_server: Server, new_limiter: NewLimiter) -> None:
    """`still` is between two heartbeats all the while."""
    options = {"prefix": "steps", "scripts": Scripts(CLOCK), "beat_s": 0.02, "lapse_s": 1}
    shared_server.ask("SET", "clock", "5000000")
    still = await new_limiter(shared_server.url, process="still", **options)
    other = await new_limiter(shared_server.url, process="other", **options)
    await still.take([CLAIM])

    async def left_at(now: int) -> int:
        shared_server.ask("SET", "clock", str(now))
        for _ in range(2):
            while beat(shared_server, "other") != now:
                await asyncio.sleep(0)
            shared_server.ask("HINCRBY", "{steps}:processes", name_of(shared_server, "other"), "-1")  # until it beats again
        while beat(shared_server, "other") != now:
            await asyncio.sleep(0)
        return await left(other, CLAIM)

    async with kept(other):
        assert await left_at(4_000_000) == 2
        assert await left_at(9_000_000) == 2
        assert await left_at(9_000_040) == 2
        assert await left_at(9_000_041) == 3  # missed for longer than two beats


def name_of(server: Server, process: str) -> str:
    return next(name for name in beats(server) if name.startswith(f"{process}:"))


def beat(server: Server, process: str) -> int:
    return beats(server)[name_of(server, process)]


def beats(server: Server) -> dict[str, int]:
    """The last heartbeats of all who are registered."""
    found = server.ask("HGETALL", "{steps}:processes")
    assert isinstance(found, list)
    texts = [str(each, "utf-8") for each in found if isinstance(each, bytes)]
    return {name: int(value) for name, value in zip(texts[::2], texts[1::2], strict=True)}
