"""Replies of one JSON object per line (https://github.com/ndjson/ndjson-spec), cut anywhere."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterable
from typing import TypeVar

import msgspec

from aldgate.core.errors import UpstreamInvalid

MOST_LINE_BYTES = 4 * 1024 * 1024
T = TypeVar("T")


async def lines_of(name: str, pieces: AsyncIterable[bytes], decoder: msgspec.json.Decoder[T]) -> AsyncGenerator[T]:
    """The objects, as they come.

    Raises:
        UpstreamInvalid: The engine `name` sent a line that is none, or does not end.
    """
    held = b""
    async for piece in pieces:
        *lines, held = (held + piece).split(b"\n")
        for line in lines:
            if line.strip():
                yield _decoded(name, line, decoder)
        if len(held) > MOST_LINE_BYTES:
            raise UpstreamInvalid(f"The engine `{name}` sent a line that does not end.")
    if held.strip():
        yield _decoded(name, held, decoder)


def _decoded(name: str, line: bytes, decoder: msgspec.json.Decoder[T]) -> T:
    try:
        return decoder.decode(line)
    except msgspec.DecodeError as error:
        raise UpstreamInvalid(f"The engine `{name}` sent a line that is not as it should be: {error}") from None
