"""Valkey stopped, silent, emptied, or somebody else altogether: what callers get, and that every count is right afterwards."""

import asyncio
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from aldgate.core.errors import ConcurrencyLimited, RateLimited, StoreUnavailable
from aldgate.limiter.claims import Claim
from aldgate.limiter.valkey.calls import ValkeyTaken
from aldgate.limiter.valkey.limiter import ValkeyLimiter
from aldgate.limiter.valkey.scripts import Scripts
from tests.limiter.valkey.conftest import NewLimiter
from tests.limiter.valkey.server import Server

OPEN = Claim("open", "tokens", 100, 86_400, 30)
CLOSED = Claim("closed", "requests", 100, 86_400, 1)
OPEN_AT_ONCE = Claim("open", "concurrency", 2, 0, 1)
CLOSED_AT_ONCE = Claim("closed", "concurrency", 2, 0, 1)


def is_open(claim: Claim) -> bool:
    return claim.account == "open"


@asynccontextmanager
async def kept(limiter: ValkeyLimiter) -> AsyncIterator[ValkeyLimiter]:
    """While its heart beats, and it reconnects by itself."""
    running = asyncio.create_task(limiter.run())
    try:
        async with asyncio.timeout(20):
            yield limiter
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


async def until(limiter: ValkeyLimiter, *, is_up: bool) -> None:
    while limiter.is_up is not is_up:
        await asyncio.sleep(0)


async def left(limiter: ValkeyLimiter, claim: Claim) -> int:
    while True:
        try:
            return (await limiter.standings([claim]))[0].left
        except StoreUnavailable:  # a busy machine; it comes back
            await asyncio.sleep(0)


async def test_stopped_and_started(server: Server, new_limiter: NewLimiter, caplog: pytest.LogCaptureFixture) -> None:
    async with kept(await new_limiter(server.url, is_open=is_open, beat_s=0.1)) as limiter:
        before = await limiter.take([OPEN, OPEN_AT_ONCE])
        server.stop()
        await until(limiter, is_up=False)
        assert "is away, so each limit fails open or closed" in caplog.text
        with pytest.raises(StoreUnavailable) as raised:
            await limiter.take([OPEN, CLOSED])
        assert raised.value.retry_after_s == 1
        with pytest.raises(StoreUnavailable):
            await limiter.standings([OPEN])
        meanwhile = await limiter.take([OPEN, OPEN_AT_ONCE])
        assert meanwhile.standings() == []
        server.start()
        await until(limiter, is_up=True)
        # Rates were lost with the server's memory; calls under way were not, the one it never heard of included.
        assert await left(limiter, OPEN) == 100
        assert await left(limiter, OPEN_AT_ONCE) == 0
        limiter.settle(before, {"tokens": 0})
        limiter.settle(meanwhile, {"tokens": 90})
        assert (await left(limiter, OPEN), await left(limiter, OPEN_AT_ONCE)) == (100, 2)
        assert caplog.text.count("is away") == 1 and caplog.text.count("is back") == 1


