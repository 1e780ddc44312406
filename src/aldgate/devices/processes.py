"""Processes of this machine as `/proc` shows them: who listens on a port, who descends from whom, who is of a group.

Elsewhere than on Linux nothing is found, and whatever holds memory counts as somebody else's.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

PROC = Path("/proc")
LISTENING = "0A"


class _Stat(NamedTuple):
    parent: int
    group: int
    started: int


def started_at(pid: int, proc: Path = PROC) -> int | None:
    """When it started, in clock ticks since the machine did: with its number, this tells it from any other. None: it is gone."""
    found = _stat(pid, proc)
    return None if found is None else found.started


def with_descendants(pids: Iterable[int], proc: Path = PROC) -> frozenset[int]:
    """The processes, and all that they and theirs started."""
    parents = {pid: stat.parent for pid in _pids(proc) if (stat := _stat(pid, proc)) is not None}
    found = set(pids)
    while more := {pid for pid, parent in parents.items() if parent in found and pid not in found}:
        found |= more
    return frozenset(found)


def members_of(group: int, proc: Path = PROC) -> frozenset[int]:
    """The processes of a group; those that have ended and wait for their parent to see that do not count."""
    return frozenset(pid for pid in _pids(proc) if (stat := _stat(pid, proc)) is not None and stat.group == group)


def listening_on(port: int, proc: Path = PROC) -> frozenset[int]:
    """Who accepts connections on a TCP port; those of other users cannot be seen."""
    sockets = {f"socket:[{inode}]" for table in ("tcp", "tcp6") for inode in _inodes(proc / "net" / table, port)}
    return frozenset(pid for pid in _pids(proc) if sockets & _descriptors(pid, proc)) if sockets else frozenset()


def _pids(proc: Path) -> list[int]:
    try:
        return [int(each.name) for each in proc.iterdir() if each.name.isdecimal()]
    except OSError:
        return []


def _stat(pid: int, proc: Path) -> _Stat | None:
    """See proc_pid_stat(5); the name may hold anything. None: it is gone or a zombie."""
    try:
        text = (proc / str(pid) / "stat").read_text(errors="replace")
    except OSError:
        return None
    fields = text[text.rindex(")") + 2 :].split()
    return None if fields[0] in ("Z", "X") else _Stat(int(fields[1]), int(fields[2]), int(fields[19]))


def _inodes(table: Path, port: int) -> set[str]:
    try:
        lines = table.read_text().splitlines()[1:]
    except OSError:
        return set()
    rows = [line.split() for line in lines]
    return {row[9] for row in rows if row[3] == LISTENING and int(row[1].rsplit(":", 1)[1], 16) == port}


def _descriptors(pid: int, proc: Path) -> set[str]:
    found: set[str] = set()
    folder = proc / str(pid) / "fd"
    try:
        names = [each.name for each in folder.iterdir()]
    except OSError:
        return found
    for name in names:
        with contextlib.suppress(OSError):  # closed meanwhile
            found.add(str((folder / name).readlink()))
    return found
