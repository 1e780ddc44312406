"""The good answers, as plays: what every fault departs from."""

from collections.abc import Sequence

from aldgate.testing.upstream import wire
from aldgate.testing.upstream.plays import Billed, Play, Sleep
from aldgate.testing.upstream.replies import STREAM_HEAD, Asked

__all__ = ["STREAM_HEAD", "answer", "billed", "stream_frames", "whole_or_stream"]


def answer(asked: Asked) -> Play:
    """What a provider in good health does: the whole reply, or its events one by one."""
    rendered = asked.rendered
    if rendered.events:
        yield from stream_frames(asked, rendered.frames)
        yield wire.LAST_CHUNK
    else:
        yield from billed(asked)
        yield rendered.wire


def stream_frames(asked: Asked, frames: Sequence[bytes]) -> Play:
    """The head and some frames of a stream, paced; what is generated is billed as it goes, as providers do."""
    rendered = asked.rendered
    yield Billed(prompt_tokens=rendered.prompt_tokens, calls=1)
    yield rendered.head
    total, pace_s = max(len(rendered.frames), len(frames), 1), asked.reply.pace_s
    charged = 0
    for number, frame in enumerate(frames, 1):
        due = rendered.completion_tokens * number // total
        if due > charged:
            yield Billed(completion_tokens=due - charged)
            charged = due
        yield frame
        if pace_s:
            yield Sleep(pace_s)


def billed(asked: Asked) -> Play:
    """Charge for the whole answer at once. Errors are free."""
    rendered = asked.rendered
    if rendered.status < 400:
        yield Billed(rendered.prompt_tokens, rendered.completion_tokens, calls=1)


def whole_or_stream(asked: Asked) -> bytes:
    """All bytes of the good answer."""
    rendered = asked.rendered
    if not rendered.events:
        return rendered.wire
    return rendered.head + b"".join(rendered.frames) + wire.LAST_CHUNK
