"""What a file is, by what it holds."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aldgate.core.media_types import HEAD_BYTES, media_type

KNOWN = {
    "image/png": b"\x89PNG\r\n\x1a\n\0\0",
    "image/jpeg": b"\xff\xd8\xff\xe0",
    "image/gif": b"GIF89a",
    "image/webp": b"RIFF\0\0\0\0WEBPVP8 ",
    "audio/wav": b"RIFF\0\0\0\0WAVEfmt ",
    "image/svg+xml": b'<?xml version="1.0"?>\n<!-- a -->\n<svg xmlns="http://www.w3.org/2000/svg">',
    "video/mp4": b"\0\0\0\x20ftypisom",
    "audio/mp4": b"\0\0\0\x20ftypM4A ",
    "image/avif": b"\0\0\0\x20ftypavif",
    "video/webm": b"\x1a\x45\xdf\xa3\x9f\x42\x82\x84webm",
    "video/x-matroska": b"\x1a\x45\xdf\xa3\x9f\x42\x82\x88matroska",
    "audio/mpeg": b"\xff\xfb\x90\x64",
    "audio/aac": b"\xff\xf1\x50\x80",
    "audio/flac": b"fLaC",
    "audio/ogg": b"OggS",
    "model/gltf-binary": b"glTF\x02\0\0\0",
    "model/ply": b"ply\nformat ascii 1.0",
    "model/obj": b"# made\no cube\nv 1.0 -2 3\n",
    "model/stl": b"\0" * 80 + b"\x01\0\0\0" + b"\0" * 50,
}


@pytest.mark.parametrize("mime", KNOWN)
def test_known_ones(mime: str) -> None:
    assert media_type(KNOWN[mime], len(KNOWN[mime])) == mime


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"MZ\x90",
        b"<!DOCTYPE html><html>",
        b"<html><svg>",
        b"#!/bin/sh\n",
        b"%PDF-1.7",
        b"PK\x03\x04",
        b"RIFF\0\0\0\0CDDA",
        b"<svgx>",
        b"{}",
    ],
)
def test_everything_else_is_unknown(content: bytes) -> None:
    assert media_type(content, len(content)) is None


@given(st.binary(max_size=HEAD_BYTES), st.integers(0, 10_000))
def test_nothing_is_too_odd_to_be_looked_at(head: bytes, size: int) -> None:
    found = media_type(head, size)
    assert found is None or found.partition("/")[0] in ("image", "audio", "video", "model")
