"""What is asked of `/v1/videos`, as JSON or as a form, and the film that an engine is to make of it."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Mapping
from typing import Annotated, Any

import msgspec

from aldgate.core.errors import InvalidRequest
from aldgate.core.generation import Generation, Input
from aldgate.core.media_types import HEAD_BYTES, media_type
from aldgate.surfaces.http.multipart import Form

_SIZE = re.compile(r"([1-9][0-9]{0,4})x([1-9][0-9]{0,4})")
_DATA = re.compile(r"data:[^,;]*;base64,", re.IGNORECASE)
MOST_SECONDS = 3_600
_FIELDS = {"prompt", "model", "seconds", "size", "input_reference[image_url]", "webhook_url"}
_Prompt = Annotated[str, msgspec.Meta(min_length=1, max_length=32_000)]


class Reference(msgspec.Struct, omit_defaults=True, forbid_unknown_fields=True):
    """A picture to begin with, in the request itself: `data:image/png;base64,...`."""

    image_url: str


class VideoRequest(msgspec.Struct, omit_defaults=True):
    """A film to be made."""

    prompt: _Prompt
    model: str = ""
    seconds: str | int | float | None = None
    size: str | None = None
    input_reference: Reference | None = None
    webhook_url: str | None = None


class VideoForm(msgspec.Struct, omit_defaults=True):
    """A film to be made, with a picture to begin with."""

    prompt: _Prompt
    model: str = ""
    seconds: str | msgspec.UnsetType = msgspec.UNSET
    size: str | msgspec.UnsetType = msgspec.UNSET
    input_reference: Annotated[str, msgspec.Meta(extra_json_schema={"format": "binary"})] | msgspec.UnsetType = msgspec.UNSET
    webhook_url: str | msgspec.UnsetType = msgspec.UNSET


class RemixRequest(msgspec.Struct):
    """Another prompt for a film that was made."""

    prompt: _Prompt
    webhook_url: str | None = None


def request_of(form: Form) -> VideoRequest:
    """The fields of a form as the request that they are; its file is another matter.

    Raises:
        InvalidRequest: A field is not known, or there is no prompt.
    """
    fields = {name: value for name, value in form.fields.items() if name != "input_reference" or value}
    if unknown := sorted({*fields, *form.lists} - _FIELDS):
        raise InvalidRequest(f"The form has a field that is not taken here (`{unknown[0][:100]}`).", param=unknown[0][:100])
    image_url = fields.pop("input_reference[image_url]", None)
    said: dict[str, Any] = {**fields, "input_reference": None if image_url is None else {"image_url": image_url}}
    try:
        return msgspec.convert(said, VideoRequest)
    except msgspec.ValidationError as error:
        raise InvalidRequest(f"{error}.", param="prompt") from None


def asked_of(wanted: VideoRequest, picture: bytes) -> Generation:
    """The film. `picture` came as a file.

    Raises:
        InvalidRequest: A value is none that a film could have.
    """
    reference = wanted.input_reference
    if picture and reference is not None:
        raise InvalidRequest("`input_reference` is a file or a data URL, not both.", param="input_reference")
    if reference is not None:
        picture = _decoded(reference.image_url)
    width, height = _size(wanted.size)
    return Generation(
        operation="video",
        prompt=wanted.prompt,
        width=width,
        height=height,
        duration_s=_seconds(wanted.seconds),
        inputs=(_picture(picture),) if picture else (),
    )


def told_of(wanted: VideoRequest, asked: Generation) -> Mapping[str, Any]:
    """What is kept with the job to tell of the film before it is there."""
    seconds = None if asked.duration_s is None else f"{asked.duration_s:g}"
    return {"prompt": wanted.prompt, "size": wanted.size, "seconds": seconds}


def _size(size: str | None) -> tuple[int | None, int | None]:
    if size is None:
        return None, None
    found = _SIZE.fullmatch(size)
    if found is None:
        raise InvalidRequest("`size` is as in `1280x720`.", param="size")
    return int(found[1]), int(found[2])


def _seconds(seconds: str | float | None) -> float | None:
    if seconds is None:
        return None
    try:
        value = float(seconds)
    except ValueError:
        value = 0.0
    if not 0 < value <= MOST_SECONDS:
        raise InvalidRequest(f"`seconds` is a number up to {MOST_SECONDS}.", param="seconds")
    return value


def _decoded(url: str) -> bytes:
    found = _DATA.match(url)
    if found is None:
        raise InvalidRequest("`image_url` is a data URL in base64; nothing is fetched from elsewhere.", param="input_reference")
    try:
        return base64.b64decode(url[found.end() :], validate=True)
    except binascii.Error:
        raise InvalidRequest("`image_url` is no base64.", param="input_reference") from None


def _picture(data: bytes) -> Input:
    mime = media_type(data[:HEAD_BYTES], len(data))
    if mime is None or not mime.startswith("image/") or mime == "image/svg+xml":
        raise InvalidRequest("`input_reference` is no picture of a kind that is known.", param="input_reference")
    return Input("image", mime, data, "reference")
