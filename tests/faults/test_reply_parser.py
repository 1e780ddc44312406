"""Whatever bytes a provider sends, and however the network cuts them: a result or an `UpstreamError`, at once."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as some

from aldgate.core.errors import UpstreamError
from aldgate.testing.upstream import Act, Asked, FakeUpstream, Play, Recorded, Reply, Step, faults
from aldgate.upstream.pool import Origin, Pool
from tests.faults.lab import within

HEAD = b"POST /v1/chat/completions HTTP/1.1\r\nhost: upstream\r\ncontent-length: 2\r\n\r\n"
QUICK = settings(
    max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture]
)


def written(step: Step, *, stream: bool = False) -> bytes:
    """The bytes of a scripted reply."""
    body = b'{"model":"m","stream":%s}' % (b"true" if stream else b"false")
    pieces = step.play(Asked(Recorded("POST", "/v1/chat/completions", b"", 0.0, body), Reply()))
    return b"".join(piece for piece in pieces if isinstance(piece, bytes))


SOUND = {
    "length": written(faults.dead_keepalive()),
    "chunks": written(faults.chunk_extensions()),
    "stream": written(faults.dead_keepalive(), stream=True),
    "compressed": written(faults.compressed()),
    "informational": written(faults.informational_1xx()),
    "until closed": written(faults.connection_close()),
    "no content": b"HTTP/1.1 204 No Content\r\n\r\n",
}
WIDEST = {"length": 1, "chunks": 1, "stream": 7, "compressed": 1, "informational": 1, "until closed": 1, "no content": 1}
"""Step between the places to cut at, so that the longest reply takes no longer than the others."""


class Wire:
    """A pool in front of a provider that sends the given bytes in the given pieces, and then closes."""

    def __init__(self, upstream: FakeUpstream) -> None:
        self._upstream = upstream
        self.pool = Pool(Origin.of(upstream.url), max_body_bytes=100_000)
        self.bugs: list[dict[str, Any]] = []

    async def result(self, *pieces: bytes, whole: bool = True) -> bytes | UpstreamError:
        """What comes of a request."""

        def play(_: Asked) -> Play:
            for piece in pieces:
                yield piece
                yield Act.TURN
            yield Act.CLOSE

        self._upstream.script(Step("fuzz", play))
        try:
            return await within(2, self._ask(whole=whole))
        except UpstreamError as error:
            return error
        finally:
            await self.pool.aclose()
            await within(2, self._none_busy())
            assert self.bugs == []

    async def _none_busy(self) -> None:
        while self.pool.busy:
            await asyncio.sleep(0)

    async def _ask(self, *, whole: bool) -> bytes:
        reply = await self.pool.request(HEAD, b"{}")
        try:
            if whole:
                return await reply.read()
            body = b""
            while (piece := await reply.next()) is not None:
                body += piece
            return body
        finally:
            reply.close()


@pytest.fixture(scope="module")
async def wire() -> AsyncIterator[Wire]:
    async with FakeUpstream(keep_requests=False) as upstream:
        wire = Wire(upstream)
        asyncio.get_running_loop().set_exception_handler(lambda _, context: wire.bugs.append(context))
        yield wire
        asyncio.get_running_loop().set_exception_handler(None)


@pytest.mark.parametrize("whole", [True, False], ids=["read", "next"])
@pytest.mark.parametrize("name", SOUND)
async def test_where_the_network_cuts_a_reply_changes_nothing(name: str, whole: bool, wire: Wire) -> None:
    data = SOUND[name]
    expected = await wire.result(data, whole=whole)
    assert isinstance(expected, bytes)
    assert (b"Hello" in expected) is (name != "no content")
    for place in range(1, len(data), WIDEST[name]):
        assert await wire.result(data[:place], data[place:], whole=whole) == expected


@pytest.mark.parametrize("name", [name for name in SOUND if name != "until closed"])
async def test_a_reply_that_ends_too_soon_is_broken(name: str, wire: Wire) -> None:
    data = SOUND[name]
    for place in range(0, len(data), WIDEST[name]):
        result = await wire.result(data[:place])
        assert isinstance(result, UpstreamError), (place, result)
        assert result.code == "upstream_broken"


@some.composite
def pieces(draw: some.DrawFn, data: some.SearchStrategy[bytes]) -> list[bytes]:
    """Some bytes, cut at a few places."""
    whole = draw(data)
    places = sorted(draw(some.lists(some.integers(0, len(whole)), max_size=4)))
    cuts = [0, *places, len(whole)]
    return [whole[start:end] for start, end in zip(cuts, cuts[1:], strict=False)]


LINES = [b"HTTP/1.1 200 OK\r\n", b"Content-Length: 5\r\n", b"Transfer-Encoding: chunked\r\n", b"Connection: upgrade\r\n"]
LINES += [b"Upgrade: x\r\n", b"Content-Encoding: gzip\r\n", b"Content-Encoding: deflate\r\n", b"HTTP/1.1 101 Switching\r\n"]
LINES += [b"HTTP/1.1 100 Continue\r\n", b"\r\n", b"5\r\nhello\r\n", b"0\r\n\r\n", b"hello", b"ffffffffffffffff\r\n", b"\n", b"\0"]
GARBAGE = some.one_of(
    some.binary(max_size=300),
    some.lists(some.one_of(some.sampled_from(LINES), some.binary(max_size=5)), max_size=12).map(b"".join),
    some.lists(some.sampled_from(LINES), max_size=12).map(lambda lines: LINES[0] + b"".join(lines)),
)


@some.composite
def mutated(draw: some.DrawFn) -> bytes:
    """A sound reply with a few places overwritten, left out, doubled or put in between."""
    data = draw(some.sampled_from(sorted(SOUND.values())))
    for _ in range(draw(some.integers(1, 4))):
        start = draw(some.integers(0, len(data)))
        end = min(len(data), start + draw(some.integers(0, 20)))
        middle = draw(some.one_of(some.binary(max_size=6), some.just(data[start:end] * 2), some.sampled_from(LINES)))
        data = data[:start] + middle + data[end:]
    return data


@QUICK
@given(parts=pieces(GARBAGE), whole=some.booleans())
async def test_garbage_is_a_result_or_an_error(wire: Wire, parts: list[bytes], whole: bool) -> None:
    assert isinstance(await wire.result(*parts, whole=whole), bytes | UpstreamError)


@QUICK
@given(parts=pieces(mutated()), whole=some.booleans())
async def test_a_damaged_reply_is_a_result_or_an_error(wire: Wire, parts: list[bytes], whole: bool) -> None:
    assert isinstance(await wire.result(*parts, whole=whole), bytes | UpstreamError)
