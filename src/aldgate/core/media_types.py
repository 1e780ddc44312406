"""What a file is by its content. Names and headers are what somebody says; the first bytes are what readers go by."""

from __future__ import annotations

import re

HEAD_BYTES = 1_024
"""As much of a file's beginning as is looked at."""

_MAGIC: tuple[tuple[bytes, str], ...] = (
    (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"GIF87a", "image/gif"),
    (b"GIF89a", "image/gif"),
    (b"fLaC", "audio/flac"),
    (b"OggS", "audio/ogg"),
    (b"ID3", "audio/mpeg"),
    (b"glTF\x02\x00\x00\x00", "model/gltf-binary"),
    (b"ply\n", "model/ply"),
    (b"ply\r\n", "model/ply"),
    (b"solid ", "model/stl"),
)
_RIFF = {b"WAVE": "audio/wav", b"WEBP": "image/webp", b"AVI ": "video/x-msvideo"}
_BRANDS = {
    b"M4A ": "audio/mp4",
    b"M4B ": "audio/mp4",
    b"qt  ": "video/quicktime",
    b"avif": "image/avif",
    b"avis": "image/avif",
    b"heic": "image/heic",
    b"heix": "image/heic",
    b"mif1": "image/heic",
}
"""Brands of ISO base media files that are no MP4 video (https://mp4ra.org/registered-types/brands)."""
_SVG = re.compile(rb"(?:\xef\xbb\xbf)?\s*(?:<\?xml[^>]*>\s*)?(?:<!--.*?-->\s*)*(?:<!DOCTYPE svg[^>]*>\s*)?<svg[\s>]", re.DOTALL)
_OBJ = re.compile(rb"(?:#[^\n]*\n|\s*\n|(?:mtllib|o|g|s|usemtl) [^\n]*\n)*v -?[\d.]+(?:e-?\d+)? ")
_STL_HEAD, _STL_FACE = 84, 50


def media_type(head: bytes, size: int) -> str | None:
    """The media type of a picture, film, sound or mesh; None of anything else.

    Args:
        head: The first `HEAD_BYTES`, or all if there are fewer.
        size: Bytes in all.
    """
    for magic, found in _MAGIC:
        if head.startswith(magic):
            return found
    if head.startswith(b"RIFF"):
        return _RIFF.get(head[8:12])
    if head[4:8] == b"ftyp":
        return _BRANDS.get(head[8:12], "video/mp4")
    if head.startswith(b"\x1a\x45\xdf\xa3"):  # EBML (RFC 8794); the kind of document stands in its head
        return "video/webm" if b"webm" in head[:64] else "video/x-matroska"
    return _by_structure(head, size)


def _by_structure(head: bytes, size: int) -> str | None:
    if len(head) >= 2 and head[0] == 0xFF:
        if head[1] & 0xF6 == 0xF0:  # 12 bits of synchronisation, layer 0: ADTS
            return "audio/aac"
        if head[1] & 0xE0 == 0xE0 and head[1] & 0x18 != 0x08 and head[1] & 0x06 != 0:
            return "audio/mpeg"
    if _SVG.match(head):
        return "image/svg+xml"
    if _OBJ.match(head):
        return "model/obj"
    if len(head) >= _STL_HEAD and _STL_HEAD + _STL_FACE * int.from_bytes(head[80:84], "little") == size > _STL_HEAD:
        return "model/stl"
    return None
