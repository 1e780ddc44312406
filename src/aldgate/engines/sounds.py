"""Sound on its way through: what it is by its first bytes, and headers that say how long it is."""

from __future__ import annotations

import io
import struct
import wave
from collections.abc import Sequence

from aldgate.core.errors import UpstreamBroken, UpstreamInvalid

MIMES = {
    "mp3": "audio/mpeg",
    "opus": "audio/ogg",
    "ogg": "audio/ogg",
    "aac": "audio/aac",
    "flac": "audio/flac",
    "wav": "audio/wav",
    "m4a": "audio/mp4",
    "webm": "audio/webm",
    "pcm": "audio/pcm",
}
"""What files of a format are served as."""
ENDINGS = {"audio/mpeg": "mp3", "audio/ogg": "ogg", "audio/webm": "webm"} | {
    mime: ending for ending, mime in MIMES.items() if ending in ("aac", "flac", "wav", "m4a", "pcm")
}
HEAD_BYTES = 12
"""So many first bytes tell what it is."""
_BEGINNINGS = ((b"ID3", "audio/mpeg"), (b"OggS", "audio/ogg"), (b"fLaC", "audio/flac"), (b"\x1aE\xdf\xa3", "audio/webm"))
_RIFF_HEAD = 8
_UNKNOWN_LENGTHS = (0, 0x7FFFFFFF, 0x80000000)
"""Besides what is near 2^32, what encoders write that cannot go back (https://wiki.multimedia.cx/index.php/RIFF)."""


def mime_of(head: bytes) -> str | None:
    """What a sound is, by its first bytes; None: none that can be told. Raw samples cannot."""
    if head[:4] == b"RIFF" and head[8:12] == b"WAVE":
        return "audio/wav"
    if head[4:8] == b"ftyp":
        return "audio/mp4"
    for begins, mime in (
        (b"ID3", "audio/mpeg"),
        (b"OggS", "audio/ogg"),
        (b"fLaC", "audio/flac"),
        (b"\x1aE\xdf\xa3", "audio/webm"),
    ):
        if head.startswith(begins):
            return mime
    if len(head) >= 2 and head[0] == 0xFF and head[1] & 0xE0 == 0xE0:
        return "audio/aac" if head[1] & 0xF6 == 0xF0 else "audio/mpeg"  # the layer is 0 in ADTS alone
    return None


def finished_wav(name: str, data: bytes) -> bytes:
    """A WAV file whose header says how long it is, whatever the engine wrote into it before it knew.

    Raises:
        UpstreamBroken: It is shorter than its header says.
        UpstreamInvalid: It has no samples.
    """
    at, size = _samples(name, data)
    there = len(data) - at
    if size < 0xFFFFFF00 and size not in _UNKNOWN_LENGTHS:
        if size > there:
            raise UpstreamBroken(f"The engine `{name}` broke off within its sound.")
        return data
    return data[:4] + struct.pack("<I", len(data) - _RIFF_HEAD) + data[8 : at - 4] + struct.pack("<I", there) + data[at:]


def wav_seconds(data: bytes) -> float | None:
    """How long a WAV file plays; None: it is none that can be read."""
    try:
        with wave.open(io.BytesIO(data)) as sound:
            return sound.getnframes() / sound.getframerate()
    except (wave.Error, EOFError, ZeroDivisionError):
        return None


def joined_wav(name: str, parts: Sequence[bytes]) -> bytes:
    """Several WAV files, one after the other.

    Raises:
        UpstreamInvalid: They do not fit together, or one is none.
    """
    if len(parts) == 1:
        return parts[0]
    written = io.BytesIO()
    try:
        with wave.open(written, "wb") as whole:
            for number, part in enumerate(parts):
                with wave.open(io.BytesIO(part)) as sound:
                    if not number:
                        whole.setparams(sound.getparams())
                    elif sound.getparams()[:3] != whole.getparams()[:3]:
                        raise UpstreamInvalid(f"The engine `{name}` changed its kind of sound between two parts.")
                    whole.writeframes(sound.readframes(sound.getnframes()))
    except (wave.Error, EOFError) as error:
        raise UpstreamInvalid(f"The engine `{name}` gave a WAV file that cannot be read: {error}") from None
    return written.getvalue()


def _samples(name: str, data: bytes) -> tuple[int, int]:
    """Where the samples of a WAV file begin, and how many bytes its header says they are."""
    at = 12
    while at + 8 <= len(data):
        kind, size = data[at : at + 4], int.from_bytes(data[at + 4 : at + 8], "little")
        at += 8
        if kind == b"data":
            return at, size
        at += size + size % 2
    raise UpstreamInvalid(f"The engine `{name}` gave a WAV file without samples.")
