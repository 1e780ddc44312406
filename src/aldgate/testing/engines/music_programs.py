"""Programs that engines start: they work while they are held, fail by name, and leave a trace of what they did."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import Any, Self

from aldgate.testing.engines import played

LOOK_S = 0.01
_TORCH = """
import contextlib
bfloat16 = float32 = device = manual_seed = str
no_grad = contextlib.nullcontext
class cuda:
    is_available = staticmethod(lambda: False)
"""
_HEARTLIB = "from played import HeartMuLaGenPipeline"


class FakePrograms:
    """Programs whose traces are in a folder.

    Args:
        folder: Where.

    Attributes:
        loads: Nothing is loaded but by work.
    """

    faults = frozenset({"fails", "out_of_memory", "dies", "no_files"})
    loads = 0

    def __init__(self, folder: Path) -> None:
        self._folder = folder / "fake"
        for name in ("works", "stopped", "ended", "lib"):
            (self._folder / name).mkdir(parents=True)
        (self._folder / "lib" / "torch.py").write_text(_TORCH)
        (self._folder / "lib" / "heartlib.py").write_text(_HEARTLIB)
        (self._folder / "lib" / "played.py").write_text(Path(played.__file__).read_text())
        self.fault = ""

    def table(self, kind: str) -> dict[str, Any]:
        """What an engine's table says of it."""
        script = [] if kind == "heartmula" else [str(self._folder / "lib" / "played.py"), kind]
        return {"command": [sys.executable, *script], "env": {"PYTHONPATH": str(self._folder / "lib")}}

    @property
    def fault(self) -> str:
        """What goes wrong, of `faults`; empty: nothing."""
        return (self._folder / "fault").read_text()

    @fault.setter
    def fault(self, name: str) -> None:
        (self._folder / "fault").write_text(name)

    @property
    def works(self) -> int:
        """How often work was begun."""
        return len(self._names("works"))

    @property
    def unloads(self) -> int:
        """How often a process ended and gave back what it held."""
        return len(self._names("ended"))

    @property
    def stopped(self) -> list[str]:
        """Processes that were told to end."""
        return self._names("stopped")

    @property
    def given(self) -> list[str]:
        """What each was started with."""
        return [path.read_text() for path in (self._folder / "works").iterdir()]

    def hold(self) -> None:
        """Let work begin and not end."""
        (self._folder / "hold").touch()

    def release(self) -> None:
        """Let held work end."""
        (self._folder / "hold").unlink(missing_ok=True)

    async def until_working(self) -> None:
        """Wait until work has begun."""
        while True:
            if self.works:
                return
            await asyncio.sleep(LOOK_S)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        self.release()

    def _names(self, folder: str) -> list[str]:
        return [path.name for path in (self._folder / folder).iterdir()]
