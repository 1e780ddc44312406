"""Wan2GP, as a program that is there."""

import sys
from pathlib import Path

from aldgate.testing.engines import wgp
from aldgate.testing.engines.programs import FakeProgram


class FakeWan2GP(FakeProgram):
    """Its `command` makes small files that begin as videos do."""

    faults = frozenset({"out_of_memory", "fails", "interrupted", "no_files"})

    @property
    def command(self) -> list[str]:
        """For an engine's table."""
        return [sys.executable, str(Path(wgp.__file__)), str(self.folder)]
