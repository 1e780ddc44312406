"""Pictures out of a film: its first frame, or several of them on one sheet."""

from __future__ import annotations

from io import BytesIO
from typing import IO, Any

from aldgate.core.errors import NotSupported, UpstreamInvalid
from aldgate.engines.builtin.media.libraries import is_there, library

COLUMNS, ROWS = 4, 3
MOST_SIDE = 320
"""Of each picture on a sheet, in pixels; of a thumbnail, twice as much."""


def thumbnail(film: IO[bytes]) -> bytes:
    """Its first frame, as WebP. Takes a while: not for the event loop.

    Raises:
        UpstreamInvalid: It is no film that can be read.
        NotSupported: What reads it is not installed.
    """
    return _written(_frames(film, 1, 2 * MOST_SIDE)[0], "WEBP")


def spritesheet(film: IO[bytes]) -> bytes:
    """Frames from its beginning to its end, row by row, as JPEG. Takes a while: not for the event loop.

    Raises:
        UpstreamInvalid, NotSupported: As `thumbnail`.
    """
    frames = _frames(film, COLUMNS * ROWS, MOST_SIDE)
    width, height = frames[0].size
    sheet = library("PIL.Image").new("RGB", (COLUMNS * width, ROWS * height))
    for number, frame in enumerate(frames):
        sheet.paste(frame, (number % COLUMNS * width, number // COLUMNS * height))
    return _written(sheet, "JPEG")


def _frames(film: IO[bytes], count: int, most_side: int) -> list[Any]:
    """So many pictures, or as many as there are, evenly over the film."""
    if not (is_there("av") and is_there("PIL")):
        raise NotSupported("Pictures out of films need what is not installed: av, pillow.")
    av = library("av")
    found: list[Any] = []
    try:
        with av.open(film, "r") as container:
            stream = container.streams.video[0]
            step = max(1.0, stream.frames / count)
            for number, frame in enumerate(container.decode(stream)):
                if number >= round(len(found) * step):
                    found.append(_small(frame.to_image(), most_side))
                if len(found) == count:
                    break
    except (av.FFmpegError, IndexError):
        raise UpstreamInvalid("The engine gave a film that cannot be read.") from None
    if not found:
        raise UpstreamInvalid("The engine gave a film without pictures.")
    return found


def _small(picture: Any, most_side: int) -> Any:
    picture.thumbnail((most_side, most_side))
    return picture


def _written(picture: Any, kind: str) -> bytes:
    written = BytesIO()
    picture.save(written, kind, quality=85)
    return written.getvalue()
