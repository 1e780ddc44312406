"""An artifact has its name only once it is whole on the disk."""

import hashlib
import os
from pathlib import Path

import pytest

from aldgate.artifacts.local import Artifacts


def test_what_is_written_is_found_by_its_hash(tmp_path: Path) -> None:
    artifacts = Artifacts(tmp_path / "artifacts")
    names = []
    for pieces in ([b"hel", b"lo"], [b"hello"], [b""]):
        writing = artifacts.begin()
        for piece in pieces:
            writing.write(piece)
        names.append(writing.commit())
        assert writing.size == len(b"".join(pieces))
        writing.abort()  # harmless now
    assert names == [hashlib.sha256(content).hexdigest() for content in (b"hello", b"hello", b"")]
    assert artifacts.path(names[0]).read_bytes() == b"hello"
    assert artifacts.path(names[0]).stat().st_mode & 0o777 == 0o600
    artifacts.delete(names[0])
    artifacts.delete(names[0])
    assert not artifacts.path(names[0]).exists() and artifacts.path(names[2]).exists()


def test_what_is_given_up_leaves_nothing(tmp_path: Path) -> None:
    artifacts = Artifacts(tmp_path)
    writing = artifacts.begin()
    writing.write(b"half")
    writing.abort()
    writing.abort()
    with pytest.raises(ValueError):
        writing.write(b"more")
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


def test_old_ones_are_named_and_abandoned_ones_removed(tmp_path: Path) -> None:
    artifacts = Artifacts(tmp_path)
    assert list(artifacts.names(0)) == []
    old, new, abandoned = artifacts.begin(), artifacts.begin(), artifacts.begin()
    old.write(b"old")
    new.write(b"new")
    name = old.commit()
    new.commit()
    for path in (artifacts.path(name), *(tmp_path / "incoming").iterdir()):
        os.utime(path, (0, 0))
    assert list(artifacts.names(3_600)) == [name]
    assert list((tmp_path / "incoming").iterdir()) == []
    abandoned.abort()
