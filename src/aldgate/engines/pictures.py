"""Pictures on their way through: what and how large they are; without what engines write into them; in the wanted format."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping
from io import BytesIO
from typing import Any, NamedTuple

from aldgate.core.errors import InvalidRequest, NotSupported, UpstreamInvalid
from aldgate.core.generation import NO_OPTIONS, Input
from aldgate.making import Run

FORMATS = {"png": "image/png", "jpeg": "image/jpeg", "jpg": "image/jpeg", "webp": "image/webp"}
_LOSSY = ("image/jpeg", "image/webp")
_PNG = b"\x89PNG\r\n\x1a\n"
_WORDS = {b"tEXt", b"zTXt", b"iTXt", b"eXIf"}
"""PNG chunks in which engines leave prompts, seeds and whole workflows: https://www.w3.org/TR/png-3/#11textinfo."""


def mime_of(data: bytes) -> str | None:
    """What a picture is, by its first bytes; None: none that is known."""
    if data.startswith(_PNG):
        return "image/png"
    if data.startswith(b"\xff\xd8\xff"):
        return "image/jpeg"
    if data.startswith((b"GIF87a", b"GIF89a")):
        return "image/gif"
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "image/webp"
    return None


def without_words(data: bytes) -> bytes:
    """A PNG without its texts; anything else as it is."""
    return _PNG + b"".join(_kept_chunks(data)) if data.startswith(_PNG) else data


async def whitened(mask: Input) -> Input:
    """A mask for engines that change what is white. One that can be seen through changes there; one that cannot is so already.

    Raises:
        InvalidRequest: It is no picture that can be read.
        NotSupported: Pillow is not installed.
    """
    try:
        data = await asyncio.to_thread(_white_where_clear, mask.data)
    except (OSError, ValueError, SyntaxError):
        raise InvalidRequest("The mask cannot be read.", param="mask") from None
    return Input(mask.role, "image/png", data, mask.name)


def check_format(asked: str | None) -> None:
    """See that pictures can be saved in this format; None is the engine's own.

    Raises:
        InvalidRequest: They cannot.
    """
    if asked is not None and asked.lower() not in FORMATS:
        raise InvalidRequest(f"Pictures are made as {', '.join(sorted(FORMATS))}, not as `{asked}`.", param="format")


async def size_of(data: bytes) -> tuple[int, int]:
    """Width and height in pixels of a caller's picture.

    Raises:
        InvalidRequest: It is no picture that can be read.
        NotSupported: Pillow is not installed.
    """
    try:
        return await asyncio.to_thread(_measured, data)
    except (OSError, ValueError):
        raise InvalidRequest("The input image cannot be read.", param="image") from None


class Shape(NamedTuple):
    """Of a picture: pixels, and whether parts of it can be seen through."""

    width: int
    height: int
    has_alpha: bool


async def examined(data: bytes, param: str, most_pixels: int) -> Shape:
    """A caller's picture, read to its end.

    Raises:
        InvalidRequest: It has more pixels, or cannot be read; `param` is where it came from.
        NotSupported: Pillow is not installed.
    """
    try:
        shape = await asyncio.to_thread(_shape, data, most_pixels)
    except (OSError, ValueError, SyntaxError):  # Pillow's answers to what is broken
        raise InvalidRequest(f"The picture cannot be read (`{param}`).", param=param) from None
    if shape.width * shape.height > most_pixels:
        raise InvalidRequest(f"The picture has more than {most_pixels} pixels (`{param}`).", param=param)
    return shape


async def save_picture(
    run: Run,
    data: bytes,
    *,
    name: str,
    asked: str | None = None,
    quality: int | None = None,
    keep_words: bool = False,
    facts: Mapping[str, Any] = NO_OPTIONS,
) -> None:
    """Save a picture that an engine made.

    Args:
        run: The attempt.
        data: As the engine gave it.
        name: File name without what follows its dot.
        asked: Wanted format, one of `FORMATS`; None leaves it as it is.
        quality: Of JPEG and WebP, 0 to 100; None leaves it as it is.
        keep_words: Leave in what the engine wrote about its making.
        facts: Of its making; width and height are added.

    Raises:
        UpstreamInvalid: It is no picture.
        NotSupported: It has to be turned into another format, and Pillow is not installed.
    """
    mime = mime_of(data)
    if mime is None:
        raise UpstreamInvalid("The engine gave something that is no picture.")
    wanted = FORMATS[asked.lower()] if asked else mime
    if wanted != mime or (quality is not None and wanted in _LOSSY):
        data = await asyncio.to_thread(_converted, data, wanted, quality)
    elif not keep_words:
        data = without_words(data)
    try:
        width, height = await asyncio.to_thread(_measured, data)
    except (OSError, ValueError):
        raise UpstreamInvalid("The engine gave a picture that cannot be read.") from None
    ending = wanted.removeprefix("image/").replace("jpeg", "jpg")
    await run.save(data, mime=wanted, name=f"{name}.{ending}", facts={"width": width, "height": height, **facts})


def _kept_chunks(data: bytes) -> Iterator[bytes]:
    at = len(_PNG)
    while at + 8 <= len(data):
        end = at + 12 + int.from_bytes(data[at : at + 4], "big")
        if data[at + 4 : at + 8] not in _WORDS:
            yield data[at:end]
        at = end


def _measured(data: bytes) -> tuple[int, int]:
    image = _pillow()
    try:
        with image.open(BytesIO(data)) as picture:
            return picture.size
    except image.DecompressionBombError as error:
        raise ValueError(str(error)) from None


def _white_where_clear(data: bytes) -> bytes:
    image = _pillow()
    try:
        with image.open(BytesIO(data)) as picture:
            if not _has_alpha(picture):
                return data
            clear = picture.convert("RGBA").getchannel("A").point([255 - alpha for alpha in range(256)])
    except image.DecompressionBombError as error:
        raise ValueError(str(error)) from None
    written = BytesIO()
    clear.save(written, format="PNG")
    return written.getvalue()


def _has_alpha(picture: Any) -> bool:
    return picture.mode in ("RGBA", "LA", "PA") or "transparency" in picture.info


def _shape(data: bytes, most_pixels: int) -> Shape:
    image = _pillow()
    try:
        with image.open(BytesIO(data)) as picture:
            width, height = picture.size
            shape = Shape(width, height, _has_alpha(picture))
            if shape.width * shape.height <= most_pixels:
                picture.load()
            return shape
    except image.DecompressionBombError as error:
        raise ValueError(str(error)) from None


def _converted(data: bytes, mime: str, quality: int | None) -> bytes:
    image = _pillow()
    written = BytesIO()
    try:
        with image.open(BytesIO(data)) as picture:
            plain = picture.convert("RGB") if mime == "image/jpeg" else picture
            how = {} if quality is None or mime not in _LOSSY else {"quality": max(1, quality)}
            plain.save(written, format=mime.removeprefix("image/").upper(), **how)
    except (OSError, ValueError, image.DecompressionBombError):
        raise UpstreamInvalid("The engine gave a picture that cannot be read.") from None
    return written.getvalue()


def _pillow() -> Any:
    try:
        from PIL import Image  # what runs no engine need not have it
    except ImportError:
        raise NotSupported("Pictures need Pillow: install `aldgate[media]`.") from None
    return Image
