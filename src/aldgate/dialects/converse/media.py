"""Images, documents, sound and film as Converse takes them: bytes in base64, or an object in S3; never from a URL.

https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_ContentBlock.html
"""

import re
from collections.abc import Mapping
from typing import Any

from aldgate.core.conversation import Media
from aldgate.core.errors import InvalidRequest

Block = dict[str, Any]

_FORMATS: dict[str, Mapping[str, str]] = {
    "image": {"image/png": "png", "image/jpeg": "jpeg", "image/jpg": "jpeg", "image/gif": "gif", "image/webp": "webp"},
    "document": {
        "application/pdf": "pdf",
        "text/csv": "csv",
        "application/msword": "doc",
        "application/vnd.openxmlformats-officedocument.wordprocessingml.document": "docx",
        "application/vnd.ms-excel": "xls",
        "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet": "xlsx",
        "text/html": "html",
        "text/plain": "txt",
        "text/markdown": "md",
    },
    "video": {
        "video/mp4": "mp4",
        "video/quicktime": "mov",
        "video/x-matroska": "mkv",
        "video/webm": "webm",
        "video/x-flv": "flv",
        "video/mpeg": "mpeg",
        "video/x-ms-wmv": "wmv",
        "video/3gpp": "three_gp",
    },
    "audio": {
        "audio/mp3": "mp3",
        "audio/mpeg": "mp3",
        "audio/wav": "wav",
        "audio/x-wav": "wav",
        "audio/wave": "wav",
        "audio/flac": "flac",
        "audio/aac": "aac",
        "audio/ogg": "ogg",
        "audio/opus": "opus",
        "audio/webm": "webm",
        "audio/mp4": "m4a",
        "audio/x-m4a": "m4a",
    },
}
_MAGIC = ((b"iVBORw0KGgo", "png"), (b"/9j/", "jpeg"), (b"R0lGOD", "gif"), (b"UklGR", "webp"), (b"JVBERi0", "pdf"))
"""How base64 of each format begins, for media whose type the caller did not say."""
_NOT_IN_A_NAME = re.compile(r"[^A-Za-z0-9()\[\]-]+")


def media_block(media: Media, param: str, taken: set[str]) -> Block:
    """The block for `media`. `taken`: names that documents of this request have; a document's own is added.

    Raises:
        InvalidRequest: It is of a format, or in a place, that Converse does not read. `param` is the field at fault.
    """
    form = _format(media, param)
    source = _source(media, param)
    block: Block = {"source": source, "format": form}
    if media.kind == "document":
        block["name"] = _name(media, taken)
    return {media.kind: block}


def _format(media: Media, param: str) -> str:
    said = (media.media_type or "").partition(";")[0].strip().lower()
    known = _FORMATS[media.kind]
    if said in known:
        return known[said]
    if (not said or said.endswith("/*") or said == "application/octet-stream") and (found := _guessed(media)) in known.values():
        return found
    listed = ", ".join(sorted(set(known.values())))
    raise InvalidRequest(f"This model takes {media.kind}s as {listed}, not as `{said or 'an unnamed type'}`.", param=param)


def _guessed(media: Media) -> str:
    name = (media.name or media.url or "").rpartition(".")[2].lower()
    start = (media.data or "")[:16].encode("ascii", "replace")
    return next((form for magic, form in _MAGIC if start.startswith(magic)), {"jpg": "jpeg", "3gp": "three_gp"}.get(name, name))


def _source(media: Media, param: str) -> Block:
    if media.data is not None:
        return {"bytes": media.data}
    if media.url is not None and media.url.startswith("s3://"):
        return {"s3Location": {"uri": media.url}}
    what = "a URL" if media.url is not None else "a file of another provider"
    raise InvalidRequest(
        f"This model reads no {media.kind} from {what}; send its bytes in base64 (or an s3:// URL).", param=param
    )


def _name(media: Media, taken: set[str]) -> str:
    """A document must have a name of its own, of letters, digits, hyphens, brackets and single spaces, up to 200."""
    wanted = _NOT_IN_A_NAME.sub(" ", (media.name or "").rpartition(".")[0] or media.name or "").strip()[:190] or "document"
    name, count = wanted, 1
    while name in taken:
        count += 1
        name = f"{wanted} {count}"
    taken.add(name)
    return name
