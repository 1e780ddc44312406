"""A content as an answer: whole, in part, in several parts, or not at all because its reader has it (RFC 9110, 13 to 15)."""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator, Callable, Mapping
from urllib.parse import quote

import msgspec
from starlette.responses import Response, StreamingResponse

from aldgate.core.ranges import Span, is_same, is_unchanged, spans
from aldgate.surfaces.http.asgi import Headers

Read = Callable[[int, int], AsyncIterator[bytes]]
"""Gives so many bytes from a place on."""
SHOWN = ("image/", "video/", "audio/")
SAFE = "default-src 'none'; style-src 'unsafe-inline'; sandbox"
"""What somebody made or brought runs nothing, fetches nothing and is nobody's page: an SVG, for one, may hold scripts."""


class Content(msgspec.Struct, frozen=True):
    """What is to be answered with.

    Attributes:
        etag: Changes with every byte, in quotes.
        name: What it is saved as.
        read: Gives its bytes.
        is_saved: Browsers save it, instead of showing it.
    """

    mime: str
    size: int
    etag: str
    name: str
    read: Read
    is_saved: bool = False


def answer_with(content: Content, method: str, headers: Mapping[bytes, bytes]) -> Response | None:
    """The answer to GET or HEAD; None where there are no such bytes, which is a 416.

    Args:
        content: See there.
        method: `GET` or `HEAD`.
        headers: The request's, by name in lower case.
    """
    common = _common(content)
    if is_unchanged(_text(headers, b"if-none-match"), content.etag):
        return Response(None, 304, {name: common[name] for name in ("etag", "cache-control")})
    wanted = spans(_text(headers, b"range"), content.size) if method == "GET" else None
    if wanted is None or not is_same(_text(headers, b"if-range"), content.etag):
        whole = {**common, "content-length": str(content.size)}
        if method == "HEAD":
            return Response(None, 200, whole, content.mime)
        return StreamingResponse(content.read(0, content.size), 200, whole, content.mime)
    if not wanted:
        return None
    if len(wanted) > 1:
        return _in_parts(content, wanted, common)
    span = wanted[0]
    part = {**common, "content-length": str(span.length), "content-range": span.of(content.size)}
    return StreamingResponse(content.read(span.start, span.length), 206, part, content.mime)


def _common(content: Content) -> dict[str, str]:
    is_shown = content.mime.startswith(SHOWN) and not content.is_saved
    return {
        "etag": content.etag,
        "accept-ranges": "bytes",
        "cache-control": "private, no-cache",
        "content-disposition": _disposition("inline" if is_shown else "attachment", content.name),
        "x-content-type-options": "nosniff",
        "content-security-policy": SAFE,
    }


def _disposition(kind: str, name: str) -> str:
    """RFC 6266, 4.3: a name in ASCII for old clients, and the name itself."""
    plain = "".join(letter if letter.isascii() and letter.isprintable() and letter not in '"\\%' else "_" for letter in name)
    told = f'{kind}; filename="{plain}"' if name else kind
    return told if plain == name else f"{told}; filename*=UTF-8''{quote(name, safe='')}"


def _in_parts(content: Content, wanted: list[Span], common: Mapping[str, str]) -> Response:
    """RFC 9110, 14.6."""
    boundary = secrets.token_hex(16)
    heads = [
        f"\r\n--{boundary}\r\ncontent-type: {content.mime}\r\ncontent-range: {span.of(content.size)}\r\n\r\n".encode()
        for span in wanted
    ]
    end = f"\r\n--{boundary}--\r\n".encode()

    async def parts() -> AsyncIterator[bytes]:
        for head, span in zip(heads, wanted, strict=True):
            yield head
            async for piece in content.read(span.start, span.length):
                yield piece
        yield end

    length = sum(map(len, heads)) + sum(span.length for span in wanted) + len(end)
    headers = {**common, "content-length": str(length)}
    return StreamingResponse(parts(), 206, headers, f"multipart/byteranges; boundary={boundary}")


def unsatisfiable(size: int) -> Headers:
    """What a 416 says besides: how much there is."""
    return [(b"content-range", f"bytes */{size}".encode())]


def _text(headers: Mapping[bytes, bytes], name: bytes) -> str | None:
    value = headers.get(name)
    return None if value is None else value.decode("latin-1")
