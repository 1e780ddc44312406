"""Nobody leaves before the thread that works for them has ended."""

import asyncio
import threading

import pytest

from aldgate.engines.threads import in_thread

pytestmark = pytest.mark.anyio


async def test_what_the_work_gives_and_raises_comes_out() -> None:
    assert await in_thread(None, divmod, 7, 2) == (3, 1)
    with pytest.raises(ZeroDivisionError):
        await in_thread(None, divmod, 7, 0)


async def test_whoever_is_cancelled_twice_leaves_when_the_thread_has_ended() -> None:
    begun, go_on, ended = threading.Event(), threading.Event(), threading.Event()

    def work() -> None:
        begun.set()
        go_on.wait(10)
        ended.set()

    task = asyncio.create_task(in_thread(None, work))
    await asyncio.to_thread(begun.wait, 10)
    for _ in range(2):
        task.cancel()
        await asyncio.wait([task], timeout=0.02)
    assert not task.done()
    go_on.set()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert ended.is_set()
