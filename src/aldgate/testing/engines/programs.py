"""What fakes of programs have in common: they and their tests speak through files in a folder."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Self


class FakeProgram:
    """A program in a folder of its own.

    Attributes:
        folder: Where `fault`, `hold`, `works`, `loads`, `unloads`, `stopped` lie: flags, and a line for each event.
    """

    faults: frozenset[str] = frozenset()

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "fake"
        self.folder.mkdir(parents=True)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        self.release()

    @property
    def fault(self) -> str:
        """What is wrong with it; empty: nothing."""
        path = self.folder / "fault"
        return path.read_text(encoding="utf-8") if path.exists() else ""

    @fault.setter
    def fault(self, fault: str) -> None:
        (self.folder / "fault").write_text(fault, encoding="utf-8")

    @property
    def works(self) -> int:
        """How often work was begun."""
        return len(self.lines("works"))

    @property
    def loads(self) -> int:
        """How often a model was loaded."""
        return len(self.lines("loads"))

    @property
    def unloads(self) -> int:
        """How often it was told to unload."""
        return len(self.lines("unloads"))

    @property
    def stopped(self) -> list[str]:
        """Work that it was made to stop."""
        return self.lines("stopped")

    def hold(self) -> None:
        """Let work begin and not end."""
        (self.folder / "hold").touch()

    def release(self) -> None:
        """Let held work end."""
        (self.folder / "hold").unlink(missing_ok=True)

    async def until_working(self) -> None:
        """Wait until work has begun."""
        while True:
            if self.works:
                return
            await asyncio.sleep(0.01)

    def lines(self, name: str) -> list[str]:
        """The lines of a file that the program writes."""
        path = self.folder / name
        return path.read_text(encoding="utf-8").splitlines() if path.exists() else []
