"""Real database servers for tests, each in a temporary directory of its own."""

import os
import pwd
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path
from typing import Any

import pytest

NewUrl = Callable[[], str]


def postgres_binaries() -> Path | None:
    """Where `initdb` and `postgres` are: on the path, or where Debian keeps them."""
    found = shutil.which("initdb")
    if found:
        return Path(found).resolve().parent
    versions = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: float(path.parts[-3]))
    return versions[-1].parent if versions else None


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def postgres_server(*, is_durable: bool = False) -> Iterator[NewUrl]:
    """URLs of empty databases on a server of its own.

    Args:
        is_durable: A commit waits for the disk, as it does by default; tests need not.
    """
    binaries = postgres_binaries()
    if binaries is None:
        pytest.skip("PostgreSQL is not installed: no `initdb` on the path or in /usr/lib/postgresql/*/bin")
    owner: dict[str, Any] = {}
    if os.geteuid() == 0:  # the server refuses to run as root
        if "postgres" not in (user.pw_name for user in pwd.getpwall()):
            pytest.skip("PostgreSQL does not run as root, and there is no user `postgres`")
        owner = {"user": "postgres", "group": "postgres", "extra_groups": ()}
    home = tempfile.mkdtemp(prefix="aldgate-postgres-")
    if owner:
        shutil.chown(home, owner["user"])

    def run(program: str, *arguments: str) -> None:
        output = subprocess.DEVNULL  # a pipe would be inherited by the server and never end
        subprocess.run([binaries / program, *arguments], check=True, cwd=home, stdout=output, stderr=output, **owner)

    port, data = str(free_port()), f"{home}/data"
    try:
        run("initdb", "-D", data, "-U", "postgres", "-A", "trust", "-E", "UTF8", "--no-sync")
        options = f"-k {home} -p {port} -c listen_addresses=127.0.0.1 -c fsync=off -c max_connections=200"
        run("pg_ctl", "-w", "-D", data, "-l", f"{home}/log", "-o", options, "start")
        numbers = count()

        def new_url() -> str:
            name = f"test{next(numbers)}"
            run("createdb", "-h", "127.0.0.1", "-p", port, "-U", "postgres", name)
            return f"postgresql://postgres@127.0.0.1:{port}/{name}"

        yield new_url
    finally:
        if Path(data, "postmaster.pid").exists():
            run("pg_ctl", "-D", data, "-m", "immediate", "stop")
        shutil.rmtree(home)


def sqlite_files() -> Iterator[NewUrl]:
    with tempfile.TemporaryDirectory(prefix="aldgate-sqlite-") as home:
        numbers = count()
        yield lambda: f"sqlite:///{home}/test{next(numbers)}.db"
