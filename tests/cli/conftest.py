"""Fixtures of the command line's tests."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from aldgate.cli.main import run
from tests.cli.loopback_gate import KEY, Aldgate, LoopbackGate, Result


@pytest.fixture
def gate() -> Iterator[LoopbackGate]:
    with LoopbackGate() as running:
        yield running


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working directory and an environment without settings."""
    for name in [name for name in os.environ if name.startswith("ALDGATE_") or name in ("LOG_LEVEL", "DATABASE_URL", "API_PORT")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def aldgate(home: Path, gate: LoopbackGate, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Aldgate:
    """Runs a command against `gate` with the admin key."""
    monkeypatch.setenv("ALDGATE_URL", gate.url)
    monkeypatch.setenv("ALDGATE_ADMIN_KEY", KEY)

    def command(*arguments: str) -> Result:
        code = run(arguments)
        captured = capsys.readouterr()
        return Result(code, captured.out, captured.err)

    return command
