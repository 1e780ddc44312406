"""What fakes have in common whose work is one request, and ends with its connection."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from aiohttp import web

from aldgate.testing.engines.server import FAULTS, FakeEngine

WORK = "work_"


class DirectFake(FakeEngine):
    """A server whose faults `work_...` are those of `FAULTS`, met by the request for the work alone.

    Attributes:
        work_paths: Where work is asked for.
    """

    work_paths: frozenset[str] = frozenset()
    faults = frozenset(WORK + name for name in FAULTS) | {"out_of_memory"}

    @asynccontextmanager
    async def _at_work(self, path: str) -> AsyncGenerator[None]:
        """Work, which stops when nobody waits for it any more."""
        try:
            await self._work()
            yield
        except asyncio.CancelledError:
            self.stopped.append(path)
            raise

    async def _faulty(self, request: web.Request) -> web.StreamResponse | None:
        if self.fault == "out_of_memory" and request.path in self.work_paths:
            said = "CUDA out of memory. Tried to allocate 2.00 GiB"
            return web.json_response({"error": {"message": said, "type": "server_error"}}, status=500)
        if not self.fault.startswith(WORK):
            return await super()._faulty(request)
        if request.path not in self.work_paths:
            return None
        fault, self.fault = self.fault, self.fault.removeprefix(WORK)
        try:
            return await super()._faulty(request)
        finally:
            self.fault = fault
