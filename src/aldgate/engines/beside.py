"""Work that goes on beside other work and ends with it: watching progress while a request waits for its reply."""

import asyncio
from collections.abc import AsyncGenerator, Coroutine
from contextlib import asynccontextmanager
from typing import Any


@asynccontextmanager
async def beside(work: Coroutine[Any, Any, None]) -> AsyncGenerator[None]:
    """Run `work` while the body runs; it is cancelled, and has ended, when the body has.

    Raises:
        BaseException: What `work` itself raised, where the body raised nothing.
    """
    task = asyncio.create_task(work)
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait([task])
        failure = None if task.cancelled() else task.exception()
    if failure is not None:
        raise failure
