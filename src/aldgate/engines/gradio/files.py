"""Files in what a Gradio app takes and gives, in each version's way."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterator, Mapping
from pathlib import PurePosixPath
from typing import Any, cast
from urllib.parse import quote

import msgspec

from aldgate.core.errors import UpstreamInvalid
from aldgate.core.generation import Input
from aldgate.core.levels import Operation
from aldgate.engines.gradio.app import Parameter
from aldgate.engines.mimes import mime_of_name

UNKNOWN = "application/octet-stream"
_KINDS: Mapping[str, tuple[str, ...]] = {
    "image": ("image/",),
    "video": ("video/",),
    "music": ("audio/",),
    "audio": ("audio/",),
    "speech": ("audio/",),
    "mesh": ("model/",),
}
_BY_COMPONENT = {
    "audio": "audio/wav",
    "image": "image/png",
    "gallery": "image/png",
    "video": "video/mp4",
    "model3d": "model/gltf-binary",
}


class Found(msgspec.Struct, frozen=True):
    """A file among the outputs.

    Attributes:
        path: Where the app keeps it; empty: it came along, in `data`.
        mime: As far as its name or the app tell.
    """

    path: str
    name: str
    mime: str
    data: bytes = b""

    @property
    def query(self) -> str:
        """The path below the app's prefix that it is read from. `url`, which apps tell, names the host they believe to have."""
        return "/file=" + quote(self.path, safe="/:")


def found_in(value: Any, component: str = "") -> Iterator[Found]:
    """Every file in an output, in order.

    Args:
        value: As the app gave it: a file, a gallery of them, a video with subtitles, base64 ...
        component: What shows it, for files whose name tells nothing.

    Raises:
        UpstreamInvalid: It holds base64 that is none.
    """
    if isinstance(value, str):
        if value.startswith("data:") and ";base64," in value:
            yield _inline(value, "")
    elif isinstance(value, list):
        for each in cast("list[Any]", value):
            yield from found_in(each, component)
    elif isinstance(value, dict):
        yield from _in_object(cast("dict[str, Any]", value), component)


def _in_object(value: dict[str, Any], component: str) -> Iterator[Found]:
    path = value.get("path") or (value.get("name") if value.get("is_file") else None)
    if isinstance(path, str) and path:
        yield _kept(value, path, component)
    elif isinstance(inline := value.get("data"), str) and inline.startswith("data:"):
        yield _inline(inline, str(value.get("name") or ""))
    else:
        for key in ("image", "video", "value", "background"):
            yield from found_in(value.get(key), component)


def _kept(value: Mapping[str, Any], path: str, component: str) -> Found:
    if path.startswith(("http:", "https:")):
        raise UpstreamInvalid("The Gradio app of this engine names a file that is somewhere else.")
    name = str(value.get("orig_name") or PurePosixPath(path.replace("\\", "/")).name)
    told = value.get("mime_type")
    guesses = (
        told if isinstance(told, str) else UNKNOWN,
        mime_of_name(name),
        mime_of_name(path),
        _BY_COMPONENT.get(component, UNKNOWN),
    )
    return Found(path, name, next((mime for mime in guesses if mime != UNKNOWN), UNKNOWN))


def _inline(value: str, name: str) -> Found:
    head, _, encoded = value.partition(";base64,")
    try:
        data = base64.b64decode(encoded, validate=True)
    except binascii.Error:
        raise UpstreamInvalid("The Gradio app of this engine gave a file in base64 that is none.") from None
    return Found("", name, head.removeprefix("data:").partition(";")[0] or UNKNOWN, data)


def is_of(found: Found, operation: Operation) -> bool:
    """Whether a file is what the operation makes; of operations that make no files, none is."""
    return found.mime.startswith(_KINDS.get(operation, ()))


def file_value(parameter: Parameter, path: str, given: Input) -> Any:
    """An uploaded file, as Gradio 4 and later take it: without `meta` it is not seen as one."""
    file = {
        "path": path,
        "orig_name": given.name or PurePosixPath(path).name,
        "mime_type": given.mime,
        "size": len(given.data),
        "meta": {"_type": "gradio.FileData"},
    }
    if parameter.component == "gallery":
        return [{"image": file, "caption": None}]
    if parameter.component == "imageeditor":
        return {"background": file, "layers": [], "composite": file}
    if "video" in (parameter.schema.get("properties") or {}):  # before Gradio 6
        return {"video": file, "subtitles": None}
    return [file] if parameter.schema.get("type") == "array" else file


def third_value(parameter: Parameter, given: Input) -> Any:
    """A file as Gradio 3 takes it: whole, in base64."""
    data = f"data:{given.mime};base64,{base64.b64encode(given.data).decode()}"
    return data if parameter.component == "image" else {"name": given.name or given.role, "data": data, "is_file": False}
