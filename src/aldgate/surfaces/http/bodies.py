"""Request bodies: read once, bounded one by one and all together."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, TypeVar

import msgspec

from aldgate.core.errors import BodyTooLarge, ClientGone, InvalidRequest, Shedding, UnsupportedMediaType
from aldgate.ports import ByteBound
from aldgate.surfaces.http.asgi import Message, Receive

T = TypeVar("T")


class BytesInFlight(msgspec.Struct):
    """The one bound on bytes that are held for calls under way."""

    limit: int
    held: int = 0

    def take(self, count: int) -> None:
        """Hold `count` more bytes.

        Raises:
            Shedding: They do not fit.
        """
        if self.held + count > self.limit:
            raise Shedding("More is in flight than this gate holds; try again shortly.", retry_after_s=1)
        self.held += count

    def release(self, count: int) -> None:
        """Let go of `count` bytes."""
        self.held -= count


def check_json(headers: Mapping[bytes, bytes]) -> None:
    """Refuse a body that says it is not JSON, or not plainly.

    Raises:
        UnsupportedMediaType: Its content type is another one, or it is compressed.
    """
    coding = headers.get(b"content-encoding")
    if coding is not None and coding.strip().lower() not in (b"", b"identity"):
        raise UnsupportedMediaType("The body must not be compressed: send it without `Content-Encoding`.")
    content_type = headers.get(b"content-type")
    if content_type is None or content_type.startswith(b"application/json"):
        return
    kind = content_type.split(b";")[0].strip().lower()
    if kind != b"application/json" and not kind.endswith(b"+json"):
        raise UnsupportedMediaType("The body must be JSON: send `Content-Type: application/json`.")


def bounded(body: bytes, max_bytes: int, in_flight: ByteBound) -> bytes:
    """A body that has come whole. As `read_body`, without waiting."""
    if len(body) > max_bytes:
        raise BodyTooLarge(f"The body has {len(body)} bytes; at most {max_bytes} are taken.")
    in_flight.take(len(body))
    return body


async def read_body(headers: Mapping[bytes, bytes], receive: Receive, max_bytes: int, in_flight: ByteBound) -> bytes:
    """The whole body. Its bytes are taken from `in_flight`; the caller releases as many as it got.

    Raises:
        BodyTooLarge: Over `max_bytes`, by its own word or in fact.
        Shedding: No room for it now.
        ClientGone: The caller left before it was complete.
    """
    length = headers.get(b"content-length")
    if length is not None and int(length) > max_bytes:
        raise BodyTooLarge(f"The body has {int(length)} bytes; at most {max_bytes} are taken.")
    message = await receive()
    if message["type"] == "http.request" and not message.get("more_body"):
        return bounded(message["body"], max_bytes, in_flight)
    return await _gather(message, receive, max_bytes, in_flight)


async def _gather(message: Message, receive: Receive, max_bytes: int, in_flight: ByteBound) -> bytes:
    body = bytearray()
    try:
        while True:
            if message["type"] != "http.request":
                raise ClientGone("The caller left before its body was complete.")
            piece: bytes = message.get("body", b"")
            in_flight.take(len(piece))
            body += piece
            if len(body) > max_bytes:
                raise BodyTooLarge(f"The body has more than {max_bytes} bytes.")
            if not message.get("more_body"):
                return bytes(body)
            message = await receive()
    except BaseException:
        in_flight.release(len(body))
        raise


def decoded(body: bytes, kind: type[T]) -> T:
    """A JSON body as the type it has to be.

    Raises:
        InvalidRequest: It is not, or says something twice.
    """
    try:
        wanted = msgspec.json.decode(body, type=kind)
        json.loads(body, object_pairs_hook=_unique)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
        raise _not_so(error) from None
    return wanted


def filled(fields: Mapping[str, str], kind: type[T]) -> T:
    """The fields of a form, which are all texts, as the type they have to be.

    Raises:
        InvalidRequest: They are not.
    """
    try:
        return msgspec.convert(dict(fields), kind, strict=False)
    except msgspec.ValidationError as error:
        raise _not_so(error) from None


def _not_so(error: Exception) -> InvalidRequest:
    text, _, path = str(error).partition(" - at `$")
    param = path.strip(".`") or None
    return InvalidRequest(f"{text} (`{param}`)." if param else f"{text}.", param=param)


def _unique(members: list[tuple[str, Any]]) -> None:
    """Refuse a field that stands twice: which of the two limits is meant, nobody can know."""
    seen: set[str] = set()
    for name, _ in members:
        if name in seen:
            raise InvalidRequest(f"The field stands twice (`{name}`).", param=name)
        seen.add(name)
