"""Attachments as Claude takes them: images and documents, neither sound nor film."""

from __future__ import annotations

import base64
import binascii
from typing import Any

from aldgate.core.conversation import Media
from aldgate.core.errors import InvalidRequest
from aldgate.dialects.anthropic.carried import ORIGIN

Object = dict[str, Any]

_IMAGES = frozenset({"image/jpeg", "image/png", "image/gif", "image/webp"})
_STARTS = {
    "/9j/": "image/jpeg",
    "iVBORw0KGgo": "image/png",
    "R0lGOD": "image/gif",
    "UklGR": "image/webp",
    "JVBERi": "application/pdf",
}
"""How base64 of each type begins."""


def write_media(media: Media, origin: str, warnings: list[str]) -> Object:
    """An `image` or `document` block.

    Raises:
        InvalidRequest: It is of a kind or type that Claude does not take, or a file at another provider.
    """
    if media.kind not in ("image", "document"):
        raise InvalidRequest(f"Claude models cannot be sent {media.kind}.", param="messages")
    if media.detail not in (None, "auto"):
        warnings.append("detail")
    block: Object = {"type": media.kind, "source": _source(media, origin)}
    if media.kind == "document" and media.name:
        block["title"] = media.name
    return block


def _source(media: Media, origin: str) -> Object:
    if media.file_id is not None:
        if origin != ORIGIN:
            raise InvalidRequest("A file id of another provider means nothing to Claude; send the file itself.", param="messages")
        return {"type": "file", "file_id": media.file_id}
    if media.url is not None:
        return {"type": "url", "url": media.url}
    data = media.data or ""
    media_type = media.media_type or next((kind for start, kind in _STARTS.items() if data.startswith(start)), "")
    if media.kind == "image" and media_type in _IMAGES | {"image/jpg"}:
        return {"type": "base64", "media_type": media_type.replace("image/jpg", "image/jpeg"), "data": data}
    if media.kind == "document" and media_type == "application/pdf":
        return {"type": "base64", "media_type": media_type, "data": data}
    if media.kind == "document" and media_type.startswith("text/"):
        return {"type": "text", "media_type": "text/plain", "data": _text(data)}
    raise InvalidRequest(f"Claude models cannot read `{media_type or 'an unknown type'}` as {media.kind}.", param="messages")


def _text(data: str) -> str:
    try:
        return base64.b64decode(data, validate=True).decode()
    except (binascii.Error, UnicodeDecodeError):
        raise InvalidRequest("A text document is base64 of UTF-8.", param="messages") from None
