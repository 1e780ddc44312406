"""Forms with files that are to be worked on: held in memory, within the one bound on bytes that are."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from typing import NamedTuple

from fastapi import Request
from starlette.requests import ClientDisconnect

from aldgate.core.errors import BodyTooLarge, ClientGone
from aldgate.ports import ByteBound
from aldgate.surfaces.http.asgi import headers_of
from aldgate.surfaces.http.multipart import MOST_FIELD_BYTES, FilePart, Form, read_files


class Uploaded(NamedTuple):
    """What came: the form, and what is in each of its files, in their order."""

    form: Form
    files: Mapping[FilePart, bytes]

    @property
    def data(self) -> bytes:
        """The first file; empty where the form has none."""
        return next(iter(self.files.values()), b"")


@asynccontextmanager
async def uploaded(request: Request, most: Mapping[str, int], most_bytes: int, in_flight: ByteBound) -> AsyncGenerator[Uploaded]:
    """Read the form to its end. Its files count as held until the body ends.

    Args:
        request: Whose body it is.
        most: The fields whose values are files, and how many each may have.
        most_bytes: Of all files together.
        in_flight: The bound on bytes held.

    Raises:
        BodyTooLarge: The files have more, by the request's word or in fact.
        UnsupportedMediaType: The body says that it is no form.
        InvalidRequest: It is none, or broke off.
        Shedding: There is no room for it now.
        ClientGone: The caller left before it was complete.
    """
    headers, held = headers_of(request.scope), 0
    parts: dict[FilePart, bytearray] = {}

    async def take(file: FilePart, piece: bytes) -> None:
        nonlocal held
        if held + len(piece) > most_bytes:
            raise _too_large(most, most_bytes)
        in_flight.take(len(piece))
        held += len(piece)
        parts.setdefault(file, bytearray()).extend(piece)

    if int(headers.get(b"content-length", 0)) > most_bytes + 2 * MOST_FIELD_BYTES:
        raise _too_large(most, most_bytes)
    try:
        try:
            form = await read_files(headers, request.stream(), most, take)
        except ClientDisconnect:
            raise ClientGone("The caller left before the form was complete.") from None
        yield Uploaded(form, {file: bytes(parts.pop(file, b"")) for file in form.files})
    finally:
        in_flight.release(held)


def _too_large(most: Mapping[str, int], most_bytes: int) -> BodyTooLarge:
    field, is_one = next(iter(most)), sum(most.values()) == 1
    said = f"The file has more than {most_bytes} bytes." if is_one else f"The files have more than {most_bytes} bytes together."
    return BodyTooLarge(said, param=field)
