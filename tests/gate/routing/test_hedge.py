"""Two attempts at once: one wins, the other is always let go of."""

import asyncio

import pytest

from aldgate.core.errors import UpstreamBroken, UpstreamUnreachable
from aldgate.gate.routing.hedge import race

pytestmark = pytest.mark.anyio


class Lane:
    """One contestant: told when to end, and how."""

    def __init__(self, ends: object = None) -> None:
        self.is_begun = asyncio.Event()
        self.now = asyncio.Event()
        self.ends = ends
        self.is_cancelled = False

    async def run(self) -> object:
        self.is_begun.set()
        try:
            await self.now.wait()
        except asyncio.CancelledError:
            self.is_cancelled = True
            raise
        if isinstance(self.ends, Exception):
            raise self.ends
        return self.ends


async def test_the_second_starts_only_when_the_first_is_slow() -> None:
    first, dropped = Lane("one"), list[object]()
    first.now.set()
    assert await race(first.run(), lambda: pytest.fail("it was quick"), 60.0, dropped.append) == "one"
    first = Lane("one")
    second = Lane("two")
    second.now.set()
    assert await race(first.run(), second.run, 0.0, dropped.append) == "two"
    assert first.is_cancelled and dropped == []


async def test_a_failure_waits_for_the_other() -> None:
    first, second = Lane(UpstreamBroken("no")), Lane("two")
    racing = asyncio.create_task(race(first.run(), second.run, 0.0, lambda _: None))
    await second.is_begun.wait()
    first.now.set()
    await asyncio.sleep(0)
    second.now.set()
    assert await racing == "two"


async def test_a_failure_before_the_second_starts_is_told_at_once() -> None:
    first = Lane(UpstreamBroken("no"))
    first.now.set()
    with pytest.raises(UpstreamBroken):
        await race(first.run(), lambda: pytest.fail("failing over is not a race"), 60.0, lambda _: None)


async def test_when_both_fail_the_later_error_is_told() -> None:
    first, second = Lane(UpstreamBroken("no")), Lane(UpstreamUnreachable("no"))
    racing = asyncio.create_task(race(first.run(), second.run, 0.0, lambda _: None))
    await second.is_begun.wait()
    second.now.set()
    for _ in range(5):
        await asyncio.sleep(0)
    first.now.set()
    with pytest.raises(UpstreamBroken):
        await racing


async def test_a_result_too_late_is_dropped() -> None:
    first, second, dropped = Lane("one"), Lane("two"), list[object]()

    def start() -> object:
        first.now.set()
        second.now.set()
        return second.run()

    assert await race(first.run(), start, 0.0, dropped.append) == "one"  # pyright: ignore[reportArgumentType]
    assert dropped in (["two"], []) and (dropped or second.is_cancelled)


async def test_without_a_second_the_first_is_waited_for() -> None:
    first = Lane("one")
    racing = asyncio.create_task(race(first.run(), lambda: None, 0.0, lambda _: None))
    await asyncio.sleep(0)
    first.now.set()
    assert await racing == "one"


async def test_whoever_is_cancelled_takes_both_along() -> None:
    first, second = Lane(), Lane()
    started = asyncio.Event()

    def start():
        started.set()
        return second.run()

    racing = asyncio.create_task(race(first.run(), start, 0.0, lambda _: None))
    await started.wait()
    await asyncio.sleep(0)
    racing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await racing
    assert first.is_cancelled and second.is_cancelled
