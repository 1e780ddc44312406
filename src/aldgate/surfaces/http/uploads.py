"""A form with one file that is to be worked on: held in memory, within the one bound on bytes that are."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import NamedTuple

from fastapi import Request
from starlette.requests import ClientDisconnect

from aldgate.core.errors import BodyTooLarge, ClientGone
from aldgate.ports import ByteBound
from aldgate.surfaces.http.asgi import headers_of
from aldgate.surfaces.http.multipart import MOST_FIELD_BYTES, Form, read_form


class Uploaded(NamedTuple):
    """What came: `data` is empty where the form has no file."""

    form: Form
    data: bytes


@asynccontextmanager
async def uploaded(request: Request, field: str, most_bytes: int, in_flight: ByteBound) -> AsyncGenerator[Uploaded]:
    """Read the form to its end. Its file counts as held until the body ends.

    Args:
        request: Whose body it is.
        field: The field whose value is the file.
        most_bytes: Of the file.
        in_flight: The bound on bytes held.

    Raises:
        BodyTooLarge: The file has more, by the request's word or in fact.
        UnsupportedMediaType: The body says that it is no form.
        InvalidRequest: It is none, or broke off.
        Shedding: There is no room for it now.
        ClientGone: The caller left before it was complete.
    """
    headers, data = headers_of(request.scope), bytearray()

    async def take(piece: bytes) -> None:
        if len(data) + len(piece) > most_bytes:
            raise _too_large(field, most_bytes)
        in_flight.take(len(piece))
        data.extend(piece)

    if int(headers.get(b"content-length", 0)) > most_bytes + 2 * MOST_FIELD_BYTES:
        raise _too_large(field, most_bytes)
    try:
        try:
            form = await read_form(headers, request.stream(), field, take)
        except ClientDisconnect:
            raise ClientGone("The caller left before the form was complete.") from None
        yield Uploaded(form, bytes(data))
    finally:
        in_flight.release(len(data))


def _too_large(field: str, most_bytes: int) -> BodyTooLarge:
    return BodyTooLarge(f"The file has more than {most_bytes} bytes.", param=field)
