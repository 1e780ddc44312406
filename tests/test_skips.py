"""A skipped test is named at the end, and fails the run with CI=true."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

SUITE = """
import pytest

@pytest.mark.skip(reason="no such service here")
@pytest.mark.parametrize("n", [1, 2])
def test_skipped(n): ...

def test_passes(): ...
"""


@pytest.mark.parametrize("workers", [[], ["-p", "xdist.plugin", "--numprocesses=2"]], ids=["one process", "two processes"])
@pytest.mark.parametrize(("ci", "code", "named"), [("", 0, False), ("false", 0, False), ("true", 1, True)])
def test_skips(tmp_path: Path, ci: str, code: int, named: bool, workers: list[str]) -> None:
    shutil.copy(Path(__file__).with_name("skips.py"), tmp_path / "conftest.py")
    (tmp_path / "test_suite.py").write_text(SUITE)
    options = ["-q", "-p", "no:cacheprovider", *workers, "--rootdir", str(tmp_path)]
    command = [sys.executable, "-m", "pytest", *options, str(tmp_path)]
    run = subprocess.run(
        command, cwd=tmp_path, env={**os.environ, "CI": ci, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}, capture_output=True, text=True
    )
    assert run.returncode == code, run.stdout
    assert "    2 no such service here" in run.stdout
    assert ("SKIPPED test_suite.py::test_skipped[1]" in run.stdout) is named
