"""Bytes on the local disk, named by their SHA-256: written aside and renamed when complete, so that a name never holds half.

Everything here blocks; callers use threads.
"""

from __future__ import annotations

import hashlib
import os
import secrets
import time
from collections.abc import Iterator
from pathlib import Path
from threading import Lock


class Artifacts:
    """A directory of artifacts; it is made when the first is written.

    Args:
        root: Where they are kept, in folders of the first two digits of their names.
    """

    def __init__(self, root: Path) -> None:
        self._root = root
        self._incoming = root / "incoming"

    def begin(self) -> Writing:
        """Start to write one.

        Raises:
            OSError: The disk is full, or may not be written.
        """
        self._incoming.mkdir(parents=True, exist_ok=True, mode=0o700)
        return Writing(self._root, self._incoming / secrets.token_hex(12))

    def path(self, sha256: str) -> Path:
        """Where an artifact is, if it is there."""
        return self._root / sha256[:2] / sha256

    def delete(self, sha256: str) -> None:
        """Remove an artifact; it may be gone already."""
        self.path(sha256).unlink(missing_ok=True)

    def names(self, older_than_s: float) -> Iterator[str]:
        """The artifacts that were last written so long ago. Removes what began to be written then and was never finished."""
        before = time.time() - older_than_s
        for path in self._root.glob("*/*"):
            try:
                is_old = path.stat().st_mtime < before
            except FileNotFoundError:
                continue
            if is_old and path.parent == self._incoming:
                path.unlink(missing_ok=True)
            elif is_old:
                yield path.name


class Writing:
    """An artifact that is being written. Whoever began it must `commit` or `abort` it.

    Attributes:
        size: Bytes so far.
    """

    def __init__(self, root: Path, path: Path) -> None:
        self._root = root
        self._path = path
        self._file = open(path, "xb", buffering=0, opener=private)
        self._digest = hashlib.sha256()
        self._turn = Lock()  # a cancelled caller aborts while its last piece is still being written in a thread
        self.size = 0

    def write(self, piece: bytes) -> None:
        """Append a piece.

        Raises:
            OSError: The disk is full, or failed.
            ValueError: It was aborted.
        """
        with self._turn:
            rest = memoryview(piece)
            while rest:
                rest = rest[self._file.write(rest) :]
            self._digest.update(piece)
            self.size += len(piece)

    def commit(self) -> str:
        """Put it on the disk for good and return its SHA-256 in hex.

        Raises:
            OSError: The disk is full, or failed.
        """
        with self._turn:
            os.fsync(self._file.fileno())
            self._file.close()
            name = self._digest.hexdigest()
            folder = self._root / name[:2]
            folder.mkdir(exist_ok=True, mode=0o700)
            os.replace(self._path, folder / name)
            _sync(folder)
        return name

    def abort(self) -> None:
        """Forget it. Harmless after `commit`."""
        with self._turn:
            self._file.close()
            self._path.unlink(missing_ok=True)


def private(path: str, flags: int) -> int:
    """An `opener` of files that nobody else may read."""
    return os.open(path, flags | os.O_CLOEXEC, 0o600)


def _sync(folder: Path) -> None:
    """Have the directory's entry on the disk, too (https://man7.org/linux/man-pages/man2/fsync.2.html)."""
    number = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(number)
    finally:
        os.close(number)
