"""Servers of Valkey or Redis, and limiters on them."""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest

from aldgate.limiter.valkey.limiter import ValkeyLimiter
from tests.limiter.valkey.server import Server, binary, running

PREFIXES = (f"test{number}" for number in count())
NewLimiter = Callable[..., Awaitable[ValkeyLimiter]]


@pytest.fixture(scope="session")
def shared_server() -> Iterator[Server]:
    """One for all tests that neither stop nor empty it."""
    if binary() is None:
        pytest.skip("Valkey is not installed: neither `valkey-server` nor `redis-server` is on the path")
    with TemporaryDirectory(prefix="aldgate-valkey-") as home, running(Path(home)) as server:
        yield server


@pytest.fixture
def server(valkey: Server) -> Server:
    """One for this test alone."""
    return valkey


@asynccontextmanager
async def opened(url: str, **options: Any) -> AsyncIterator[ValkeyLimiter]:
    limiter = ValkeyLimiter(url, **{"process": "one", "is_open": lambda _: False, "timeout_s": 5, **options})
    await limiter.open()
    try:
        yield limiter
    finally:
        await limiter.aclose()


@pytest.fixture
async def new_limiter() -> AsyncIterator[NewLimiter]:
    """Opens limiters which share their counters within the test: `await new_limiter(url, **options)`."""
    prefix = next(PREFIXES)
    async with AsyncExitStack() as stack:

        async def new(url: str, **options: Any) -> ValkeyLimiter:
            return await stack.enter_async_context(opened(url, **{"prefix": prefix, **options}))

        yield new


@pytest.fixture
async def limiter(shared_server: Server, new_limiter: NewLimiter) -> ValkeyLimiter:
    """One that refuses everything while its server is away."""
    return await new_limiter(shared_server.url)
