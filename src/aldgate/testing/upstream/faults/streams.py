"""Answers that are sound HTTP and odd API: streams cut or written unusually, and usage in odd places."""

from collections.abc import Callable

from aldgate.testing.upstream import wire
from aldgate.testing.upstream.answers import STREAM_HEAD, answer, billed, stream_frames
from aldgate.testing.upstream.plays import Billed, Play, fault
from aldgate.testing.upstream.replies import Asked, encode, sse


@fault()
def truncated_stream(asked: Asked, after: int | None = None) -> Play:
    """A stream that ends cleanly but without `[DONE]`; after all events, or after so many."""
    yield from stream_frames(asked, asked.rendered.frames[:-1][:after])
    yield wire.LAST_CHUNK


@fault()
def empty_stream(asked: Asked) -> Play:
    """A stream without a single event."""
    yield STREAM_HEAD + wire.LAST_CHUNK


@fault()
def bad_event(asked: Asked, after: int = 2) -> Play:
    """An event that is not JSON, between good ones."""
    frames = asked.rendered.frames
    yield from stream_frames(asked, frames[:after])
    yield wire.chunk(b'data: {"id": "chatc\n\n') + b"".join(frames[after:]) + wire.LAST_CHUNK


@fault()
def stream_asked_whole_given(asked: Asked) -> Play:
    """A whole JSON reply, though a stream was asked for."""
    body = encode({"id": "chatcmpl-upstream", "object": "chat.completion", "choices": [], "usage": None})
    yield from billed(asked)
    yield wire.whole(body)


@fault()
def usage_missing(asked: Asked) -> Play:
    """No usage anywhere."""
    yield from answer(asked.saying(usage="missing"))


@fault()
def usage_null(asked: Asked) -> Play:
    """`usage` is null, in every event and in whole replies."""
    yield from answer(asked.saying(usage="null"))


@fault()
def usage_on_last_choice(asked: Asked) -> Play:
    """Usage on the last event that has a choice, asked for or not, and no event of its own."""
    yield from answer(asked.saying(usage="last_choice"))


@fault()
def usage_in_x_groq(asked: Asked) -> Play:
    """Usage in `x_groq` of the last event, where Groq puts it."""
    yield from answer(asked.saying(usage="x_groq"))


@fault()
def keep_alive_comments(asked: Asked) -> Play:
    """Comment lines and blank lines between events, as OpenRouter and Anthropic send to keep proxies awake."""
    yield from _rewritten(asked, lambda event: b": KEEP-ALIVE\n\n\n" + sse(event) + b":\n\n")


@fault()
def crlf_events(asked: Asked) -> Play:
    """Events whose lines end with CR LF."""
    yield from _rewritten(asked, lambda event: sse(event, b"\r\n"))


@fault()
def named_events(asked: Asked) -> Play:
    """Events with `event`, `id` and `retry` fields, no blank after the colon, and a byte order mark up front."""
    frames = [b"event: message\nid: 7\nretry: 100\ndata:" + event + b"\n\n" for event in asked.rendered.events]
    yield from stream_frames(asked, [wire.chunk(b"\xef\xbb\xbf"), *map(wire.chunk, frames)])
    yield wire.LAST_CHUNK


@fault()
def events_joined(asked: Asked) -> Play:
    """The whole stream in one chunk."""
    rendered = asked.rendered
    yield Billed(rendered.prompt_tokens, rendered.completion_tokens, calls=1)
    yield STREAM_HEAD + wire.chunk(b"".join(sse(event) for event in rendered.events)) + wire.LAST_CHUNK


def _rewritten(asked: Asked, write: Callable[[bytes], bytes]) -> Play:
    frames = [wire.chunk(write(event)) for event in asked.rendered.events]
    yield from stream_frames(asked, frames)
    yield wire.LAST_CHUNK
