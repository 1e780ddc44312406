"""What one kind of program wants and gives."""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from aldgate.core.generation import NO_OPTIONS, Generation, Progress
from aldgate.core.levels import Operation

_BAR = re.compile(r"^(?P<what>.*?)\s*\d{1,3}%\|[^|]*\|\s*(?P<step>\d+)/(?P<steps>\d+)")
"""A bar of tqdm."""

Listener = Callable[[str], Progress | None]
"""What a line says of how far the work is; None: nothing."""


class Program(ABC):
    """One kind of program; each subclass is one.

    Attributes:
        kind: As in the registry.
        operations: What it does.
        takes_seed: It can be told a seed, up to `most_seed`.
    """

    kind: str
    operations: frozenset[Operation] = frozenset({"music"})
    takes_seed: bool = True
    most_seed: int = 2**32 - 1

    @abstractmethod
    def check(self, asked: Generation) -> None:
        """See that it can do that.

        Raises:
            InvalidRequest: It cannot.
        """

    @abstractmethod
    def arguments(self, asked: Generation, folder: Path, seed: int) -> Sequence[str]:
        """Write its input files and say what it is started with. It runs in a thread of its own."""

    @abstractmethod
    def made(self, folder: Path) -> Sequence[Path]:
        """What it made."""

    def listener(self) -> Listener:
        """Who understands what it prints during one job; by default, bars of tqdm."""
        return _heard

    def details(self, asked: Generation) -> Mapping[str, Any]:
        """See `Generated.details`."""
        return NO_OPTIONS


def _heard(line: str) -> Progress | None:
    bar = _BAR.match(line)
    return None if bar is None else Progress(None, int(bar["step"]), int(bar["steps"]), bar["what"].rstrip(":"))
