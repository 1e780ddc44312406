"""What a WebSocket's opening handshake must have (RFC 6455, 4.2.1), looked at while the request is still HTTP."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping, Sequence

from aldgate.core.errors import InvalidRequest, SocketVersionNotSupported

VERSION = b"13"
_ONCE = (b"sec-websocket-key", b"sec-websocket-version")


def check_handshake(
    method: bytes, http_version: str, headers: Sequence[tuple[bytes, bytes]], index: Mapping[bytes, bytes]
) -> None:
    """Refuse an upgrade that can become no WebSocket.

    Raises:
        SocketVersionNotSupported: Of another version of the protocol; the answer names ours.
        InvalidRequest: Something else in it is missing or wrong.
    """
    if method != b"GET" or http_version != "1.1":
        raise InvalidRequest("A WebSocket begins with a GET in HTTP/1.1.")
    once = [name for name, _ in headers if name in _ONCE]
    if len(once) != len(set(once)):
        raise InvalidRequest("A header of the WebSocket's handshake stands twice.")
    if index.get(_ONCE[1], b"").strip() != VERSION:
        raise SocketVersionNotSupported("The WebSocket's version is 13 here (`Sec-WebSocket-Version`).")
    if not _is_key(index.get(_ONCE[0], b"")):
        raise InvalidRequest("`Sec-WebSocket-Key` is to be 16 random bytes in base64.")


def _is_key(text: bytes) -> bool:
    try:
        return len(base64.b64decode(text.strip(), validate=True)) == 16
    except binascii.Error:
        return False
