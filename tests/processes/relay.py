"""The network between a gate and a server, as far as it can fail: a port of its own that can fall silent and heal."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator


class Relay:
    """Passes bytes on to a server's socket. What was sent while it was cut arrives once it is healed, as TCP has it.

    Attributes:
        url: Where it listens.
    """

    def __init__(self, path: str) -> None:
        self._path = path
        self._is_whole = asyncio.Event()
        self._is_whole.set()
        self._tasks: set[asyncio.Task[None]] = set()
        self.url = ""

    def cut(self) -> None:
        """Nothing passes from now on, in either direction; nobody is told, and connections are taken and left without a word."""
        self._is_whole.clear()

    def heal(self) -> None:
        """Everything passes again."""
        self._is_whole.set()

    async def accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one connection, to its end."""
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        with contextlib.suppress(OSError, asyncio.CancelledError):
            away, back = await asyncio.open_unix_connection(self._path)
            async with asyncio.TaskGroup() as group:
                group.create_task(self._pass(reader, back))
                group.create_task(self._pass(away, writer))
        self._tasks.discard(task)

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while piece := await reader.read(65_536):
                await self._is_whole.wait()
                writer.write(piece)
                await writer.drain()
            await self._is_whole.wait()
        except OSError:
            pass  # whoever hung up is told apart by nobody
        finally:
            writer.close()

    async def aclose(self) -> None:
        """End every connection."""
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


@contextlib.asynccontextmanager
async def relay(path: str) -> AsyncIterator[Relay]:
    """A relay to the unix socket at `path`."""
    made = Relay(path)
    async with await asyncio.start_server(made.accept, "127.0.0.1", 0) as server:
        made.url = f"redis://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        try:
            yield made
        finally:
            await made.aclose()
