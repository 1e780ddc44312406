"""Draughtsmen at work: each renders for one job at a time, and stays for the next one."""

from __future__ import annotations

import struct
import sys
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from subprocess import DEVNULL, PIPE, Popen
from threading import Lock
from typing import TYPE_CHECKING

from aldgate.core.errors import UpstreamBroken

if TYPE_CHECKING:
    from PIL.Image import Image

DRAUGHTSMAN = Path(__file__).with_name("draughtsman.py")
Render = Callable[[str, int, int], "Image"]
"""Turns an SVG document into pixels, of a width and a height. It blocks.

Raises:
    UpstreamBroken: The program that does it has ended.
"""


def bare_environment(environment: Mapping[str, str]) -> dict[str, str]:
    """What programs of the builtin engine get of the environment: where libraries are, and no secrets."""
    return {name: environment[name] for name in ("PATH", "LD_LIBRARY_PATH") if name in environment}


def isolated(program: Path) -> tuple[str, ...]:
    """How one is run: neither the environment nor the working directory decides on what it imports."""
    return (sys.executable, "-I", str(program))


class Studio:
    """All draughtsmen. They are employed when there is work, and dismissed by `close`.

    Args:
        environment: The process environment.
    """

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._environment = bare_environment(environment)
        self._idle: list[Popen[bytes]] = []
        self._turn = Lock()

    @contextmanager
    def at_work(self) -> Generator[Render]:
        """One for a job."""
        with self._turn:
            program = self._idle.pop() if self._idle else None
        program = program or Popen(isolated(DRAUGHTSMAN), stdin=PIPE, stdout=PIPE, stderr=DEVNULL, env=self._environment)
        is_fit = True

        def render(svg: str, width: int, height: int) -> Image:
            nonlocal is_fit
            is_fit = False
            picture = _rendered(program, svg.encode(), width, height)
            is_fit = True
            return picture

        try:
            yield render
        finally:
            if is_fit:
                with self._turn:
                    self._idle.append(program)
            else:
                _dismiss(program)

    def close(self) -> None:
        """Dismiss whoever has nothing to do."""
        with self._turn:
            while self._idle:
                _dismiss(self._idle.pop())


def _rendered(program: Popen[bytes], svg: bytes, width: int, height: int) -> Image:
    from PIL import Image

    assert program.stdin is not None and program.stdout is not None
    try:
        program.stdin.write(struct.pack(">III", width, height, len(svg)) + svg)
        program.stdin.flush()
        (length,) = struct.unpack(">I", program.stdout.read(4))
        png = program.stdout.read(length)
    except (OSError, struct.error):
        raise UpstreamBroken("The program that draws has ended.") from None
    return Image.open(BytesIO(png), formats=("PNG",)).convert("RGB")


def _dismiss(program: Popen[bytes]) -> None:
    program.kill()
    program.communicate()
