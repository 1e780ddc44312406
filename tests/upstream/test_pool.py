"""The pool on its own, against the fake upstream: reuse, caps, bounds, and deadlines by a clock turned by hand."""

import asyncio
import gzip
import socket
import ssl
import zlib
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest
import trustme

from aldgate.core.errors import GatewayError, Shedding, UpstreamBroken, UpstreamInvalid, UpstreamTimeout, UpstreamUnreachable
from aldgate.testing.upstream import Act, FakeUpstream, Step, Valve, faults, wire
from aldgate.upstream.pool import Origin, Pool, Timeouts
from aldgate.upstream.reply import Reply

LIST = b"GET /v1/models HTTP/1.1\r\nhost: x\r\n\r\n"
TIMEOUTS = Timeouts(connect_s=2.0, first_byte_s=10.0, idle_s=5.0, total_s=60.0)


def says(*pieces: bytes | Act) -> Step:
    """A scripted reply of exactly these bytes."""
    return Step("says", lambda _: iter(pieces))


@asynccontextmanager
async def pool_to(upstream: FakeUpstream, **options: object) -> AsyncIterator[Pool]:
    pool = Pool(Origin.of(upstream.url), timeouts=TIMEOUTS, **options)  # pyright: ignore[reportArgumentType]
    yield pool
    await pool.aclose()


async def ask(pool: Pool) -> bytes:
    return await (await pool.request(LIST, b"")).read()


async def refused(pool: Pool) -> GatewayError:
    with pytest.raises(GatewayError) as raised:
        await ask(pool)
    return raised.value


def now() -> float:
    return asyncio.get_running_loop().time()


