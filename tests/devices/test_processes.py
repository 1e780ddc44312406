"""Processes of this machine: who listens, who descends from whom, who is gone."""

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from aldgate.devices.processes import listening_on, started_at, with_descendants

pytestmark = pytest.mark.skipif(
    not Path("/proc/self/stat").exists(), reason="processes are read from /proc, which only Linux has"
)


def test_who_listens_on_a_port():
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        assert os.getpid() in listening_on(port)
    assert os.getpid() not in listening_on(port)


def test_a_process_and_its_children():
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    try:
        assert {os.getpid(), child.pid} <= with_descendants([os.getpid()])
        assert with_descendants([child.pid]) == {child.pid}
        assert started_at(child.pid) is not None
    finally:
        child.communicate(b"\n")
    assert started_at(child.pid) is None


def test_elsewhere_nothing_is_found(tmp_path: Path):
    assert listening_on(80, tmp_path / "none") == frozenset()
    assert with_descendants([1], tmp_path / "none") == {1}
    assert started_at(1, tmp_path / "none") is None
