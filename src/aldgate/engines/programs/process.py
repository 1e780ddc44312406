"""A program that works for one job: begun only when it is written down who it is, so that whoever comes later can end it."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import msgspec

from aldgate.engines.group import Group

_RECORD = "process"
_WAITING = 'read -r go && exec "$@" </dev/null'
"""Becomes the program when it is told to, under the same number; ends when whoever started it is gone before that."""
_ENDS = re.compile(rb"[\r\n]")
MOST_LINE_BYTES = 64 * 1024


@asynccontextmanager
async def running(
    command: Sequence[str], folder: Path, working_dir: str, environment: Mapping[str, str], *, patience_s: float
) -> AsyncGenerator[asyncio.subprocess.Process]:
    """Run a program while the body runs; its whole group has ended when the body has.

    Args:
        command: The program and its arguments.
        folder: The job's own.
        working_dir: Where it runs; empty: in `folder`.
        environment: The whole of its environment.
        patience_s: How long each signal to end is given.

    Raises:
        OSError: It cannot be started.
        UpstreamError: It does not end.
    """
    process = await asyncio.create_subprocess_exec(
        "/bin/sh",
        "-c",
        _WAITING,
        "sh",
        *command,
        cwd=working_dir or folder,
        env=dict(environment),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        start_new_session=True,
    )
    group = Group.led_by(process.pid)
    try:
        (folder / _RECORD).write_bytes(msgspec.json.encode(group))
        assert process.stdin is not None, "it is a pipe"
        process.stdin.write(b"go\n")
        process.stdin.close()
        yield process
    finally:
        await group.end(patience_s)
        await process.wait()


async def lines(process: asyncio.subprocess.Process) -> AsyncGenerator[str]:
    """What it prints, line by line; progress bars end theirs with a carriage return."""
    assert process.stdout is not None
    rest = b""
    while piece := await process.stdout.read(4096):
        *whole, rest = _ENDS.split(rest + piece)
        for line in (*whole, *([rest] if len(rest) > MOST_LINE_BYTES else [])):
            if text := line.decode(errors="replace").strip():
                yield text
        rest = b"" if len(rest) > MOST_LINE_BYTES else rest
    if text := rest.decode(errors="replace").strip():
        yield text


def group_in(folder: Path) -> Group | None:
    """The group of the program whose folder this is, whoever started it. None: it never began."""
    try:
        return msgspec.json.decode((folder / _RECORD).read_bytes(), type=Group)
    except (FileNotFoundError, msgspec.DecodeError):  # a record that is not whole is of a program that was not told to begin
        return None
