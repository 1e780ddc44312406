"""The one place that every administrative request passes: none that changes something leaves without a row in the audit log."""

from __future__ import annotations

import time
from typing import Any

from aldgate.core.errors import GatewayError
from aldgate.core.principals import Principal
from aldgate.gate.audit import DOING, Audit, Doing
from aldgate.gate.principals.identity import Identity
from aldgate.surfaces.admin.act_names import act_of
from aldgate.surfaces.http.asgi import Handler, Message, Receive, Scope, Send
from aldgate.surfaces.http.credentials import principal_of
from aldgate.surfaces.http.faults import render_for_path

ADMINISTRATIVE = ("/admin/", "/auth/keys", "/api/v1/clients/")
LOOKING = frozenset({"GET", "HEAD", "OPTIONS"})
MOST_REFUSALS = 60
"""Refusals of one principal per minute that are noted, in each process: nobody fills the disk with what he may not do."""


class Audited:
    """ASGI middleware around everything administrative.

    A handler that knows more tells `Audit.did` itself; for any other a row is written from the method and the path before the
    first byte of its answer leaves. What is refused to somebody who is known is noted as refused, under the same name. Who is not
    known is a matter for metrics and the log: otherwise anybody could fill the disk.
    """

    def __init__(self, app: Handler, audit: Audit, identity: Identity) -> None:
        self._app = app
        self._audit = audit
        self._identity = identity
        self._minute = 0
        self._refusals: dict[str, int] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a request."""
        if scope["type"] != "http":
            return await self._app(scope, receive, send)
        address = scope.get("client")
        doing = Doing(origin=str(address[0]) if address else "")
        token = DOING.set(doing)
        try:
            if scope["method"] in LOOKING or not scope["path"].startswith(ADMINISTRATIVE):
                return await self._app(scope, receive, send)
            await self._noted(scope, receive, send, doing)
        finally:
            DOING.reset(token)

    async def _noted(self, scope: Scope, receive: Receive, send: Send, doing: Doing) -> None:
        who = await self._who(scope)
        is_lost = False

        async def note_first(message: Message) -> None:
            nonlocal is_lost
            if message["type"] == "http.response.start" and who is not None:
                try:
                    await self._note(scope, who, message["status"], doing)
                except GatewayError as error:
                    is_lost = True
                    status, headers, body = render_for_path(scope["path"], error)
                    await send({"type": "http.response.start", "status": status, "headers": headers})
                    await send({"type": "http.response.body", "body": body})
            if not is_lost:
                await send(message)

        await self._app(scope, receive, note_first)

    async def _who(self, scope: Scope) -> Principal | None:
        try:
            return await principal_of(scope, self._identity)
        except GatewayError:
            return None  # the handler refuses it in its own words

    async def _note(self, scope: Scope, who: Principal, status: int, doing: Doing) -> None:
        parameters: dict[str, Any] = scope.get("path_params") or {}
        template = getattr(scope.get("route"), "path", None)
        if template is None or (status < 400 and doing.is_noted):
            return
        target = str(next(iter(parameters.values()), ""))
        act = act_of(scope["method"], template)
        if status < 400:
            await self._audit.did(who, act, target, {})
        elif self._is_noteworthy(who.id):
            await self._audit.refused(who, act, target, {"status": status})

    def _is_noteworthy(self, who: str) -> bool:
        minute = int(time.monotonic() // 60)
        if minute != self._minute:
            self._minute, self._refusals = minute, {}
        self._refusals[who] = self._refusals.get(who, 0) + 1
        return self._refusals[who] <= MOST_REFUSALS
