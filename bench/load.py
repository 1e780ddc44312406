"""The load generator: raw protocols on as many connections as asked. Counts, times, and notices every answer that is not 200."""

import asyncio
import re
from collections import Counter
from dataclasses import dataclass, field
from time import perf_counter
from typing import cast

LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
LAST_CHUNK = b"\r\n0\r\n\r\n"
GIVE_UP_S = 300
EVENT, DONE = b"data: {", b"data: [DONE]"


class LoadFailed(Exception):
    """Something other than the expected answers came back."""


@dataclass
class Tally:
    """What a run of calls saw. Latencies in seconds from the request's write to the reply's first byte."""

    calls: int = 0
    events: int = 0
    reads: int = 0
    failures: Counter[str] = field(default_factory=Counter)
    latencies: list[float] = field(default_factory=list)
    seconds: float = 0.0

    def check(self) -> None:
        """Fail loudly if any call failed."""
        if self.failures:
            raise LoadFailed(
                f"{self.failures.total()} of {self.calls + self.failures.total()} calls failed: {dict(self.failures)}"
            )


@dataclass(frozen=True)
class Target:
    """Whom to call, and with what: `request` is sent as it is, again and again."""

    port: int
    request: bytes
    is_stream: bool = False


def post(port: int, path: str, body: bytes, key: str, *, is_stream: bool = False) -> Target:
    """A keep-alive POST of JSON."""
    head = (
        f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nAuthorization: Bearer {key}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return Target(port, head.encode() + body, is_stream)


class Caller(asyncio.Protocol):
    """One connection: sends the request, reads the reply, and again while calls are left to make."""

    def __init__(self, target: Target, left: list[int], tally: Tally) -> None:
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._target, self._left, self._tally = target, left, tally
        self._transport: asyncio.Transport
        self._buffer = self._tail = b""
        self._is_first = True
        self._sent_at = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._next()

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.done.done():
            self._fail("connection lost")

    def data_received(self, data: bytes) -> None:
        tally = self._tally
        if self._is_first:
            self._is_first = False
            tally.latencies.append(perf_counter() - self._sent_at)
            if data[8:13] != b" 200 ":
                self._fail(data[:160].decode("latin-1").partition("\r\n")[0])
                return
        if self._target.is_stream:
            self._read_stream(data)
        else:
            self._read_whole(data)

    def _next(self) -> None:
        if not self._left[0]:
            self.done.set_result(None)
            self._transport.close()
            return
        self._left[0] -= 1
        self._is_first = True
        self._buffer = self._tail = b""
        self._sent_at = perf_counter()
        self._transport.write(self._target.request)

    def _read_whole(self, data: bytes) -> None:
        data = self._buffer = self._buffer + data if self._buffer else data
        end = data.find(b"\r\n\r\n")
        if end < 0:
            return
        length = LENGTH.search(data, 0, end + 2)
        if length is None:
            self._fail("no Content-Length")
        elif len(data) >= end + 4 + int(length[1]):
            self._tally.calls += 1
            self._next()

    def _read_stream(self, data: bytes) -> None:
        # The tail kept from the last read is shorter than what is searched for, so nothing is counted twice.
        tally, seen = self._tally, self._tail[-len(EVENT) + 1 :] + data
        tally.reads += 1
        tally.events += seen.count(EVENT)
        self._tail = (self._tail + data)[-64:]
        if not self._tail.endswith(LAST_CHUNK):
            return
        if DONE not in self._tail:
            self._fail("stream without [DONE]")
            return
        tally.calls += 1
        self._next()

    def _fail(self, why: str) -> None:
        self._tally.failures[why] += 1
        if not self.done.done():
            self.done.set_result(None)
        self._transport.abort()


async def drive(target: Target, calls: int, connections: int = 32) -> Tally:
    """Make `calls` calls over `connections` connections, each sending its next call when the last is answered.

    Raises:
        LoadFailed: Any call was not answered with 200 and a complete body.
    """
    tally, left = Tally(), [calls]
    loop = asyncio.get_running_loop()
    started = perf_counter()
    try:
        async with asyncio.timeout(GIVE_UP_S):
            opened = [
                await loop.create_connection(lambda: Caller(target, left, tally), "127.0.0.1", target.port)
                for _ in range(min(connections, calls))
            ]
            await asyncio.gather(*(caller.done for _, caller in opened))
    except OSError as error:
        raise LoadFailed(f"{error or 'no end'} after {tally.calls} of {calls} calls") from error
    tally.seconds = perf_counter() - started
    tally.check()
    return tally
