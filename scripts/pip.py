#!/usr/bin/env python3
"""Puts pip into a virtual environment that was made without: `pip.py .venv`. Debian's python3 has no `ensurepip`.

The wheel comes from the index that pip would use, and must have the hash below.
"""

import hashlib
import os
import re
import ssl
import subprocess
import sys
import tempfile
from configparser import ConfigParser
from http.client import HTTPException
from pathlib import Path
from urllib.parse import urljoin
from urllib.request import Request, urlopen

WHEEL = "pip-26.3-py3-none-any.whl"
SHA256 = "f3b60b20ffaadd4415ed7957212a38ac63fa4c5fa375bd0f4a797777940fad13"
TIMEOUT_S = 60
CONFIGURATION = ("/etc/pip.conf", "~/.pip/pip.conf", "~/.config/pip/pip.conf")
"""Later ones win: https://pip.pypa.io/en/stable/topics/configuration/#location."""


def setting(name: str) -> str:
    """What pip's own configuration says about `name`; empty if nothing."""
    parser = ConfigParser(interpolation=None, strict=False)
    parser.read([*map(os.path.expanduser, CONFIGURATION), os.environ.get("PIP_CONFIG_FILE", "")])
    return os.environ.get(f"PIP_{name.upper().replace('-', '_')}") or parser.get("global", name, fallback="")


def tls() -> ssl.SSLContext:
    """Verifies, unless this machine knows no authority: Debian's `ca-certificates` is optional, and the hash decides anyway."""
    if bundle := setting("cert"):
        return ssl.create_default_context(cafile=bundle)
    paths = ssl.get_default_verify_paths()
    context = ssl.create_default_context()
    if not paths.cafile and not (paths.capath and any(Path(paths.capath).iterdir())):
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context


def read(url: str) -> bytes:
    """What an index has at `url`."""
    with urlopen(Request(url, headers={"Accept": "text/html"}), timeout=TIMEOUT_S, context=tls()) as reply:
        return reply.read()


def wheel(index: str) -> bytes:
    """The wheel of pip that this file names.

    Raises:
        OSError: The index cannot be reached.
        ValueError: It has no such wheel, or another one under that name.
    """
    page = f"{index.rstrip('/')}/pip/"
    found = re.search(rf'href="([^"#]*{re.escape(WHEEL)})[#"]', read(page).decode())
    if found is None:
        raise ValueError(f"{page} has no {WHEEL}")
    content = read(urljoin(page, found[1]))
    if hashlib.sha256(content).hexdigest() != SHA256:
        raise ValueError(f"{WHEEL} from {page} is not the one that is expected")
    return content


def main(environment: Path) -> None:
    """Install pip into `environment`."""
    try:
        content = wheel(setting("index-url") or "https://pypi.org/simple")
    except (OSError, ValueError, HTTPException) as error:
        sys.exit(f"pip cannot be fetched: {error}")
    with tempfile.TemporaryDirectory() as home:
        file = Path(home, WHEEL)
        file.write_bytes(content)
        command = [environment / "bin/python", file / "pip", "install", "--quiet", "--no-index", "--no-cache-dir", file]
        sys.exit(subprocess.run(command).returncode)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
