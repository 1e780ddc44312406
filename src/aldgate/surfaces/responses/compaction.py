"""`POST /v1/responses/compact`: a call like any other, on all that the request continues. Nothing of it is kept."""

from __future__ import annotations

from aldgate.core.calls import Named, Peek
from aldgate.core.principals import Operation, Principal
from aldgate.dialects.responses.compaction import COMPACTION
from aldgate.surfaces.calls.face import Doors, Face
from aldgate.surfaces.http.asgi import Outlet
from aldgate.surfaces.responses.history import History


class CompactionFace(Face):
    """The face that compacts conversations."""

    may_be_cached = False

    def __init__(self, doors: Doors, history: History) -> None:
        super().__init__(COMPACTION, doors)
        self._history = history

    async def _call(
        self, operation: Operation, call_id: str, principal: Principal, body: bytes, named: Named | None, outlet: Outlet
    ) -> None:
        full = await self._history.filled(principal.account, COMPACTION.peek(operation, body))
        more = max(0, len(full) - len(body))
        self._in_flight.take(more)
        try:
            await super()._call(operation, call_id, principal, full, named, outlet)
        finally:
            self._in_flight.release(more)

    async def _asked(self, operation: Operation, principal: Principal, body: bytes, named: Named | None) -> Peek:
        full = await self._history.filled(principal.account, COMPACTION.peek(operation, body))
        return self._peek(operation, principal, full, named)
