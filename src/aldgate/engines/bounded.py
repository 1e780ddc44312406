"""Replies that must be had whole, and are no longer than they may be."""

from collections.abc import AsyncIterable

from aldgate.core.errors import UpstreamInvalid


async def whole(name: str, pieces: AsyncIterable[bytes], most_bytes: int, *, head: bytes = b"") -> bytes:
    """All pieces, behind `head`.

    Raises:
        UpstreamInvalid: The engine `name` gave more than `most_bytes`.
    """
    held = bytearray(head)
    async for piece in pieces:
        held += piece
        if len(held) > most_bytes:
            raise UpstreamInvalid(f"The engine `{name}` answered with more than {most_bytes} bytes.")
    return bytes(held)
