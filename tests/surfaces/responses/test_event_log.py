"""What a stream said, for those who come back for it."""

import asyncio

import pytest

from aldgate.dialects.responses.pen import DONE, Pen
from aldgate.surfaces.http.bodies import BytesInFlight
from aldgate.surfaces.responses.event_log import STEP_BYTES, EventLog, unpacked


class Reader:
    """An outlet that may be slow."""

    is_lost = False

    def __init__(self, gate: asyncio.Event | None = None) -> None:
        self.pieces: list[bytes] = []
        self.is_ended = False
        self._gate = gate

    def begin(self, status: int, headers: object) -> None:
        raise AssertionError("events have no head")

    def write(self, piece: bytes) -> object:
        self.pieces.append(piece)
        return True if self._gate is None else self._gate.wait()

    def end(self, piece: bytes) -> None:
        self.pieces.append(piece)
        self.is_ended = True


def said(count: int) -> list[bytes]:
    pen = Pen()
    return [pen.item("added", index, {"text": "x" * 50}) for index in range(count)]


async def test_followers_hear_the_same_whenever_they_come():
    log, pieces = EventLog(BytesInFlight(1 << 20)), said(4)
    log.add(pieces[0])
    readers = [Reader() for _ in range(3)]
    following = [asyncio.ensure_future(log.follow(reader, None)) for reader in readers[:2]]  # pyright: ignore[reportArgumentType]
    log.add(pieces[1])
    await asyncio.wait(following, timeout=0.01)
    assert readers[0].pieces == pieces[:2]
    following[1].cancel()
    await asyncio.wait(following[1:])
    log.add(pieces[2])
    log.end(pieces[3] + DONE)
    await following[0]
    await log.follow(readers[2], 1)  # pyright: ignore[reportArgumentType]
    assert readers[0].pieces == [*pieces[:3], pieces[3] + DONE] and readers[0].is_ended
    assert readers[2].pieces == [pieces[2], pieces[3] + DONE] and readers[2].is_ended


async def test_a_slow_follower_holds_nobody_up():
    log, gate, pieces = EventLog(BytesInFlight(1 << 20)), asyncio.Event(), said(3)
    slow = Reader(gate)
    following = asyncio.ensure_future(log.follow(slow, None))  # pyright: ignore[reportArgumentType]
    for piece in pieces:
        log.add(piece)
    log.end(DONE)
    await asyncio.wait([following], timeout=0.01)
    assert slow.pieces == pieces[:1]
    gate.set()
    await following
    assert slow.pieces == [*pieces, DONE]


@pytest.mark.parametrize("count", [3, 500])
async def test_what_was_packed_is_what_was_said(count: int):
    bound, pieces = BytesInFlight(1 << 20), said(count)
    log = EventLog(bound)
    for piece in pieces:
        log.add(piece)
    packed = await log.packed(DONE)
    assert packed is not None
    assert len(packed) < len(b"".join(pieces)) / 2
    assert unpacked(packed, None) == b"".join(pieces) + DONE
    assert unpacked(packed, 1) == b"".join(pieces[2:]) + DONE
    assert bound.held >= len(b"".join(pieces))
    log.release()
    assert bound.held == 0


async def test_where_there_is_no_room_only_the_end_is_remembered():
    bound = BytesInFlight(STEP_BYTES)
    log = EventLog(bound)
    log.add(b"x" * STEP_BYTES)
    log.add(b"y")
    log.add(b"z")
    log.end(DONE)
    reader = Reader()
    await log.follow(reader, None)  # pyright: ignore[reportArgumentType]
    assert reader.pieces == [b"x" * STEP_BYTES, DONE]
    assert await log.packed(DONE) is None
    log.release()
    assert bound.held == 0
