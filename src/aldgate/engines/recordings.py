"""Whether a caller's file is a recording, and how long it plays."""

from __future__ import annotations

from io import BytesIO

from aldgate.core.errors import InvalidRequest
from aldgate.core.media_types import HEAD_BYTES, media_type
from aldgate.engines.builtin.media.libraries import is_there, library


def recording_type(data: bytes) -> str:
    """The media type of a sound, or of a film whose sound is meant.

    Raises:
        InvalidRequest: It is something else, whatever it is called.
    """
    found = media_type(data[:HEAD_BYTES], len(data))
    if found is None or not found.startswith(("audio/", "video/")):
        raise InvalidRequest(
            "The file is no recording of a kind that is known: send flac, mp3, mp4, m4a, ogg, wav or webm.", param="file"
        )
    return found


def recording_seconds(data: bytes) -> float | None:
    """How long a recording plays; None where nothing that could tell is installed. Takes a while: not for the event loop.

    Raises:
        InvalidRequest: It has no sound that can be read.
    """
    if not is_there("av"):
        return None
    av = library("av")
    try:
        with av.open(BytesIO(data), "r") as container:
            sound = container.streams.audio[0]
            if container.duration:  # in millionths
                return max(0.0, container.duration / av.time_base)
            frames = ((frame.samples, frame.sample_rate) for frame in container.decode(sound))
            return sum(samples / rate for samples, rate in frames)
    except (av.FFmpegError, IndexError):
        raise InvalidRequest("The file has no sound that can be read.", param="file") from None
