"""Models are their names."""

from typing import Any


def load_model(name: str, device: Any) -> str:
    """The name."""
    print(f"downloading {name} to {device}")  # noqa: T201 - libraries do, and it must not reach the protocol
    return name


def load_config(name: str) -> str:
    """The name."""
    return name
