"""What the contract suite needs to know of an engine, besides its fake."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from aldgate.core.errors import (
    GatewayError,
    UpstreamAuth,
    UpstreamBroken,
    UpstreamError,
    UpstreamInvalid,
    UpstreamLimited,
    UpstreamOverloaded,
    UpstreamTimeout,
    UpstreamUnreachable,
)
from aldgate.core.generation import Generation
from aldgate.engines.section import BUILDERS, Surroundings
from aldgate.making import Engine


class Fake(Protocol):
    fault: str
    works: int
    loads: int
    unloads: int
    stopped: list[str]

    def hold(self) -> None: ...

    def release(self) -> None: ...

    async def until_working(self) -> None: ...


@dataclass(frozen=True)
class Case:
    """One engine.

    Attributes:
        table: Of its fake, the `[engines.NAME]` table without what is the same for all.
        asked: What it can make.
        makes: MIME types of the files that come of `asked`.
        bad: What it cannot make, and the error.
        faults: Its fake's own faults, and the error of each.
        common: Whether the faults of any HTTP server can befall it.
        can_stop: It says that it has stopped.
        unloads: How often its fake is told to unload by one `unload`; 0 where none is told: it has never anything to unload,
            or its process ends.
        can_unload: It gives memory back on demand.
        has_models: It tells its models.
    """

    kind: str
    fake: Callable[[Path], AbstractAsyncContextManager[Any]]
    table: Callable[[Any], Mapping[str, Any]]
    asked: Generation
    makes: tuple[str, ...]
    bad: tuple[tuple[Generation, type[GatewayError]], ...] = ()
    faults: Mapping[str, type[GatewayError]] = field(default_factory=dict)
    common: bool = True
    can_stop: bool = True
    unloads: int = 1
    can_unload: bool = True
    has_models: bool = True

    def build(self, fake: Any, data: Path, **more: Any) -> Engine:
        table = {"kind": self.kind, "request_timeout_s": 5.0, **self.table(fake), **more}
        return BUILDERS.load(self.kind)("mine", table, Surroundings(data=data, environment={}))

    @property
    def all_faults(self) -> dict[str, type[GatewayError]]:
        return {**(COMMON if self.common else {}), **self.faults}


COMMON: dict[str, type[UpstreamError]] = {
    "refuses": UpstreamUnreachable,
    "hangs": UpstreamTimeout,
    "breaks_off": UpstreamBroken,
    "garbage": UpstreamInvalid,
    "not_its_protocol": UpstreamInvalid,
    "huge": UpstreamInvalid,
    "redirects": UpstreamBroken,
    "error_500": UpstreamBroken,
    "unauthorised": UpstreamAuth,
    "limited": UpstreamLimited,
    "overloaded": UpstreamOverloaded,
}