async def paused(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(5):
        while not condition():
            await asyncio.sleep(0)


@pytest.mark.anyio
async def test_a_connection_is_used_again() -> None:
    async with FakeUpstream() as upstream, pool_to(upstream) as pool:
        for _ in range(3):
            assert b"gpt-4.1" in await ask(pool)
            assert pool.busy == 0
        assert upstream.connections == 1


@pytest.mark.anyio
async def test_calls_at_once_have_connections_of_their_own_up_to_the_cap() -> None:
    valve = Valve()
    async with FakeUpstream(default=faults.hang_before_head(valve)) as upstream, pool_to(upstream, max_connections=2) as pool:
        calls = [asyncio.create_task(ask(pool)) for _ in range(2)]
        await paused(lambda: pool.busy == 2)
        error = await refused(pool)
        assert isinstance(error, Shedding) and error.retry_after_s == 1
        valve.open()
        await asyncio.gather(*calls)
        assert (pool.busy, upstream.connections) == (0, 2)


@pytest.mark.anyio
@pytest.mark.parametrize("size", [0, 1, 65_535, 65_536, 200_000, 5_000_000])
async def test_replies_of_any_size_are_read_whole_and_piecewise(size: int) -> None:
    body = bytes(range(256)) * (size // 256) + b"x" * (size % 256)
    chunked = wire.head([wire.CHUNKED]) + (wire.chunk(body) if body else b"") + wire.LAST_CHUNK
    async with FakeUpstream() as upstream, pool_to(upstream) as pool:
        upstream.script(says(wire.whole(body)), says(chunked), says(chunked))
        assert await ask(pool) == body
        assert await ask(pool) == body
        reply = await pool.request(LIST, b"")
        pieces: list[bytes] = []
        while (piece := await reply.next()) is not None:
            pieces.append(piece)
        assert b"".join(pieces) == body
        assert upstream.connections == 1


@pytest.mark.anyio
async def test_a_large_body_is_sent_whole() -> None:
    body = b'{"x":"' + b"y" * 3_000_000 + b'"}'
    head = b"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ncontent-length: %d\r\n\r\n" % len(body)
    async with FakeUpstream() as upstream, pool_to(upstream) as pool:
        await (await pool.request(head, body)).read()
        assert upstream.requests[0].body == body


@pytest.mark.anyio
async def test_a_whole_reply_is_bounded_and_a_relayed_one_is_not() -> None:
    async with FakeUpstream() as upstream, pool_to(upstream, max_body_bytes=1_000) as pool:
        upstream.script(says(wire.whole(b"x" * 1_000)), says(wire.whole(b"x" * 1_001)))
        assert len(await ask(pool)) == 1_000
        assert "larger than 1000 bytes" in (await refused(pool)).message
        await paused(lambda: pool.busy == 0)


@pytest.mark.anyio
@pytest.mark.parametrize(("coding", "pack"), [("gzip", gzip.compress), ("x-gzip", gzip.compress), ("deflate", zlib.compress)])
async def test_a_compressed_reply_is_read_and_bounded_as_it_unfolds(coding: str, pack: Callable[[bytes], bytes]) -> None:
    headers = [("Content-Encoding", coding)]
    async with FakeUpstream() as upstream, pool_to(upstream, max_body_bytes=100_000) as pool:
        upstream.script(says(wire.whole(pack(b"hello"), headers=headers)), says(wire.whole(pack(b"0" * 10**7), headers=headers)))
        assert await ask(pool) == b"hello"
        assert isinstance(await refused(pool), UpstreamInvalid)


@pytest.mark.anyio
@pytest.mark.parametrize("coding", ["br", "gzip"])
async def test_what_cannot_be_unpacked_is_invalid(coding: str) -> None:
    async with FakeUpstream() as upstream, pool_to(upstream) as pool:
        upstream.script(says(wire.whole(b"\0\1\2", headers=[("Content-Encoding", coding)])))
        assert isinstance(await refused(pool), UpstreamInvalid)
        await paused(lambda: pool.busy == 0)


FAULTY = {
    "length and coding": wire.head([wire.CHUNKED, ("Content-Length", "3")]) + wire.chunk(b"x") + wire.LAST_CHUNK,
    "two lengths": wire.head([("Content-Length", "1"), ("Content-Length", "2")]) + b"xx",
    "two equal lengths": wire.head([("Content-Length", "1"), ("Content-Length", "1")]) + b"x",
    "another coding": wire.head([("Transfer-Encoding", "gzip, chunked")]) + wire.chunk(b"x") + wire.LAST_CHUNK,
    "a long head": wire.head([("X", "y" * 70_000), wire.length(b"")]),
    "an endless head": b"HTTP/1.1 200 OK\r\n" + b"x: y\r\n" * 20_000,
    "no HTTP": b"SSH-2.0-OpenSSH_9.2\r\n",
    "an upgrade": b"HTTP/1.1 101 Switching Protocols\r\nupgrade: x\r\nconnection: upgrade\r\n\r\n",
    "a bad chunk": wire.head([wire.CHUNKED]) + b"zz\r\nx\r\n",
    "a negative length": wire.head([("Content-Length", "-1")]),
}


@pytest.mark.anyio
@pytest.mark.parametrize("sent", FAULTY.values(), ids=FAULTY)
async def test_doubtful_framing_is_refused_and_its_connection_closed(sent: bytes) -> None:
    async with FakeUpstream() as upstream, pool_to(upstream) as pool:
        upstream.script(says(sent))
        assert isinstance(await refused(pool), UpstreamInvalid)
        assert b"gpt-4.1" in await ask(pool)
        assert upstream.connections == 2


@pytest.mark.anyio
async def test_a_reply_that_ends_with_its_connection_is_complete_and_cut_ones_are_not() -> None:
    async with FakeUpstream() as upstream, pool_to(upstream) as pool:
        upstream.script(faults.http_1_0(), faults.die_mid_body(), faults.die_mid_head(), faults.connection_close())
        assert b"gpt-4.1" in await ask(pool)
        assert isinstance(await refused(pool), UpstreamBroken)
        assert isinstance(await refused(pool), UpstreamBroken)
        assert b"gpt-4.1" in await ask(pool)
        assert upstream.connections == 4
        await paused(lambda: pool.busy == 0)


@pytest.mark.anyio
async def test_nobody_there_is_unreachable() -> None:
    async with FakeUpstream() as upstream, pool_to(upstream) as pool:
        upstream.refuse()
        assert isinstance(await refused(pool), UpstreamUnreachable)
        await upstream.listen()
        assert b"gpt-4.1" in await ask(pool)


@pytest.mark.anyio
async def test_a_host_that_takes_no_connection_is_given_up() -> None:
    quick = TIMEOUTS._replace(connect_s=0.05)
    with socket.create_server(("127.0.0.1", 0)) as listening:  # the kernel takes the connection, and nobody says a word
        origin = Origin("127.0.0.1", listening.getsockname()[1], True)
        pool = Pool(origin, timeouts=quick, tls=ssl.create_default_context())
        assert isinstance(await refused(pool), UpstreamTimeout)
        assert pool.busy == 0


@pytest.mark.anyio
async def test_tls_is_checked() -> None:
    authority = trustme.CA()
    server = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("127.0.0.1").configure_cert(server)
    trusting, strange = ssl.create_default_context(), ssl.create_default_context()
    authority.configure_trust(trusting)
    async with FakeUpstream(server) as upstream, pool_to(upstream, tls=trusting) as pool, pool_to(upstream, tls=strange) as other:
        for _ in range(2):
            assert b"gpt-4.1" in await ask(pool)
        assert upstream.connections == 1
        assert isinstance(await refused(other), UpstreamUnreachable)


@asynccontextmanager
async def hanging(step: Step) -> AsyncIterator[tuple[Pool, asyncio.Task[Reply]]]:
    async with FakeUpstream() as upstream, pool_to(upstream) as pool:
        upstream.script(step)
        call = asyncio.create_task(pool.request(LIST, b""))
        await paused(lambda: upstream.requests)
        yield pool, call
        async with asyncio.timeout(5):
            await upstream.saw_close()


@pytest.mark.anyio
async def test_a_head_that_does_not_come_is_given_up_at_its_deadline() -> None:
    async with hanging(faults.hang_before_head()) as (pool, call):
        began = now()
        pool.sweep(began + TIMEOUTS.first_byte_s - 1)
        assert pool.busy == 1
        pool.sweep(began + TIMEOUTS.first_byte_s + 1)
        with pytest.raises(UpstreamTimeout, match="did not answer"):
            await call
        assert pool.busy == 0


@pytest.mark.anyio
async def test_silence_after_the_head_is_given_up_sooner() -> None:
    async with hanging(faults.hang_after_head()) as (pool, call):
        reply = await call
        began = now()
        pool.sweep(began + TIMEOUTS.idle_s - 1)
        assert pool.busy == 1
        pool.sweep(began + TIMEOUTS.idle_s + 1)
        with pytest.raises(UpstreamTimeout, match="went silent"):
            await reply.read()


@pytest.mark.anyio
async def test_a_slow_reader_is_not_a_silent_provider_but_everything_has_an_end() -> None:
    sent = wire.head([wire.CHUNKED]) + wire.chunk(b"x" * 5_000_000)
    async with hanging(says(sent, Act.HANG)) as (pool, call):
        reply = await call
        await paused(lambda: reply._buffered > 65_536)  # pyright: ignore[reportPrivateUsage]
        began = now()
        pool.sweep(began + TIMEOUTS.idle_s + 1)
        assert pool.busy == 1
        assert await reply.next()
        pool.sweep(began + TIMEOUTS.total_s + 1)
        with pytest.raises(UpstreamTimeout):
            while await reply.next():
                pass


@pytest.mark.anyio
async def test_a_closed_reply_closes_its_connection_at_once() -> None:
    async with hanging(faults.hang_after_head()) as (pool, call):
        reply = await call
        reply.close()
        reply.close()
        await paused(lambda: pool.busy == 0)


@pytest.mark.anyio
async def test_a_caller_who_leaves_while_waiting_takes_the_request_along() -> None:
    async with hanging(faults.hang_before_head()) as (pool, call):
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
        await paused(lambda: pool.busy == 0)


@pytest.mark.anyio
async def test_closing_leaves_what_is_under_way_and_no_idle_connection() -> None:
    valve = Valve()
    async with FakeUpstream() as upstream, pool_to(upstream) as pool:
        await ask(pool)
        upstream.script(faults.hang_before_head(valve))
        call = asyncio.create_task(ask(pool))
        await paused(lambda: len(upstream.requests) == 2)
        await pool.aclose()
        valve.open()
        assert b"gpt-4.1" in await call
        await pool.aclose()
        await paused(lambda: upstream.open_connections == 0)


@pytest.mark.anyio
async def test_a_connection_carries_one_callers_credential_or_the_gates() -> None:
    async def ask_for(pool: Pool, realm: str | None) -> None:
        await (await pool.request(LIST, b"", realm)).read()

    async with FakeUpstream() as upstream, pool_to(upstream) as pool:
        for _ in range(3):
            for realm in (None, "own-1", "own-2"):
                await ask_for(pool, realm)
        assert upstream.connections == 3 and pool.busy == 0


@pytest.mark.anyio
async def test_idle_connections_of_one_caller_make_room_for_another() -> None:
    async with FakeUpstream() as upstream, pool_to(upstream, max_connections=2) as pool:
        for realm in ("own-1", "own-2", "own-3", "own-1", None):
            await (await pool.request(LIST, b"", realm)).read()
        assert upstream.connections == 5 and pool.busy == 0
        await paused(lambda: upstream.open_connections == 2)


@pytest.mark.anyio
async def test_connections_of_callers_close_with_the_pool() -> None:
    async with FakeUpstream() as upstream:
        async with pool_to(upstream) as pool:
            await (await pool.request(LIST, b"", "own-1")).read()
        await paused(lambda: upstream.open_connections == 0)
