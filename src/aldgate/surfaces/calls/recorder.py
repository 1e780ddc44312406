"""An outlet that remembers what passes, for answers that are given again: to a repeated key, or from the cache."""

from __future__ import annotations

from collections.abc import Awaitable

from aldgate.surfaces.http.asgi import Headers, Outlet


class Recorder:
    """Passes an answer on and keeps it, piece by piece as it was cut.

    Args:
        outlet: Where the answer goes.
        most_bytes: A longer one is not kept; `is_too_large` says so.
        added: More headers for the caller, which are not kept.
    """

    def __init__(self, outlet: Outlet, most_bytes: int, added: Headers | None = None) -> None:
        self.status = 0
        self.headers: Headers = []
        self.pieces: list[bytes] = []
        self.is_complete = False
        self._outlet = outlet
        self._most_bytes = most_bytes
        self._added = added or []
        self._size = 0

    @property
    def is_lost(self) -> bool:
        """Part of `Outlet`."""
        return self._outlet.is_lost

    @property
    def is_too_large(self) -> bool:
        """More has passed than is kept."""
        return self._size > self._most_bytes

    def begin(self, status: int, headers: Headers) -> None:
        """Part of `Outlet`."""
        self.status, self.headers = status, headers
        self._outlet.begin(status, headers + self._added)

    def write(self, piece: bytes) -> Awaitable[None] | bool:
        """Part of `Outlet`."""
        self._keep(piece)
        return self._outlet.write(piece)

    def end(self, piece: bytes) -> None:
        """Part of `Outlet`."""
        self._keep(piece)
        self.is_complete = True
        self._outlet.end(piece)

    def _keep(self, piece: bytes) -> None:
        self._size += len(piece)
        if self.is_too_large:
            self.pieces.clear()
        else:
            self.pieces.append(piece)
