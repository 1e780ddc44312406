"""A provider together with all that it was made of, so that a reload makes anew only what has changed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import msgspec

from aldgate.config.files import Stamp, files_named_in, stamp
from aldgate.config.settings import Upstream
from aldgate.core.routes import Origin
from aldgate.providers.section import Provider, Surroundings, build_provider


class Made(msgspec.Struct, frozen=True, eq=False):
    """A provider and what it was made of.

    Attributes:
        read: What it looked up in the environment, and found there: its key, as a rule.
        stamps: The files it read, as they were just before.
    """

    provider: Provider
    table: Mapping[str, Any]
    origin: Origin
    upstream: Upstream
    max_reply_bytes: int
    read: Mapping[str, str | None]
    stamps: Mapping[Path, Stamp | None]

    def is_current(self, table: Mapping[str, Any], origin: Origin, surroundings: Surroundings) -> bool:
        """Whether to make it anew would make the same."""
        return (
            self.table == table
            and self.origin == origin
            and self.upstream == surroundings.upstream
            and self.max_reply_bytes == surroundings.max_reply_bytes
            and all(surroundings.environment.get(name) == value for name, value in self.read.items())
            and self.stamps == _stamps(table, surroundings.upstream)
        )


def make(name: str, table: Mapping[str, Any], origin: Origin, surroundings: Surroundings) -> Made:
    """Make the provider of a table.

    Raises:
        ConfigError: As `build_provider`.
    """
    stamps = _stamps(table, surroundings.upstream)
    noted = _Noted(surroundings.environment)
    provider = build_provider(name, table, origin, msgspec.structs.replace(surroundings, environment=noted))
    return Made(provider, table, origin, surroundings.upstream, surroundings.max_reply_bytes, noted.read, stamps)


def _stamps(table: Mapping[str, Any], upstream: Upstream) -> dict[Path, Stamp | None]:
    usual = {"ca_bundle": upstream.ca_bundle, "client_cert": upstream.client_cert}
    return {path: stamp(path) for path in files_named_in({**usual, **table})}


class _Noted(Mapping[str, str]):
    """An environment that remembers what was asked of it."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._environment = environment
        self.read: dict[str, str | None] = {}

    def __getitem__(self, name: str) -> str:
        self.read[name] = self._environment.get(name)
        return self._environment[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._environment)

    def __len__(self) -> int:
        return len(self._environment)
