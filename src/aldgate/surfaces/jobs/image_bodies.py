"""Bodies of `/v1/images`: read once, bounded, their pictures known by what they are and not by what they are called."""

from __future__ import annotations

import asyncio
import base64
import binascii
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import NamedTuple, TypeVar

from fastapi import Request
from starlette.requests import ClientDisconnect

from aldgate.core.errors import BodyTooLarge, ClientGone, InvalidRequest
from aldgate.core.generation import Input
from aldgate.core.media_types import HEAD_BYTES, media_type
from aldgate.core.principals import Principal
from aldgate.engines.pictures import examined
from aldgate.jobs.files import Files
from aldgate.ports import ByteBound
from aldgate.surfaces.http.asgi import headers_of
from aldgate.surfaces.http.bodies import check_json, decoded, filled, read_body
from aldgate.surfaces.http.multipart import FilePart, Form, read_files
from aldgate.surfaces.jobs.files import require_files
from aldgate.surfaces.jobs.image_requests import MOST_IMAGES, EditRequest, ImageReference

MOST_INPUT_PIXELS = 50_000_000
PICTURES = ("image/png", "image/jpeg", "image/webp")
T = TypeVar("T")


class Brought(NamedTuple):
    """A picture that a caller brought along, and the field that it was in."""

    field: str
    name: str
    data: bytes


class ImageBodies:
    """Reads them.

    Args:
        files: What callers keep with the gate.
        in_flight: The bound on bytes held.
        most_bytes: Of one body.
    """

    def __init__(self, files: Files, in_flight: ByteBound, most_bytes: int) -> None:
        self._files = files
        self._in_flight = in_flight
        self._most_bytes = most_bytes

    @asynccontextmanager
    async def json(self, request: Request, kind: type[T]) -> AsyncGenerator[T]:
        """A body in JSON, held until the end.

        Raises:
            InvalidRequest: It is not what it has to be.
            UnsupportedMediaType: It says that it is something else.
            BodyTooLarge: It has more than `most_bytes`.
        """
        headers = headers_of(request.scope)
        check_json(headers)
        body = await read_body(headers, request.receive, self._most_bytes, self._in_flight)
        try:
            yield decoded(body, kind)
        finally:
            self._in_flight.release(len(body))

    @asynccontextmanager
    async def form(self, request: Request, most: Mapping[str, int], kind: type[T]) -> AsyncGenerator[tuple[T, list[Brought]]]:
        """A body that is a form, held until the end. As `json`."""
        headers, held = headers_of(request.scope), 0
        if int(headers.get(b"content-length", 0)) > self._most_bytes:
            raise self._too_large()
        parts: dict[FilePart, bytearray] = {}

        async def take(file: FilePart, piece: bytes) -> None:
            nonlocal held
            if held + len(piece) > self._most_bytes:
                raise self._too_large()
            self._in_flight.take(len(piece))
            held += len(piece)
            parts.setdefault(file, bytearray()).extend(piece)

        try:
            form = await read_files(headers, request.stream(), most, take)
            _check_fields(form, most)
            brought = [Brought(file.field, file.filename, bytes(parts.get(file, b""))) for file in form.files]
            yield filled({**form.fields, **{name: values[-1] for name, values in form.lists.items()}}, kind), brought
        except ClientDisconnect:
            raise ClientGone("The caller left before the form was complete.") from None
        finally:
            self._in_flight.release(held)

    async def referred(self, who: Principal, wanted: EditRequest) -> list[Brought]:
        """The pictures that a body in JSON has or names.

        Raises:
            InvalidRequest: One is neither a data URL nor a file.
            NotFound: The account has no such file.
        """
        found = [await self._referred(who, each, "images") for each in wanted.images]
        return [*found, await self._referred(who, wanted.mask, "mask")] if wanted.mask is not None else found

    async def _referred(self, who: Principal, reference: ImageReference, field: str) -> Brought:
        if (reference.image_url is None) == (reference.file_id is None):
            raise InvalidRequest(f"A picture has an `image_url` or a `file_id`, and not both (`{field}`).", param=field)
        if reference.image_url is not None:
            return Brought(field, "", _in_url(reference.image_url, field))
        require_files(who)
        file = await self._files.find(who.account, reference.file_id or "")
        if file.bytes > self._most_bytes:
            raise self._too_large()
        return Brought(field, file.filename, await asyncio.to_thread(self._files.content(file.sha256).read_bytes))

    def _too_large(self) -> BodyTooLarge:
        return BodyTooLarge(f"The body has more than {self._most_bytes} bytes.")


def _check_fields(form: Form, most: Mapping[str, int]) -> None:
    """See that no picture came where a text belongs, or the other way round."""
    for name in most:
        if name in form.fields or name in form.lists:
            raise InvalidRequest(f"`{name}` is a file: send it with a filename.", param=name)


def _in_url(url: str, field: str) -> bytes:
    head, comma, text = url.partition(",")
    if not head.startswith("data:") or not head.endswith(";base64") or not comma:
        said = "Pictures are not fetched from elsewhere: send a data URL (`data:image/png;base64,...`) or a `file_id`"
        raise InvalidRequest(f"{said} (`{field}`).", param=field)
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise InvalidRequest(f"The data URL is no base64 (`{field}`).", param=field) from None


async def inputs_of(brought: Sequence[Brought]) -> tuple[Input, ...]:
    """Pictures as an engine takes them: all that are to change, and then the mask.

    Raises:
        InvalidRequest: There is none, one is no picture that is taken here, or the mask is not as large as the first.
        NotSupported: Pillow is not installed.
    """
    images = [each for each in brought if each.field != "mask"]
    if not images:
        raise InvalidRequest("There is no picture to begin with (`image`).", param="image")
    if len(images) > MOST_IMAGES:
        raise InvalidRequest(f"At most {MOST_IMAGES} pictures are taken (`image`).", param="image")
    found: list[Input] = []
    first: tuple[int, int] | None = None
    for each in (*images, *(each for each in brought if each.field == "mask")):
        mime = media_type(each.data[:HEAD_BYTES], len(each.data))
        known = PICTURES if each.field != "mask" else PICTURES[:1]
        if mime is None or mime not in known:
            said = "empty" if not each.data else mime or "nothing that is known"
            raise InvalidRequest(f"`{each.field}` is {said}; {', '.join(known)} is taken.", param=each.field)
        shape = await examined(each.data, each.field, MOST_INPUT_PIXELS)
        first = first or (shape.width, shape.height)
        if each.field == "mask" and (shape.width, shape.height) != first:
            said = f"The mask has {shape.width}x{shape.height} pixels, the picture {first[0]}x{first[1]}"
            raise InvalidRequest(f"{said}: they must be the same.", param="mask")
        found.append(Input("mask" if each.field == "mask" else "image", mime, each.data, each.name))
    return tuple(found)


def begins_json(request: Request) -> bool:
    """Whether a body says that it is JSON."""
    kind = headers_of(request.scope).get(b"content-type", b"").partition(b";")[0].strip().lower()
    return kind == b"application/json"
