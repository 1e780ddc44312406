"""Engines with their fakes, for tests of one kind."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, TypeVar

from aldgate.engines.section import BUILDERS, Surroundings
from aldgate.testing.engines.server import FakeEngine

F = TypeVar("F", bound=FakeEngine)


def built(kind: str, table: dict[str, Any], data: Path = Path("nowhere"), environment: dict[str, str] | None = None) -> Any:
    return BUILDERS.load(kind)("mine", table, Surroundings(data=data, environment=environment or {}))


@asynccontextmanager
async def engine_at(fake: F, kind: str, **table: Any) -> AsyncIterator[tuple[Any, F]]:
    async with fake:
        engine = built(kind, {"base_url": fake.url, **table})
        try:
            yield engine, fake
        finally:
            await engine.aclose()
