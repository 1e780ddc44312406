"""Pictures as pixels: given ones read and fitted, files written."""

from __future__ import annotations

from collections.abc import Mapping
from io import BytesIO
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from aldgate.core.errors import InvalidRequest
from aldgate.core.generation import Input

if TYPE_CHECKING:
    from PIL.Image import Image

READABLE = ("PNG", "JPEG", "WEBP", "GIF")
MOST_PIXELS = 64_000_000
WRITTEN: Mapping[str, tuple[str, str, Mapping[str, Any]]] = MappingProxyType(
    {
        "png": ("PNG", "image/png", {}),
        "jpeg": ("JPEG", "image/jpeg", {"quality": 90}),
        "jpg": ("JPEG", "image/jpeg", {"quality": 90}),
        "webp": ("WEBP", "image/webp", {"quality": 90}),
    }
)
"""By format: what Pillow calls it, its media type, and how it is written."""


def opened(given: Input) -> Image:
    """A given picture, of which only the head was read.

    Raises:
        InvalidRequest: It is no picture, or has more than `MOST_PIXELS`.
    """
    from PIL import Image, UnidentifiedImageError

    try:
        picture = Image.open(BytesIO(given.data), formats=READABLE)
    except (UnidentifiedImageError, Image.DecompressionBombError, Image.DecompressionBombWarning, OSError, SyntaxError):
        kinds = ", ".join(READABLE)
        raise InvalidRequest(f"The `{given.role}` is no picture that can be read: send {kinds}.", param=given.role) from None
    if picture.width * picture.height > MOST_PIXELS:
        raise InvalidRequest(f"The `{given.role}` has more than {MOST_PIXELS} pixels.", param=given.role)
    return picture


def fitted(picture: Image, role: str, width: int, height: int) -> Image:
    """A given picture in another size: what sticks out is cut off, equally on both sides.

    Raises:
        InvalidRequest: It breaks off, or is damaged.
    """
    from PIL import ImageOps

    try:
        kind = "RGBA" if role == "mask" and "A" in picture.getbands() else "L" if role == "mask" else "RGB"
        return ImageOps.fit(picture.convert(kind), (width, height))
    except (OSError, SyntaxError, ValueError):
        raise InvalidRequest(f"The `{role}` is damaged.", param=role) from None


def changing(mask: Image) -> Image:
    """Where the picture is to change: where the mask is transparent, as OpenAI has it, or white if it has no transparency."""
    from PIL import ImageOps

    return ImageOps.invert(mask.getchannel("A")) if mask.mode == "RGBA" else mask


def written(picture: Image, format: str, quality: int | None = None) -> bytes:
    """A picture as a file; `quality` is of JPEG and WebP, 0 to 100."""
    name, _, how = WRITTEN[format]
    sink = BytesIO()
    picture.save(sink, name, **(how if quality is None or not how else {"quality": max(1, quality)}))
    return sink.getvalue()
