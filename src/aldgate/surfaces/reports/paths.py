"""The paths of usage, statements, reconciliation and the audit log: who may ask, and what is asked."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, NamedTuple

from starlette.requests import Request
from starlette.responses import Response

from aldgate.core.errors import BodyTooLarge
from aldgate.core.principals import Principal
from aldgate.gate.audit import Audit
from aldgate.gate.principals.clients import Clients
from aldgate.ports import ByteBound
from aldgate.storage import Store
from aldgate.surfaces.admin.keys import require_admin
from aldgate.surfaces.reports.audit import AuditFace
from aldgate.surfaces.reports.reconcile import MAX_EXPORT_BYTES, reconcile
from aldgate.surfaces.reports.statements import answer as statement
from aldgate.surfaces.reports.usage import ledger, usage

Answer = dict[str, Any] | Response
Act = Callable[[Principal, Request], Awaitable[Answer]]


class Report(NamedTuple):
    """A path and what is behind it."""

    method: str
    path: str
    act: Act


class Reports:
    """What the paths do.

    Args:
        committed: Waits until what was settled is on disk, so that whoever asks for usage sees the call made just before.
        in_flight: The bound on bytes held.
        clients: Knows the clients in files, who have statements, too.
    """

    def __init__(
        self, store: Store, audit: Audit, committed: Callable[[], Awaitable[None]], in_flight: ByteBound, clients: Clients
    ) -> None:
        self._store = store
        self._clients = clients
        self._committed = committed
        self._in_flight = in_flight
        log = AuditFace(store, audit)
        self.paths = (
            Report("GET", "/v1/usage", self._usage),
            Report("GET", "/admin/usage", _by_admin(self._usage)),
            Report("GET", "/admin/ledger", _by_admin(self._ledger)),
            Report("GET", "/admin/statements/{account}", _by_admin(self._statement)),
            Report("POST", "/admin/reconcile", _by_admin(self._reconcile)),
            Report("GET", "/admin/audit", _by_admin(lambda who, request: log.list(request.query_params, _accept(request)))),
            Report("GET", "/admin/audit/verify", _by_admin(lambda who, request: log.verify(request.query_params))),
            Report("GET", "/admin/audit/anchor", _by_admin(lambda who, request: log.anchor(request.query_params))),
        )

    async def _usage(self, who: Principal, request: Request) -> Answer:
        await self._committed()
        return await usage(self._store, who, request.query_params, _accept(request))

    async def _ledger(self, who: Principal, request: Request) -> Answer:
        await self._committed()
        return await ledger(self._store, request.query_params, _accept(request))

    async def _statement(self, who: Principal, request: Request) -> Answer:
        await self._committed()
        filed = self._clients.files.clients
        return await statement(self._store, request.path_params["account"], request.query_params, _accept(request), filed)

    async def _reconcile(self, who: Principal, request: Request) -> Answer:
        await self._committed()
        held = 0
        body = bytearray()
        try:
            async for piece in request.stream():
                self._in_flight.take(len(piece))
                held += len(piece)
                body += piece
                if held > MAX_EXPORT_BYTES:
                    raise BodyTooLarge(f"The export has more than {MAX_EXPORT_BYTES} bytes; take a shorter period.")
            return await reconcile(self._store, request.query_params, bytes(body))
        finally:
            self._in_flight.release(held)


def _by_admin(act: Act) -> Act:
    async def acted(who: Principal, request: Request) -> Answer:
        require_admin(who)
        return await act(who, request)

    return acted


def _accept(request: Request) -> str:
    return request.headers.get("accept", "")
