"""Oddities of HTTP: what RFC 9112 allows and few expect, and what it forbids."""

import gzip

from aldgate.testing.upstream import wire
from aldgate.testing.upstream.answers import answer, billed, whole_or_stream
from aldgate.testing.upstream.plays import Act, Play, Sleep, Valve, fault
from aldgate.testing.upstream.replies import Asked, encode, sse


@fault()
def garbage(_: Asked) -> Play:
    """Something that is not HTTP."""
    yield b"\x16\x03\x01 this is not HTTP\r\n\r\n\x00\xff"
    yield Act.CLOSE


@fault()
def wrong_content_type(asked: Asked) -> Play:
    """A web page with status 200, as captive portals and misrouted proxies send."""
    yield wire.whole(b"<html><body>It works!</body></html>", headers=[("Content-Type", "text/html")])


@fault()
def not_json(_: Asked) -> Play:
    """Status 200, JSON by its type, and a body that is none."""
    yield wire.whole(b'{"id": "chatcmpl-1", "choices": [')


@fault()
def oversized_headers(asked: Asked, size: int = 70_000) -> Play:
    """A head of more than 64 KB."""
    yield from billed(asked)
    yield from _with_head_line(asked, b"x-padding: " + b"x" * size)


@fault()
def informational_1xx(asked: Asked) -> Play:
    """100 and 103 before the reply itself."""
    yield b"HTTP/1.1 100 Continue\r\n\r\n"
    yield Act.TURN
    yield b"HTTP/1.1 103 Early Hints\r\nLink: </style.css>; rel=preload\r\n\r\n"
    yield Act.TURN
    yield from answer(asked)


@fault()
def connection_close(asked: Asked) -> Play:
    """`Connection: close`, no length: the body ends with the connection."""
    yield from billed(asked)
    yield from _until_close(asked, "HTTP/1.1")


@fault()
def http_1_0(asked: Asked) -> Play:
    """An HTTP/1.0 reply, whose body ends with the connection."""
    yield from billed(asked)
    yield from _until_close(asked, "HTTP/1.0")


@fault()
def chunk_extensions(asked: Asked) -> Play:
    """Chunks with extensions, and trailers after the last one."""
    yield from billed(asked)
    headers = [wire.EVENTS if asked.rendered.events else wire.JSON, wire.CHUNKED, ("Trailer", "x-checksum")]
    yield wire.head(headers)
    for piece in _pieces(asked):
        yield wire.chunk(piece, ';name=value;quoted="a;b"')
    yield b"0;last=1\r\nx-checksum: 5d41402a\r\n\r\n"


@fault()
def chunk_size_invalid(asked: Asked) -> Play:
    """A chunk whose size is no number."""
    yield from billed(asked)
    yield wire.head([wire.JSON, wire.CHUNKED]) + b"zz\r\n" + _pieces(asked)[0] + b"\r\n"
    yield Act.CLOSE


@fault()
def compressed(asked: Asked) -> Play:
    """gzip, though nobody said they accept it."""
    yield from billed(asked)
    body = gzip.compress(b"".join(_pieces(asked)), mtime=0)
    kind = wire.EVENTS if asked.rendered.events else wire.JSON
    yield wire.whole(body, headers=[kind, ("Content-Encoding", "gzip")])


@fault()
def content_length_twice(asked: Asked) -> Play:
    """Two lengths that differ."""
    yield from billed(asked)
    yield from _with_head_line(asked, b"Content-Length: 5")


@fault()
def content_length_and_coding(asked: Asked) -> Play:
    """A length and the chunked coding at once: the stuff of response splitting."""
    yield from billed(asked)
    body = b"".join(_pieces(asked))
    yield wire.head([wire.JSON, wire.length(body), wire.CHUNKED]) + wire.chunk(body) + wire.LAST_CHUNK


@fault()
def endless_body(asked: Asked, valve: Valve | None = None) -> Play:
    """A JSON reply that never ends; as fast as the client reads, or a piece per turn of the valve."""
    yield wire.head([wire.JSON, wire.CHUNKED]) + wire.chunk(b'{"id":"')
    piece = wire.chunk(b"x" * 16_384)
    while True:
        yield piece
        yield valve or Act.TURN


@fault()
def endless_stream(asked: Asked, valve: Valve | None = None, pace_s: float = 0.0) -> Play:
    """Events without end: as fast as the client reads, one per turn of the valve, or one every `pace_s` seconds."""
    yield wire.head([wire.EVENTS, wire.CHUNKED])
    choice = {"index": 0, "delta": {"content": "more "}, "finish_reason": None}
    frame = wire.chunk(sse(encode({"id": "chatcmpl-upstream", "object": "chat.completion.chunk", "choices": [choice]})))
    while True:
        yield frame
        yield valve or (Sleep(pace_s) if pace_s else Act.TURN)


@fault()
def redirect(_: Asked) -> Play:
    """A redirect to another host, where a credential must not follow."""
    yield wire.whole(b"", status=307, headers=[("Location", "http://elsewhere.invalid/v1/chat/completions")])


def _pieces(asked: Asked) -> list[bytes]:
    """The body in natural pieces: events with their framing, or a whole reply's body in two halves."""
    rendered = asked.rendered
    if rendered.events:
        return [sse(event) for event in rendered.events]
    middle = len(rendered.body) // 2
    return [rendered.body[:middle], rendered.body[middle:]]


def _with_head_line(asked: Asked, line: bytes) -> Play:
    data = whole_or_stream(asked)
    end = data.index(b"\r\n\r\n") + 2
    yield data[:end] + line + b"\r\n" + data[end:]


def _until_close(asked: Asked, version: str) -> Play:
    kind = wire.EVENTS if asked.rendered.events else wire.JSON
    yield wire.head([kind, ("Connection", "close")], version=version)
    yield from _pieces(asked)
    yield Act.CLOSE
