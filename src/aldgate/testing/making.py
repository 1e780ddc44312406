"""An engine for tests of jobs: what it works on is in a folder, and goes on whatever becomes of the process that asked for it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import msgspec

from aldgate.core.errors import GatewayError, NotSupported
from aldgate.core.generation import EngineState, Generated, Generation, Progress, Recovery
from aldgate.core.levels import Operation
from aldgate.making import Run

LOOK_S = 0.005


class Piece(msgspec.Struct, frozen=True):
    """Something that the engine was asked to make. Times in Unix seconds."""

    prompt: str
    began_at: float
    done_at: float


class FolderEngine:
    """Makes texts of prompts, each in a while.

    Args:
        name: As configured.
        folder: Holds a file per piece of work: `HANDLE.json`, and `HANDLE.stopped` once that was stopped.
        recovery: What it can do about pieces whose worker is gone.
        takes_s: Seconds per piece.
        faults: By prompt, the errors that attempts at it meet, in order, after the engine took them.

    Attributes:
        stopped: Handles that it was told to stop.
        adopted: Handles that were adopted.
        stop_error: What it answers when it is told to stop, if that fails.
        overlaps: Prompts that were begun while an earlier piece of the same was still being made.
    """

    kind = "folder"
    operations: frozenset[Operation] = frozenset({"image"})

    def __init__(
        self, name: str, folder: Path, recovery: Recovery, *, takes_s: float = 0.0, faults: Mapping[str, list[GatewayError]] = {}
    ) -> None:
        self.name = name
        self.recovery: Recovery = recovery
        self._folder = folder
        self.takes_s = takes_s
        self.faults = {prompt: list(errors) for prompt, errors in faults.items()}
        self.stopped: list[str] = []
        self.adopted: list[str] = []
        self.stop_error: GatewayError | None = None
        self.began = asyncio.Event()
        self.before_submitting: Callable[[], None] | None = None

    async def state(self) -> EngineState:
        """See `Engine`."""
        return EngineState()

    async def generate(self, asked: Generation, run: Run) -> Generated:
        """See `Engine`."""
        if self.before_submitting is not None:
            self.before_submitting()
        handle = run.reference
        await run.submitting(handle)
        now = time.time()
        if self._is_under_way(asked.prompt, now):
            (self._folder / f"{handle}.overlap").touch()
        piece = Piece(asked.prompt, now, now + self.takes_s)
        (self._folder / f"{handle}.json").write_bytes(msgspec.json.encode(piece))
        self.began.set()
        errors = self.faults.get(asked.prompt)
        if errors:
            raise errors.pop(0)
        return await self._collect(handle, piece, run)

    def _pieces(self, prompt: str) -> list[tuple[str, Piece]]:
        found = ((path.stem, path.read_bytes()) for path in self._folder.glob("*.json"))
        pieces = [(handle, msgspec.json.decode(data, type=Piece)) for handle, data in found if data]
        return [(handle, piece) for handle, piece in pieces if piece.prompt == prompt]

    def _is_under_way(self, prompt: str, now: float) -> bool:
        pieces = self._pieces(prompt)
        return any(now < piece.done_at and not (self._folder / f"{handle}.stopped").exists() for handle, piece in pieces)

    @property
    def overlaps(self) -> list[str]:
        """See the class."""
        return [path.stem for path in self._folder.glob("*.overlap")]

    async def _collect(self, handle: str, piece: Piece, run: Run) -> Generated:
        while (left_s := piece.done_at - time.time()) > 0:
            run.progress(Progress(1 - left_s / self.takes_s))
            await asyncio.sleep(min(LOOK_S, left_s))
        await run.save(piece.prompt.encode(), mime="text/plain", name="out.txt")
        return Generated(text=piece.prompt, details={"handle": handle})

    async def adopt(self, handle: str, asked: Generation, run: Run) -> Generated | None:
        """See `Engine`."""
        file = self._folder / f"{handle}.json"
        if not file.exists() or not (data := file.read_bytes()):
            return None
        self.adopted.append(handle)
        return await self._collect(handle, msgspec.json.decode(data, type=Piece), run)

    async def stop(self, handle: str) -> None:
        """See `Engine`."""
        if self.stop_error is not None:
            raise self.stop_error
        if self.recovery == "wait":
            raise NotSupported("It cannot be stopped.")
        self.stopped.append(handle)
        (self._folder / f"{handle}.stopped").touch()

    async def unload(self, model: str = "") -> None:
        """See `Engine`. It holds nothing."""

    async def aclose(self) -> None:
        """See `Engine`. It has no connections."""
