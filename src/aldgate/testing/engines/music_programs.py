"""Programs that engines start: they work while they are held, fail by name, and leave a trace of what they did."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from aldgate.testing.engines import played
from aldgate.testing.engines.programs import FakeProgram

_TORCH = """
import contextlib
bfloat16 = float32 = device = manual_seed = str
no_grad = contextlib.nullcontext
class cuda:
    is_available = staticmethod(lambda: False)
"""
_HEARTLIB = "from played import HeartMuLaGenPipeline"


class FakePrograms(FakeProgram):
    """Programs whose traces are in one folder: nothing is loaded but by work, and whatever ends has given back what it held."""

    faults = frozenset({"fails", "out_of_memory", "dies", "no_files"})

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        library = self.folder / "lib"
        library.mkdir()
        (library / "torch.py").write_text(_TORCH)
        (library / "heartlib.py").write_text(_HEARTLIB)
        (library / "played.py").write_text(Path(played.__file__).read_text())
        self.fault = ""

    def table(self, kind: str) -> dict[str, Any]:
        """What an engine's table says of it."""
        script = [] if kind == "heartmula" else [str(self.folder / "lib" / "played.py"), kind]
        return {"command": [sys.executable, *script], "env": {"PYTHONPATH": str(self.folder / "lib")}}

    @property
    def given(self) -> list[str]:
        """What each was started with."""
        return self.lines("works")
