"""What `make setup` does where python3 is no more than python3: scripts/venv.sh and scripts/pip.py."""

import hashlib
import importlib.util
import os
import shutil
import socket
import ssl
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import ModuleType

import pytest
import trustme

SCRIPTS = Path(__file__).parents[1] / "scripts"
CONTENT = b"a wheel"


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None: ...


@contextmanager
def index(folder: Path) -> Iterator[str]:
    """The URL of an index that has what is in `folder`."""
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(folder))) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/simple"
        finally:
            server.shutdown()
            thread.join()


def holding(folder: Path, name: str, content: bytes) -> Path:
    """A folder with one file of pip, listed as indexes list it: by a relative address, its hash behind."""
    (folder / "simple/pip").mkdir(parents=True)
    (folder / "simple/pip/index.html").write_text(f'<a href="../../files/{name}#sha256=00" data-x="y">{name}</a><br/>')
    (folder / "files").mkdir()
    (folder / "files" / name).write_bytes(content)
    return folder


@pytest.fixture
def pip(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """scripts/pip.py, which expects CONTENT and finds no configuration of this machine's."""
    specification = importlib.util.spec_from_file_location("fetch_pip", SCRIPTS / "pip.py")
    assert specification is not None and specification.loader is not None
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    monkeypatch.setattr(module, "SHA256", hashlib.sha256(CONTENT).hexdigest())
    monkeypatch.setattr(module, "CONFIGURATION", ())
    for name in ("PIP_CERT", "PIP_INDEX_URL", "PIP_CONFIG_FILE"):
        monkeypatch.delenv(name, raising=False)
    return module


def test_the_expected_wheel_is_taken(pip: ModuleType, tmp_path: Path) -> None:
    with index(holding(tmp_path, pip.WHEEL, CONTENT)) as url:
        assert pip.wheel(url) == pip.wheel(f"{url}/") == CONTENT


def test_another_wheel_under_its_name_is_refused(pip: ModuleType, tmp_path: Path) -> None:
    with index(holding(tmp_path, pip.WHEEL, CONTENT + b"!")) as url, pytest.raises(ValueError, match="not the one"):
        pip.wheel(url)


def test_an_index_without_the_wheel(pip: ModuleType, tmp_path: Path) -> None:
    with index(holding(tmp_path, "pip-9.0.3-py2.py3-none-any.whl", CONTENT)) as url, pytest.raises(ValueError, match="has no"):
        pip.wheel(url)


def test_an_index_that_does_not_answer(pip: ModuleType) -> None:
    with socket.socket() as unheard:
        unheard.bind(("127.0.0.1", 0))
        with pytest.raises(OSError):
            pip.wheel(f"http://127.0.0.1:{unheard.getsockname()[1]}/simple")


def test_pips_own_configuration_counts(pip: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert pip.setting("index-url") == ""
    (tmp_path / "pip.conf").write_text("[global]\nindex-url = http://there/%7Ex/simple\n")
    monkeypatch.setenv("PIP_CONFIG_FILE", str(tmp_path / "pip.conf"))
    assert pip.setting("index-url") == "http://there/%7Ex/simple"
    monkeypatch.setenv("PIP_INDEX_URL", "http://elsewhere/simple")
    assert pip.setting("index-url") == "http://elsewhere/simple"


def test_certificates_are_verified_where_there_are_authorities(
    pip: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "none").mkdir()
    monkeypatch.setenv("SSL_CERT_DIR", str(tmp_path / "none"))
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))
    assert pip.tls().verify_mode is ssl.CERT_NONE
    trustme.CA().cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    assert pip.tls().verify_mode is ssl.CERT_REQUIRED
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "missing.pem"))
    monkeypatch.setenv("PIP_CERT", str(tmp_path / "ca.pem"))
    assert pip.tls().verify_mode is ssl.CERT_REQUIRED


def test_a_python_without_ensurepip_and_an_index_without_pip_is_one_error(tmp_path: Path) -> None:
    home = tmp_path / "a home"
    shutil.copytree(SCRIPTS, home / "scripts")
    python = tmp_path / "python3"
    python.write_text(f'#!/bin/sh\n[ "$*" = "-m venv .venv" ] && exit 1\nexec "{sys.executable}" "$@"\n')
    python.chmod(0o755)
    (tmp_path / "empty").mkdir()
    with index(tmp_path / "empty") as url:
        run = subprocess.run(
            [home / "scripts/venv.sh", python], env={**os.environ, "PIP_INDEX_URL": url}, capture_output=True, text=True
        )
    assert run.returncode == 1 and not (home / ".venv").exists()
    assert run.stderr.splitlines() == [
        "pip cannot be fetched: HTTP Error 404: File not found",
        f"error: `{python}` cannot make a virtual environment by itself",
        "hint: install what it lacks (Debian: apt-get install python3-venv) and run make again",
    ]
