"""Locks of clients name no index and carry hashes, so that any mirror serves them and nothing else passes."""

import json
from pathlib import Path

import pytest

HERE = Path(__file__).parent


@pytest.mark.parametrize("lock", sorted(HERE.parent.glob("**/*.lock")), ids=lambda lock: lock.stem)
def test_a_lock_of_python_packages(lock: Path) -> None:
    text = lock.read_text()
    assert "://" not in text
    assert text.count("==") <= text.count("--hash=sha256:")


@pytest.mark.parametrize("lock", sorted(HERE.glob("*/package-lock.json")), ids=lambda lock: lock.parent.name)
def test_a_lock_of_node_packages(lock: Path) -> None:
    packages = json.loads(lock.read_text())["packages"]
    assert [name for name, package in packages.items() if "resolved" in package] == []
    assert [name for name, package in packages.items() if name and "integrity" not in package] == []
