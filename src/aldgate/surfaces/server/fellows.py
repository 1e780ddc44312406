"""The metrics of several workers on one machine: whichever is scraped answers for all, each under a label of its own."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path

PATIENCE_S = 1.0
_SAMPLE = re.compile(rb"^([a-zA-Z_:][a-zA-Z0-9_:]*)(\{)?")
_UP = b"# HELP aldgate_worker_up The worker told its metrics.\n# TYPE aldgate_worker_up gauge\n"


class Fellows:
    """The workers of this machine.

    Args:
        directory: Where each has its socket; nobody else can look into it.
        number: This worker's.
        count: How many there are.
        expose: This worker's own metrics, as text.
    """

    def __init__(self, directory: Path, number: int, count: int, expose: Callable[[], bytes]) -> None:
        self._directory = directory
        self._number = number
        self._count = count
        self._expose = expose
        self._server: asyncio.Server | None = None

    async def open(self) -> None:
        """Begin to tell the others."""
        path = self._path(self._number)
        path.unlink(missing_ok=True)
        self._server = await asyncio.start_unix_server(self._tell, path)

    async def aclose(self) -> None:
        """Tell nobody any more."""
        if self._server is not None:
            self._server.close()

    def _path(self, number: int) -> Path:
        return self._directory / f"{number}.sock"

    async def _tell(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(self._expose())
        with suppress(OSError):  # whoever asked has gone
            await writer.drain()
        writer.close()

    async def exposed(self) -> bytes:
        """The metrics of all."""
        told = await asyncio.gather(*(self._ask(number) for number in range(self._count)))
        return merged(dict(enumerate(told)))

    async def _ask(self, number: int) -> bytes | None:
        if number == self._number:
            return self._expose()
        try:
            async with asyncio.timeout(PATIENCE_S):
                reader, writer = await asyncio.open_unix_connection(self._path(number))
                try:
                    return await reader.read()
                finally:
                    writer.close()
        except (OSError, TimeoutError):
            return None


def merged(texts: Mapping[int, bytes | None]) -> bytes:
    """One exposition of several, each sample with the label `worker`. None: that worker did not answer.

    Sums would be wrong: a counter that falls because one worker was replaced looks to Prometheus like a restart of all.
    """
    heads: dict[bytes, list[bytes]] = {}
    samples: dict[bytes, list[bytes]] = {}
    up = b"".join(b'aldgate_worker_up{worker="%d"} %d\n' % (number, text is not None) for number, text in texts.items())
    for number, text in texts.items():
        family = b""
        for line in (text or b"").splitlines():
            if line.startswith(b"# HELP "):
                family = line.split(b" ", 3)[2]
                if family not in heads:
                    heads[family], samples[family] = [], []
            if line.startswith(b"#"):
                if line not in heads[family]:
                    heads[family].append(line)
            else:
                samples[family].append(_labelled(line, number))
    shown = (b"\n".join([*heads[family], *samples[family]]) + b"\n" for family in heads)
    return b"".join(shown) + _UP + up


def _labelled(line: bytes, number: int) -> bytes:
    found = _SAMPLE.match(line)
    if found is None:
        return line
    label, rest = b'worker="%d"' % number, line[found.end() :]
    return b"%b{%b,%b" % (found[1], label, rest) if found[2] else b"%b{%b}%b" % (found[1], label, rest)
