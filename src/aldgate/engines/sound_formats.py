"""Sound in the format that was asked for, whatever an engine gave: decoded by FFmpeg, and written as the builtin models do."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterable, AsyncIterator, Generator, Iterator
from contextlib import closing
from tempfile import SpooledTemporaryFile
from typing import IO, Any

from aldgate.core.errors import NotSupported, UpstreamInvalid
from aldgate.engines.builtin.media.libraries import is_there, library
from aldgate.engines.builtin.media.sound import SOUNDS, SoundFile
from aldgate.engines.threads import in_thread

HELD_BYTES = 4 * 1024 * 1024
"""So much of a sound is held in memory while it is turned; the rest lies in a temporary file."""


def has_format(mime: str, wanted: str) -> bool:
    """Whether a sound of this media type is in the format already."""
    return mime == SOUNDS[wanted].mime


async def in_format(data: bytes | AsyncIterable[bytes], wanted: str) -> AsyncIterator[bytes]:
    """The same sound, one channel, in one of `SOUNDS`.

    Raises:
        UpstreamInvalid: It is no sound that can be read.
        NotSupported: What decodes it is not installed.
    """
    if not is_there("av"):
        raise NotSupported("The engine gives sound in another format, and what turns it is not installed: av.")
    with SpooledTemporaryFile(HELD_BYTES) as source:
        await _filled(source, data)
        with closing(_turned(source, wanted)) as turned:
            while (piece := await in_thread(None, next, turned, None)) is not None:
                if piece:
                    yield piece


async def _filled(file: IO[bytes], data: bytes | AsyncIterable[bytes]) -> None:
    if isinstance(data, bytes):
        await asyncio.to_thread(file.write, data)
    else:
        async for piece in data:
            await asyncio.to_thread(file.write, piece)
    file.seek(0)


def _turned(source: IO[bytes], wanted: str) -> Generator[bytes]:
    av = library("av")
    try:
        with av.open(source, "r") as container:
            rate = container.streams.audio[0].rate
            with closing(SoundFile(wanted, rate)) as file:
                for samples in _samples(container, rate):
                    yield file.feed(samples)
                yield file.end()
    except (av.FFmpegError, IndexError):
        raise UpstreamInvalid("The engine gave a sound that cannot be read.") from None


def _samples(container: Any, rate: int) -> Iterator[bytes]:
    """16 bits, one channel."""
    resampler = library("av").AudioResampler("s16", "mono", rate)
    for frame in container.decode(audio=0):
        yield from (each.to_ndarray().tobytes() for each in resampler.resample(frame))
    yield from (each.to_ndarray().tobytes() for each in resampler.resample(None))
