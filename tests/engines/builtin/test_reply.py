import asyncio

import pytest

from aldgate.core.errors import ClientGone, GatewayError, UpstreamBroken, UpstreamTimeout
from aldgate.engines.builtin.echo import Echo, EchoOptions
from aldgate.engines.builtin.embed import Embed, EmbedOptions
from aldgate.engines.builtin.reply import JSON, Reply

from .conftest import Clock, attempt_of, events_of

pytestmark = pytest.mark.anyio

HELLO = {"messages": [{"role": "user", "content": "one two three"}]}


async def settle() -> None:
    """Let every task run until it waits."""
    for _ in range(5):
        await asyncio.sleep(0)


async def test_without_pace_nothing_yields_to_the_loop() -> None:
    async def whole() -> bytes:
        exchange = await Echo(EchoOptions()).start(attempt_of("chat", HELLO | {"stream": True}))
        return await exchange.read()

    with pytest.raises(StopIteration) as ended:
        whole().send(None)
    assert len(events_of(ended.value.value)) == 5


async def test_a_stream_comes_word_by_word(clock: Clock) -> None:
    echo = Echo(EchoOptions(first_byte_ms=500, per_token_ms=20), later=clock.later)
    async with asyncio.TaskGroup() as group:
        starting = group.create_task(echo.start(attempt_of("chat", HELLO | {"stream": True})))
        await settle()
        clock.advance(0.499)
        await settle()
        assert not starting.done()
        clock.advance(0.001)
        exchange = await starting
        assert b'"role":"assistant"' in (await exchange.next() or b"")
        for word in (b'"one"', b'" two"', b'" three"'):
            pulling = group.create_task(exchange.next())
            await settle()
            clock.advance(0.019)
            await settle()
            assert not pulling.done()
            clock.advance(0.001)
            assert word in (await pulling or b"")
        assert b'"stop"' in (await exchange.next() or b"")
        assert await exchange.next() == b"data: [DONE]\n\n"
        assert await exchange.next() is None
    assert clock.timers == []


@pytest.mark.parametrize("operation", ["chat", "complete"])
async def test_a_whole_reply_takes_as_long_as_its_words(clock: Clock, operation: str) -> None:
    echo = Echo(EchoOptions(per_token_ms=20), later=clock.later)
    exchange = await echo.start(attempt_of(operation, HELLO | {"prompt": "one two three", "n": 4}))
    async with asyncio.TaskGroup() as group:
        reading = group.create_task(exchange.read())
        await settle()
        clock.advance(0.059)
        await settle()
        assert not reading.done()
        clock.advance(0.001)
        assert b"one two three" in await reading


async def test_an_embedding_waits_for_its_first_byte(clock: Clock) -> None:
    embed = Embed(EmbedOptions(first_byte_ms=5), later=clock.later)
    async with asyncio.TaskGroup() as group:
        starting = group.create_task(embed.start(attempt_of("embed", {"input": "x"})))
        await settle()
        assert not starting.done()
        clock.advance(0.005)
        assert (await starting).status == 200


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize("error", [ClientGone("gone"), UpstreamTimeout("too slow")])
async def test_abort_wakes_who_waits(clock: Clock, error: GatewayError, stream: bool) -> None:
    echo = Echo(EchoOptions(per_token_ms=1000), later=clock.later)
    exchange = await echo.start(attempt_of("chat", HELLO | {"stream": stream}))
    reading = asyncio.ensure_future(exchange.read())
    await settle()
    exchange.abort(error)
    exchange.abort(UpstreamBroken("later ones do not count"))
    with pytest.raises(type(error)) as raised:
        await reading
    assert raised.value is error
    with pytest.raises(type(error)):
        await exchange.next()
    exchange.close()
    assert clock.timers == []


async def test_close_is_immediate_and_final(clock: Clock) -> None:
    exchange = await Echo(EchoOptions(per_token_ms=1000), later=clock.later).start(attempt_of("chat", HELLO))
    reading = asyncio.ensure_future(exchange.read())
    await settle()
    exchange.close()
    exchange.close()
    with pytest.raises(UpstreamBroken):
        await reading
    assert clock.timers == []


async def test_cancelling_a_wait_leaves_no_timer(clock: Clock) -> None:
    exchange = await Echo(EchoOptions(per_token_ms=1000), later=clock.later).start(attempt_of("chat", HELLO))
    reading = asyncio.ensure_future(exchange.read())
    await settle()
    reading.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reading
    exchange.abort(ClientGone("gone"))
    exchange.close()
    assert clock.timers == []


async def test_real_time_passes_too() -> None:
    echo = Echo(EchoOptions(first_byte_ms=0.1, per_token_ms=0.1))
    assert b"one two three" in await (await echo.start(attempt_of("chat", HELLO))).read()


async def test_pieces_nobody_pulls_are_never_made() -> None:
    made: list[int] = []

    def pieces():
        for at in range(3):
            made.append(at)
            yield 0, b"x"

    exchange = Reply(pieces(), JSON)
    await exchange.next()
    exchange.close()
    assert made == [0]
    assert exchange.header(b"content-length") is None
