"""Calls that nobody waits for: with `Prefer: respond-async` (RFC 7240, 4.1) or `"background": true` they are jobs."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Protocol

from aldgate.core.calls import Named
from aldgate.core.principals import Operation, Principal
from aldgate.dialects.governed import without_member
from aldgate.ports import FaceDialect
from aldgate.surfaces.calls.face import Doors, Face
from aldgate.surfaces.http.asgi import Handler, Outlet, Scope, headers_of

NOW = Named()
LATER = Named(headers=((b"prefer", b"respond-async"),))


class Background(Protocol):
    """Makes a job of a call, and answers with it."""

    def __call__(self, who: Principal, path: str, body: bytes, call_id: str, outlet: Outlet) -> Awaitable[None]:
        """Raises `GatewayError` if it may not be made."""
        ...


class BackgroundFace(Face):
    """A path whose calls may be jobs.

    Args:
        path: Which.
        begin: Loads what makes them, when the first is wanted.
    """

    def __init__(self, dialect: FaceDialect, doors: Doors, path: str, begin: Callable[[], Background]) -> None:
        super().__init__(dialect, doors)
        self._path = path
        self._begin = begin

    def handler(self, operation: Operation) -> Handler:
        """The handler of the path."""
        return self.serving(operation, _when)

    async def _call(
        self, operation: Operation, call_id: str, principal: Principal, body: bytes, named: Named | None, outlet: Outlet
    ) -> None:
        peek = self._peek(operation, principal, body, None)
        if named is LATER or peek.is_background:
            return await self._begin()(principal, self._path, without_member(body, "background"), call_id, outlet)
        call = self._gate.call(call_id, operation, principal, peek)
        await self._run(self._gate.admit(call) or await self._gate.admit_shared(call), outlet)

    async def _cached(
        self,
        headers: Mapping[bytes, bytes],
        operation: Operation,
        call_id: str,
        principal: Principal,
        body: bytes,
        named: Named | None,
        outlet: Outlet,
    ) -> None:
        if named is LATER or self._peek(operation, principal, body, None).is_background:
            return await self._call(operation, call_id, principal, body, named, outlet)
        await super()._cached(headers, operation, call_id, principal, body, None, outlet)


def _when(scope: Scope) -> Named:
    return LATER if b"respond-async" in headers_of(scope).get(b"prefer", b"") else NOW
