"""Small PNGs as engines give them, with their words in them; made without a library."""

import struct
import zlib

SIGNATURE = b"\x89PNG\r\n\x1a\n"


def png(width: int = 16, height: int = 8, *, words: str = "", shade: int = 128) -> bytes:
    """A grey picture with `words` in a text chunk."""
    rows = b"".join(b"\x00" + bytes([shade % 256]) * width for _ in range(height))
    text = _chunk(b"tEXt", b"prompt\x00" + words.encode("latin-1", "replace")) if words else b""
    head = _chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0))
    return SIGNATURE + head + text + _chunk(b"IDAT", zlib.compress(rows)) + _chunk(b"IEND", b"")


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
