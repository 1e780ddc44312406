"""Libraries that only who makes media pays for."""

from __future__ import annotations

from importlib import import_module
from importlib.util import find_spec
from typing import Any


def is_there(name: str) -> bool:
    """Whether a library is installed. It is not loaded."""
    return find_spec(name) is not None


def library(name: str) -> Any:
    """A library whose types say nothing, or not enough; loaded when it is first used."""
    return import_module(name)
