"""A job's changes over a WebSocket, at `/ws/jobs/{id}` and `/jobs/ws/jobs/{id}`: the job object, not enveloped.

It comes on connect and on every change, and behind the last one the socket is closed. Who reads slower than the job changes gets
the newest, not each. What a watcher sends is passed over.
"""

from __future__ import annotations

import asyncio
from typing import Any
from urllib.parse import parse_qs

import msgspec

from aldgate.core.errors import GatewayError, UnknownKey
from aldgate.core.jobs import Job
from aldgate.core.principals import Principal
from aldgate.gate.principals.identity import Identity
from aldgate.gate.watch import OpenSocket, Watch
from aldgate.jobs.following import Followed
from aldgate.jobs.making import Jobs
from aldgate.surfaces.http.asgi import Message, Receive, Scope, Send, base_of
from aldgate.surfaces.http.credentials import (
    brings_credential,
    check_place,
    come_from,
    place_of_call,
    socket_secret_of,
)
from aldgate.surfaces.http.faults import refuse
from aldgate.surfaces.jobs.looking import check_may_look, whose
from aldgate.surfaces.queued.shown import Shown
from aldgate.surfaces.queued.tickets import Tickets
from aldgate.surfaces.server.websocket import POLICY_VIOLATION, Socket

STALLED_S = 30.0
"""A watcher that takes nothing for so long, with as much unsent as a connection may hold, is cut off."""
_KEYS = ("api_key", "token")


class JobSocket:
    """The handler.

    Args:
        jobs: All of them.
        identity: Says who watches.
        watch: Ends what is open of those who may look no longer.
        tickets: Let who has one watch that job.
        shown: Shows jobs.
        new_id: Makes request ids of refusals.
    """

    def __init__(self, jobs: Jobs, identity: Identity, watch: Watch, tickets: Tickets, shown: Shown, new_id: Any) -> None:
        self._jobs = jobs
        self._identity = identity
        self._watch = watch
        self._tickets = tickets
        self._shown = shown
        self._new_id = new_id
        self._last: tuple[Job, str, str] | None = None

    async def serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI. Who may not watch is told so before the upgrade."""
        await receive()
        try:
            who, job = await self._asked(scope)
        except GatewayError as error:
            return await refuse(send, scope["path"], error, self._new_id())
        await send({"type": "websocket.accept"})
        come_from(scope)
        watcher = _Watcher(scope["aldgate.socket"], send)
        self._watch.sockets[watcher] = OpenSocket(who, watcher.cut, place_of_call())
        listening = asyncio.ensure_future(watcher.listen(receive))
        try:
            with self._jobs.following(job, watcher.nudge) as followed:
                await self._tell(watcher, followed, base_of(scope))
        finally:
            del self._watch.sockets[watcher]
            listening.cancel()
            await asyncio.gather(listening, return_exceptions=True)

    async def _asked(self, scope: Scope) -> tuple[Principal, Job]:
        """Who watches, and what.

        Raises:
            GatewayError: Nobody knows who it is, or they have no such job.
        """
        job_id = scope["path"].rpartition("/ws/jobs/")[2]
        ticket = _ticket_of(scope)
        if ticket is None:
            who = await self._identity.identify(socket_secret_of(scope))
        else:
            self._tickets.check(job_id, ticket, self._jobs.now())
            who = await self._identity.standing((await self._jobs.find(None, job_id)).owner.id)
        if who.rights.tells_places:
            check_place(who, scope)
        check_may_look(who)
        return who, await self._jobs.find(whose(who), job_id)

    async def _tell(self, watcher: _Watcher, followed: Followed, base: str) -> None:
        told = 0
        while not watcher.is_over:
            try:
                job = followed.job
            except GatewayError:  # it is not there any more
                return await watcher.close()
            if job.version != told:
                told = job.version
                await watcher.send({"type": "websocket.send", "text": self._text(job, base)})
            if job.has_ended:
                return await watcher.close()
            await watcher.nudge.wait()
            watcher.nudge.clear()
        if watcher.code is not None:
            await watcher.close(watcher.code)

    def _text(self, job: Job, base: str) -> str:
        """The job object; all who watch a job are told in a row, so the last one is kept."""
        if self._last is None or self._last[0] is not job or self._last[1] != base:
            self._last = job, base, msgspec.json.encode(self._shown.job(job, base, self._jobs.now())).decode()
        return self._last[2]


class _Watcher:
    """One connection.

    Attributes:
        nudge: There is something new, or it is over.
        is_over: The other side has left, or may look no longer.
        code: To be closed with, if the other side is still there.
    """

    def __init__(self, socket: Socket, send: Send) -> None:
        self._socket = socket
        self._send = send
        self.nudge = asyncio.Event()
        self.is_over = False
        self.code: int | None = None

    def cut(self, error: GatewayError) -> None:
        """Whose it is may look no longer."""
        self.is_over, self.code = True, POLICY_VIOLATION
        self.nudge.set()

    async def listen(self, receive: Receive) -> None:
        """Wait until the other side leaves."""
        while (await receive())["type"] == "websocket.receive":
            pass
        self.is_over, self.code = True, None
        self.nudge.set()

    async def send(self, message: Message) -> None:
        """Send, once the connection takes more; a watcher that takes nothing is cut off."""
        try:
            async with asyncio.timeout(STALLED_S):
                await self._send(message)
        except TimeoutError:
            self.is_over = True
            self._socket.transport.abort()

    async def close(self, code: int = 1000) -> None:
        """Say that this is all."""
        await self.send({"type": "websocket.close", "code": code})


def _ticket_of(scope: Scope) -> str | None:
    """The ticket in the query, unless a key stands there or in a header.

    Raises:
        UnknownKey: There are two.
    """
    query = parse_qs(scope["query_string"].decode("latin-1"), keep_blank_values=True)
    if "ticket" not in query or any(name in query for name in _KEYS) or brings_credential(dict(scope["headers"])):
        return None
    if len(query["ticket"]) > 1:
        raise UnknownKey("The query brings `ticket` twice.")
    return query["ticket"][0]
