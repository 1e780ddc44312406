"""What all fakes of engines over HTTP have: a port on loopback, the faults of any server, work that can be held, a record."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, Self

import msgspec
from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

FAULTS = frozenset(
    {"refuses", "hangs", "breaks_off", "garbage", "not_its_protocol", "huge", "redirects"}
    | {"error_500", "unauthorised", "limited", "overloaded"}
)
"""Of any server; each fake's `faults` has its own besides."""
_STATUSES = {"error_500": 500, "unauthorised": 401, "limited": 429, "overloaded": 503}
_HUGE_BYTES = 80 * 1024 * 1024


class Asked(msgspec.Struct, frozen=True):
    """A request that came.

    Attributes:
        form: Of a multipart request, its fields: name, and a text or the bytes of a file.
    """

    method: str
    path: str
    headers: dict[str, str]
    query: dict[str, str]
    body: bytes
    form: list[tuple[str, str | bytes]] = []


class FakeEngine:
    """A server on loopback.

    Attributes:
        faults: Names of its own faults.
        fault: What is wrong with it, of `FAULTS` or `faults`; empty: nothing.
        asked: Requests in order, sockets among them.
        works: How often work was begun.
        loads: How often a model was loaded.
        unloads: How often it was told to unload.
        stopped: Handles of work that it was made to stop.
    """

    faults: frozenset[str] = frozenset()

    def __init__(self) -> None:
        self.fault = ""
        self.asked: list[Asked] = []
        self.works = 0
        self.loads = 0
        self.unloads = 0
        self.stopped: list[str] = []
        self.url = ""
        self._may_work = asyncio.Event()
        self._may_work.set()
        self._works_now = asyncio.Event()
        self._over = asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()
        self._runner: web.AppRunner | None = None

    def routes(self) -> list[web.RouteDef]:
        """What it answers to."""
        return []

    def hold(self) -> None:
        """Let work begin and not end."""
        self._may_work.clear()

    def release(self) -> None:
        """Let held work end."""
        self._may_work.set()

    async def until_working(self) -> None:
        """Wait until work has begun."""
        await self._works_now.wait()

    def body(self, path: str) -> Any:
        """The JSON of the last request to `path`."""
        return msgspec.json.decode(next(each.body for each in reversed(self.asked) if each.path == path))

    async def __aenter__(self) -> Self:
        app = web.Application(middlewares=[self._middleware()], client_max_size=64 * 1024 * 1024)
        app.add_routes(self.routes())
        self._runner = web.AppRunner(app, handle_signals=False, access_log=None, shutdown_timeout=0.1, handler_cancellation=True)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        port = self._runner.addresses[0][1]
        self.url = f"http://127.0.0.1:{port}"
        return self

    async def __aexit__(self, *_: object) -> None:
        self._over.set()
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)
        await self.refuse()

    async def refuse(self) -> None:
        """Close the port and every connection."""
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _work(self) -> None:
        """Work begins here; it goes on when it may."""
        self.works += 1
        self._works_now.set()
        await self._may_work.wait()

    def _middleware(self) -> Middleware:
        async def handle(request: web.Request, handler: Handler) -> web.StreamResponse:
            form = await _form(request)
            body = b"" if form else await request.read()
            self.asked.append(Asked(request.method, request.path, dict(request.headers), dict(request.query), body, form))
            return await self._faulty(request) or await handler(request)

        return web.middleware(handle)

    async def _faulty(self, request: web.Request) -> web.StreamResponse | None:
        if self.fault in _STATUSES:
            return web.json_response({"error": self.fault}, status=_STATUSES[self.fault])
        match self.fault:
            case "hangs":
                await self._over.wait()
            case "garbage":
                return web.Response(body=b"<html>hello</html>", content_type="text/html")
            case "not_its_protocol":
                return web.json_response(["something", {"else": 1}])
            case "redirects":
                return web.Response(status=302, headers={"Location": "http://127.0.0.1:1/elsewhere"})
            case "breaks_off":
                return await self._broken_off(request)
            case "huge":
                return web.Response(body=b"[" + b" " * _HUGE_BYTES, content_type="application/json")
            case _:
                pass
        return None

    async def _broken_off(self, request: web.Request) -> web.StreamResponse:
        reply = web.StreamResponse(headers={"Content-Length": "1000", "Content-Type": "application/json"})
        await reply.prepare(request)
        await reply.write(b'{"half":')
        if request.transport is not None:
            request.transport.close()
        return reply


async def _form(request: web.Request) -> list[tuple[str, str | bytes]]:
    if not request.content_type.startswith("multipart/"):
        return []
    fields: list[tuple[str, str | bytes]] = []
    for name, value in (await request.post()).items():
        if isinstance(value, web.FileField):
            fields.append((name, value.file.read()))
            value.file.seek(0)
        elif isinstance(value, str):
            fields.append((name, value))
    return fields
