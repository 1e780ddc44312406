"""`x-aldgate-explain: 1`: a refusal carries its explanation, and a good answer says in short what was decided."""

from __future__ import annotations

from collections.abc import Awaitable

import msgspec

from aldgate.core.errors import CallerError, GatewayError, PolicyError
from aldgate.gate.explain.explanation import Explanation
from aldgate.surfaces.http.asgi import Headers, Outlet

ASKS = b"x-aldgate-explain"
"""The request header that asks for it."""
_encode = msgspec.json.Encoder(order="deterministic").encode


def is_denial(error: GatewayError) -> bool:
    """Whether the gate itself refused."""
    return isinstance(error, CallerError | PolicyError)


def encoded(explanation: Explanation) -> bytes:
    """An explanation as JSON; the same one is the same bytes."""
    return _encode(explanation)


def with_explanation(headers: Headers, body: bytes, explanation: Explanation) -> tuple[Headers, bytes]:
    """An error's headers and body with the explanation beside `error`, where clients of all dialects look past it."""
    if not body.endswith(b"}"):
        return headers, body
    body = b"".join((body[:-1], b',"aldgate":', encoded(explanation), b"}"))
    kept = [header for header in headers if header[0] != b"content-length"]
    return [*kept, (b"content-length", b"%d" % len(body)), (b"x-aldgate-decision", b"denied")], body


class Telling:
    """An outlet that adds what was decided to the headers of a good answer."""

    def __init__(self, outlet: Outlet) -> None:
        self._outlet = outlet

    @property
    def is_lost(self) -> bool:
        """Part of `Outlet`."""
        return self._outlet.is_lost

    def begin(self, status: int, headers: Headers) -> None:
        """Part of `Outlet`."""
        named = dict(headers)
        if status == 200:
            said = [b"allowed", *(b"%b=%b" % (name[len(b"x-aldgate-") :], named[name]) for name in _TOLD if name in named)]
            headers = [*headers, (b"x-aldgate-decision", b"; ".join(said))]
        self._outlet.begin(status, headers)

    def write(self, piece: bytes) -> Awaitable[None] | bool:
        """Part of `Outlet`."""
        return self._outlet.write(piece)

    def end(self, piece: bytes) -> None:
        """Part of `Outlet`."""
        self._outlet.end(piece)


_TOLD = (b"x-aldgate-model", b"x-aldgate-attempts", b"x-aldgate-warnings")
