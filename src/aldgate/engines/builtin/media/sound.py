"""Samples into sound files, piece by piece: WAV and bare samples by hand, the others by FFmpeg."""

from __future__ import annotations

import struct
from collections.abc import Mapping
from io import BytesIO
from types import MappingProxyType
from typing import Any

import msgspec

from aldgate.engines.builtin.media.libraries import library


class SoundKind(msgspec.Struct, frozen=True):
    """A kind of sound file.

    Attributes:
        muxer: FFmpeg's name of the container; empty: none is needed.
        rates: Sample rates that the codec takes; empty: any.
        is_streamed: What comes first stays as it is; else a head is filled in when all is known.
    """

    mime: str
    muxer: str = ""
    codec: str = ""
    layout: str = "s16"
    rates: tuple[int, ...] = ()
    is_streamed: bool = True


_OPUS_RATES = (8_000, 12_000, 16_000, 24_000, 48_000)
_MP3_RATES = (8_000, 11_025, 12_000, 16_000, 22_050, 24_000, 32_000, 44_100, 48_000)
SOUNDS: Mapping[str, SoundKind] = MappingProxyType(
    {
        "wav": SoundKind("audio/wav", is_streamed=False),
        "pcm": SoundKind("audio/pcm"),
        "mp3": SoundKind("audio/mpeg", "mp3", "libmp3lame", "s16p", _MP3_RATES),
        "flac": SoundKind("audio/flac", "flac", "flac", is_streamed=False),
        "ogg": SoundKind("audio/ogg", "ogg", "libopus", "s16", _OPUS_RATES),
        "opus": SoundKind("audio/ogg", "ogg", "libopus", "s16", _OPUS_RATES),
        "aac": SoundKind("audio/aac", "adts", "aac", "fltp", _MP3_RATES),
    }
)
"""`pcm` is what OpenAI's is: 16 bits, little-endian, one channel, 24,000 a second."""
PCM_RATE = 24_000
BLOCK = 4_096
"""Samples given to an encoder at once: always as many, so that how they came does not show in the bytes."""


class _Sink:
    """Where a muxer writes that must not turn back."""

    def __init__(self) -> None:
        self._pieces: list[bytes] = []

    def write(self, piece: bytes) -> int:
        self._pieces.append(bytes(piece))
        return len(piece)

    def drained(self) -> bytes:
        whole = b"".join(self._pieces)
        self._pieces = []
        return whole


class SoundFile:
    """Makes a file of samples: 16 bits, little-endian, one channel.

    Args:
        format: One of `SOUNDS`.
        rate: Samples a second.
    """

    def __init__(self, format: str, rate: int) -> None:
        self.kind = SOUNDS[format]
        self._rate = rate
        self.samples = 0
        self._held = bytearray()
        self._sink = _Sink() if self.kind.is_streamed else BytesIO()
        self._container: Any = None
        self._turned = None if format != "pcm" or rate == PCM_RATE else _Turner(rate, PCM_RATE)

    def feed(self, samples: bytes) -> bytes:
        """Take samples; returns what of the file is final now, which may be nothing."""
        self._held += samples
        self.samples += len(samples) // 2
        if not self.kind.muxer:
            if not self.kind.is_streamed:
                return b""
            whole, self._held = bytes(self._held), bytearray()
            return whole if self._turned is None else self._turned.feed(whole)
        size = 2 * BLOCK
        while len(self._held) >= size:
            self._encode(bytes(self._held[:size]))
            del self._held[:size]
        return self._drained() if self.kind.is_streamed else b""

    def end(self) -> bytes:
        """The rest of the file; all of it, where nothing was final before."""
        if not self.kind.muxer:
            if self.kind.is_streamed:
                return b"" if self._turned is None else self._turned.end()
            return _wav_head(len(self._held), self._rate) + bytes(self._held)
        if self._held:
            self._encode(bytes(self._held))
        container = self._opened()
        for packet in container.streams.audio[0].encode(None):
            container.mux(packet)
        container.close()
        return self._drained()

    def close(self) -> None:
        """Let go of the encoder, finished or not."""
        if self._container is not None:
            self._container.close()

    def _encode(self, samples: bytes) -> None:
        container = self._opened()
        stream = container.streams.audio[0]
        frame = _frame(samples, self._rate)
        for packet in stream.encode(frame):
            container.mux(packet)

    def _opened(self) -> Any:
        if self._container is None:
            kind = self.kind
            # `bitexact` leaves out what would differ from run to run: random stream ids, versions.
            self._container = library("av").open(self._sink, "w", format=kind.muxer, options={"fflags": "+bitexact"})
            rate = self._rate if not kind.rates else min(kind.rates, key=lambda each: (each < self._rate, abs(each - self._rate)))
            options = {"flags": "+bitexact", "threads": "1"}
            self._container.add_stream(kind.codec, rate=rate, options=options, layout="mono", format=kind.layout)
        return self._container

    def _drained(self) -> bytes:
        return self._sink.drained() if isinstance(self._sink, _Sink) else self._sink.getvalue()


class _Turner:
    """Samples at another rate."""

    def __init__(self, rate: int, wanted: int) -> None:
        self._rate = rate
        self._resampler = library("av").AudioResampler("s16", "mono", wanted)

    def feed(self, samples: bytes) -> bytes:
        return self._turned(_frame(samples, self._rate)) if samples else b""

    def end(self) -> bytes:
        return self._turned(None)

    def _turned(self, frame: Any) -> bytes:
        return b"".join(each.to_ndarray().tobytes() for each in self._resampler.resample(frame))


def _frame(samples: bytes, rate: int) -> Any:
    frame = library("av").AudioFrame("s16", "mono", len(samples) // 2)
    frame.planes[0].update(samples)
    frame.sample_rate = rate
    return frame


def _wav_head(size: int, rate: int) -> bytes:
    """http://soundfile.sapp.org/doc/WaveFormat/."""
    form = struct.pack("<4sIHHIIHH", b"fmt ", 16, 1, 1, rate, 2 * rate, 2, 16)
    return struct.pack("<4sI4s", b"RIFF", 36 + size, b"WAVE") + form + struct.pack("<4sI", b"data", size)