async def test_what_is_settled_while_it_is_away_arrives_later(server: Server, new_limiter: NewLimiter) -> None:
    async with kept(await new_limiter(server.url)) as limiter:
        more, less = await limiter.take([OPEN, OPEN_AT_ONCE]), await limiter.take([OPEN, OPEN_AT_ONCE])
        server.ask("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
        await until(limiter, is_up=False)
        limiter.settle(more, {"tokens": 35})
        limiter.settle(less, {"tokens": 10})
        await until(limiter, is_up=True)
        assert (await left(limiter, OPEN), await left(limiter, OPEN_AT_ONCE)) == (55, 2)


async def test_silent_for_too_long(server: Server, new_limiter: NewLimiter) -> None:
    async with kept(await new_limiter(server.url, is_open=is_open, timeout_s=0.2)) as limiter:
        held = await limiter.take([CLOSED_AT_ONCE])
        server.signal(signal.SIGSTOP)
        closed, opened = await asyncio.gather(limiter.take([CLOSED]), limiter.take([OPEN, OPEN_AT_ONCE]), return_exceptions=True)
        assert isinstance(closed, StoreUnavailable) and isinstance(opened, ValkeyTaken)
        server.signal(signal.SIGCONT)
        await until(limiter, is_up=True)
        # What had been asked in vain was carried out late, under the name of before: it counts for no call under way.
        assert (await left(limiter, CLOSED_AT_ONCE), await left(limiter, OPEN_AT_ONCE)) == (1, 1)
        limiter.settle(held, {})
        limiter.settle(opened, {})
        assert (await left(limiter, CLOSED_AT_ONCE), await left(limiter, OPEN_AT_ONCE)) == (2, 2)


async def test_emptied_it_forgets_rates_and_no_call_under_way(server: Server, new_limiter: NewLimiter) -> None:
    limits = [CLOSED._replace(limit=1), CLOSED_AT_ONCE]
    one = await new_limiter(server.url, process="one", beat_s=0.5)
    two = await new_limiter(server.url, process="two", beat_s=0.5)
    held = [await one.take(limits), await two.take([CLOSED_AT_ONCE])]
    with pytest.raises(ConcurrencyLimited):
        await one.take(limits)
    server.ask("FLUSHALL")
    with pytest.raises(StoreUnavailable, match="counted anew"):  # nobody has heard of the other's call yet
        await one.take(limits)
    async with kept(one), kept(two):
        while True:
            try:
                await one.take(limits)
            except StoreUnavailable:
                continue
            except ConcurrencyLimited:
                break
        two.settle(held[1], {})
        await two.standings(limits)
        held[1] = await one.take(limits)  # the rate was forgotten
        one.settle(held[1], {})
        with pytest.raises(RateLimited):
            await one.take(limits)
        one.settle(held[0], {"requests": 0})  # what was held before the flush comes back to nobody
        with pytest.raises(RateLimited):
            await one.take(limits)
        assert await left(one, CLOSED_AT_ONCE) == 2


async def test_emptied_a_limit_that_fails_open_lets_calls_through_and_counts_them(
    server: Server, new_limiter: NewLimiter
) -> None:
    limiter = await new_limiter(server.url, is_open=is_open)
    held = [await limiter.take([OPEN_AT_ONCE]) for _ in range(2)]
    server.ask("FLUSHALL")
    held.append(await limiter.take([OPEN_AT_ONCE]))
    limiter.settle(held.pop(), {})
    assert await left(limiter, OPEN_AT_ONCE) == 0
    for each in held:
        limiter.settle(each, {})
    assert await left(limiter, OPEN_AT_ONCE) == 2


async def test_emptied_with_its_scripts_forgotten_too(server: Server, new_limiter: NewLimiter) -> None:
    limiter = await new_limiter(server.url, is_open=is_open)
    held = await limiter.take([OPEN, OPEN_AT_ONCE])
    server.ask("SCRIPT", "FLUSH")
    server.ask("FLUSHALL")
    more = await asyncio.gather(*(limiter.take([OPEN_AT_ONCE]) for _ in range(5)))
    for each in (held, *more):
        limiter.settle(each, {})
    assert (await left(limiter, OPEN), await left(limiter, OPEN_AT_ONCE)) == (100, 2)


async def test_it_refuses_to_write(server: Server, new_limiter: NewLimiter) -> None:
    async with kept(await new_limiter(server.url, is_open=is_open)) as limiter:
        server.ask("CONFIG", "SET", "maxmemory", "1")
        with pytest.raises(StoreUnavailable):
            await limiter.take([CLOSED])
        through = await limiter.take([OPEN, OPEN_AT_ONCE])
        server.ask("CONFIG", "SET", "maxmemory", "0")
        await until(limiter, is_up=True)
        assert await left(limiter, OPEN_AT_ONCE) == 1
        limiter.settle(through, {})
        assert await left(limiter, OPEN_AT_ONCE) == 2


async def test_something_else_answers() -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(10)
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        await writer.drain()
        writer.close()

    async with await asyncio.start_server(answer, "127.0.0.1", 0) as other:
        port = other.sockets[0].getsockname()[1]
        with pytest.raises(StoreUnavailable):
            await ValkeyLimiter(f"redis://127.0.0.1:{port}", process="one", is_open=is_open).open()
    with pytest.raises(StoreUnavailable, match="no connection"):
        await ValkeyLimiter(f"redis://127.0.0.1:{port}", process="one", is_open=is_open).open()


@pytest.mark.parametrize("answers", range(len(Scripts().all()) + 1))
async def test_it_hangs_up_in_the_middle_of_the_introduction(answers: int) -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for _ in range(answers):
            await reader.readuntil(b"SCRIPT")
            writer.write(b"+OK\r\n")
        writer.close()

    async with await asyncio.start_server(answer, "127.0.0.1", 0) as other:
        port = other.sockets[0].getsockname()[1]
        limiter = ValkeyLimiter(f"redis://127.0.0.1:{port}", process="one", is_open=is_open)
        with pytest.raises(StoreUnavailable):
            await limiter.open()
        assert not limiter.is_up
        with pytest.raises(StoreUnavailable):
            await limiter.take([CLOSED])
