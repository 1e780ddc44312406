"""An outlet that holds the last piece back, so that whoever has read it finds everything kept."""

from __future__ import annotations

from collections.abc import Awaitable

import msgspec

from aldgate.dialects.responses.broken import is_broken, mended
from aldgate.dialects.sse import EventReader
from aldgate.surfaces.http.asgi import Headers, Outlet
from aldgate.surfaces.responses.event_log import EventLog

_TERMINAL = frozenset({"response.completed", "response.incomplete", "response.failed"})


class _Final(msgspec.Struct):
    type: str = ""
    response: msgspec.Raw = msgspec.Raw()


class _Told(msgspec.Struct):
    status: str = "completed"


_told = msgspec.json.Decoder(_Told)
_final = msgspec.json.Decoder(_Final)


class Withheld:
    """See above.

    Args:
        outlet: Where the answer goes.
        log: Remembers the events that pass.

    Attributes:
        warnings: What was left out of the request, by the answer's headers.
        latest: The latest piece that was passed on.
        last: The piece that is held back.
    """

    def __init__(self, outlet: Outlet, log: EventLog | None = None) -> None:
        self.warnings = ""
        self._outlet = outlet
        self._log = log
        self._status = 0
        self._first = b""
        self.latest = b""
        self.last: bytes | None = None

    @property
    def is_lost(self) -> bool:
        """See `Outlet`."""
        return self._outlet.is_lost

    def begin(self, status: int, headers: Headers) -> None:
        """See `Outlet`."""
        self._status = status
        self.warnings = next((value.decode() for name, value in headers if name == b"x-aldgate-warnings"), "")
        self._outlet.begin(status, headers)

    def write(self, piece: bytes) -> Awaitable[None] | bool:
        """See `Outlet`."""
        self._first = self._first or piece
        self.latest = piece
        if self._log is not None:
            self._log.add(piece)
        return self._outlet.write(piece)

    def end(self, piece: bytes) -> None:
        """See `Outlet`: the piece waits for `release`."""
        self.last = mended(self._first, self.latest, piece) if is_broken(piece) else piece

    def release(self) -> None:
        """Pass the last piece on, if there is one."""
        if self.last is not None:
            self._outlet.end(self.last)

    def response(self, *, is_stream: bool) -> tuple[str, bytes] | None:
        """The status that the answer ended in, and the response; None where there is none."""
        if self._status != 200 or self.last is None:
            return None
        if not is_stream:
            return _told.decode(self.last).status, self.last
        for payload in EventReader().feed(self.last):
            if b'"response":' in payload:
                event = _final.decode(payload)
                if event.type in _TERMINAL:
                    return event.type.removeprefix("response."), bytes(event.response)
        return None
