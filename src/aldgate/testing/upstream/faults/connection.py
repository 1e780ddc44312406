"""Faults of the connection: what does not arrive, arrives too slowly, or ends too soon."""

from collections.abc import Iterable

from aldgate.testing.upstream import wire
from aldgate.testing.upstream.answers import answer, billed, stream_frames, whole_or_stream
from aldgate.testing.upstream.plays import Act, Piece, Play, Sleep, Valve, fault
from aldgate.testing.upstream.replies import Asked


@fault("listening")
def refuse(_: Asked) -> Play:
    """Nobody listens, from the end of the step before until `FakeUpstream.listen`; idle connections are closed."""
    yield Act.RESET


@fault()
def hang_before_head(asked: Asked, valve: Valve | None = None) -> Play:
    """Take the request and say nothing, until the valve is turned."""
    yield valve or Act.HANG
    yield from answer(asked)


@fault()
def hang_after_head(asked: Asked, valve: Valve | None = None) -> Play:
    """Send the head, then nothing until the valve is turned."""
    yield from billed(asked)
    data = whole_or_stream(asked)
    end = data.index(b"\r\n\r\n") + 4
    yield data[:end]
    yield valve or Act.HANG
    yield data[end:]


@fault()
def die_mid_head(asked: Asked) -> Play:
    """Close within the head."""
    yield from billed(asked)
    yield whole_or_stream(asked)[:20]
    yield Act.CLOSE


@fault()
def die_mid_body(asked: Asked) -> Play:
    """Close in the middle of the body, short of its length."""
    yield from billed(asked)
    yield _first_half(asked)
    yield Act.CLOSE


@fault()
def reset_mid_body(asked: Asked) -> Play:
    """Reset the connection in the middle of the body."""
    yield from billed(asked)
    yield _first_half(asked)
    yield Act.RESET


@fault()
def die_mid_stream(asked: Asked, after: int = 3) -> Play:
    """Close after so many events, without the last chunk."""
    yield from stream_frames(asked, asked.rendered.frames[:after])
    yield Act.CLOSE


@fault()
def die_mid_event(asked: Asked, after: int = 3) -> Play:
    """Close within an event, after so many whole ones."""
    frames = asked.rendered.frames
    yield from stream_frames(asked, frames[:after])
    yield b"".join(frames[after : after + 1])[:20]
    yield Act.CLOSE


@fault()
def stall_mid_stream(asked: Asked, after: int = 3, valve: Valve | None = None) -> Play:
    """Fall silent after so many events, until the valve is turned."""
    frames = asked.rendered.frames
    yield from stream_frames(asked, frames[:after])
    yield valve or Act.HANG
    yield b"".join(frames[after:]) + wire.LAST_CHUNK


@fault()
def slow_drip(asked: Asked, valve: Valve | None = None, every_s: float = 0.01) -> Play:
    """A byte at a time: one per turn of the valve, or one every `every_s` seconds."""
    yield from billed(asked)
    yield from _parted(whole_or_stream(asked), 1, valve or Sleep(every_s))


@fault()
def split_every(asked: Asked, size: int = 1) -> Play:
    """A sound reply, sent in pieces of `size` bytes that travel apart."""
    yield from billed(asked)
    yield from _parted(whole_or_stream(asked), size, Act.TURN)


@fault()
def dead_keepalive(asked: Asked) -> Play:
    """Close right after a complete reply that promised to stay."""
    yield from answer(asked)
    yield Act.CLOSE


@fault()
def dead_on_reuse(asked: Asked) -> Play:
    """Stay open after a complete reply, and close when the next request's first byte arrives."""
    yield from answer(asked)
    yield Act.CLOSE_AT_NEXT_BYTE


@fault("head")
def early_reply(asked: Asked) -> Play:
    """Reply as soon as the head is here, without waiting for the body."""
    yield wire.whole(b'{"error":{"message":"too soon","type":"server_error","param":null,"code":null}}', status=400)


@fault("connected")
def unasked_reply(_: Asked) -> Play:
    """A complete reply on a fresh connection, before any request."""
    yield wire.whole(b'{"id":"nobody-asked"}')


@fault()
def surplus_reply(asked: Asked, valve: Valve | None = None) -> Play:
    """A second reply that nobody asked for: in the same write as the first, or once the valve is turned."""
    yield from billed(asked)
    surplus = wire.whole(b'{"id":"nobody-asked"}')
    if valve is None:
        yield whole_or_stream(asked) + surplus
        return
    yield whole_or_stream(asked)
    yield valve
    yield surplus


@fault()
def surplus_bytes(asked: Asked, junk: bytes = b"\x00junk\r\n") -> Play:
    """Junk right behind a complete reply."""
    yield from billed(asked)
    yield whole_or_stream(asked) + junk


def _first_half(asked: Asked) -> bytes:
    data = whole_or_stream(asked)
    start = data.index(b"\r\n\r\n") + 4
    return data[: (start + len(data)) // 2]


def _parted(data: bytes, size: int, between: Piece) -> Iterable[Piece]:
    for start in range(0, len(data), size):
        yield data[start : start + size]
        yield between
