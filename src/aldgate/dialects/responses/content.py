"""Content parts of Responses messages and tool outputs, read into neutral ones.

https://platform.openai.com/docs/api-reference/responses/create (input_text, input_image, input_file, input_audio)
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal, cast

import msgspec

from aldgate.core.conversation import Media, Refusal, Text
from aldgate.core.errors import InvalidRequest

Object = dict[str, Any]
Kind = Literal["image", "audio", "video", "document"]
Piece = Text | Refusal | Media

_AUDIO = {"wav": "audio/wav", "mp3": "audio/mpeg"}


class _Said(msgspec.Struct):
    text: str


class _Refused(msgspec.Struct):
    refusal: str


class _Image(msgspec.Struct):
    image_url: str | None = None
    file_id: str | None = None
    detail: str | None = None


class _File(msgspec.Struct):
    filename: str | None = None
    file_data: str | None = None
    file_url: str | None = None
    file_id: str | None = None


class _Sound(msgspec.Struct):
    data: str
    format: str


class _Audio(msgspec.Struct):
    input_audio: _Sound


_SHAPES: dict[str, type[msgspec.Struct]] = {
    "refusal": _Refused,
    "input_image": _Image,
    "input_file": _File,
    "input_audio": _Audio,
}
"""Of parts that are no texts."""


def pieces_of(content: object, where: str) -> list[Piece]:
    """What a message or a tool's output says; empty texts are left out, as several providers refuse them.

    Args:
        content: A string, or a list of parts.
        where: Names the place in errors.

    Raises:
        InvalidRequest: It is neither, or holds a part of an unknown kind.
    """
    match content:
        case str():
            return [Text(content)] if content else []
        case list():
            found = [_piece(part, where) for part in cast("list[object]", content)]
            return [piece for piece in found if not (isinstance(piece, Text) and not piece.text)]
        case None:
            return []
        case _:
            raise InvalidRequest(f"`{where}` must be a string or a list of parts.", param=where)


def _piece(part: object, where: str) -> Piece:
    match part:
        case {"type": str(kind)} if kind in _READERS:
            try:
                msgspec.convert(part, _SHAPES.get(kind, _Said))
            except msgspec.ValidationError as error:
                raise InvalidRequest(f"A part of type `{kind}` lacks what it is named for: {error}.", param=where) from None
            return _READERS[kind](cast(Object, part))
        case {"type": str(kind)}:
            raise InvalidRequest(f"A part of type `{kind}` cannot be sent to this model.", param=where)
        case _:
            raise InvalidRequest("A content part needs a `type`.", param=where)


def _text(part: Object) -> Piece:
    return Text(part["text"], _cache(part))


def _image(part: Object) -> Piece:
    url, detail = part.get("image_url"), part.get("detail")
    if url is None:
        return Media("image", file_id=_file_id(part), detail=detail, cache=_cache(part))
    return located("image", url, detail=detail, cache=_cache(part))


def _file(part: Object) -> Piece:
    name, cache = part.get("filename"), _cache(part)
    if part.get("file_data"):
        return located("document", part["file_data"], name=name, cache=cache)
    if part.get("file_url"):
        return Media("document", url=part["file_url"], name=name, cache=cache)
    return Media("document", file_id=_file_id(part), name=name, cache=cache)


def _file_id(part: Object) -> str:
    if not part.get("file_id"):
        raise InvalidRequest(f"A part of type `{part['type']}` lacks what it is named for.", param="input")
    return part["file_id"]


def _audio(part: Object) -> Piece:
    sound = part["input_audio"]
    return Media("audio", _AUDIO.get(sound["format"], f"audio/{sound['format']}"), sound["data"])


_READERS: dict[str, Callable[[Object], Piece]] = {
    "input_text": _text,
    "output_text": _text,
    "text": _text,
    "summary_text": _text,
    "reasoning_text": _text,
    "refusal": lambda part: Refusal(part["refusal"]),
    "input_image": _image,
    "input_file": _file,
    "input_audio": _audio,
}


def located(kind: Kind, url: str, **more: Any) -> Media:
    """Media behind a URL, within a `data:` one, or bare base64.

    Raises:
        InvalidRequest: A `data:` URL that is not base64.
    """
    if url.startswith(("http://", "https://")):
        return Media(kind, url=url, **more)
    if not url.startswith("data:"):
        return Media(kind, "application/pdf" if kind == "document" else None, url, **more)
    head, comma, data = url[5:].partition(",")
    if not comma or not head.endswith(";base64"):
        raise InvalidRequest("A `data:` URL must be base64: `data:image/png;base64,...`.", param="input")
    return Media(kind, head.removesuffix(";base64").split(";")[0] or None, data, **more)


def _cache(part: Object) -> str | None:
    match part.get("prompt_cache_breakpoint"):
        case {"ttl": str(ttl)}:
            return ttl
        case dict():
            return "30m"
        case _:
            return None
