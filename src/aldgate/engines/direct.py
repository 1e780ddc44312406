"""What those engines have in common whose work is one request, and ends when nobody waits for its reply any more."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from aldgate.core.errors import NotSupported, UpstreamBroken, UpstreamError
from aldgate.core.generation import Generated, Generation, Recovery
from aldgate.core.levels import Operation
from aldgate.engines.endings import OUT_OF_MEMORY, failed, within
from aldgate.engines.http import EngineHttp
from aldgate.engines.section import EngineSection
from aldgate.making import Run

_NO_ROOM = 507
"""Insufficient Storage: how some servers say that memory ran out."""


class DirectSection(EngineSection, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What the table of such an engine may have besides."""

    ends_with_connection: bool = True
    """It gives up what nobody waits for any more. Where it does not, an attempt whose worker is gone is waited out."""


class Direct:
    """The half of an `Engine` that is the same for all of them.

    Args:
        name: As configured.
        section: Its table.
        http: Where it is.
    """

    kind = ""
    operations: frozenset[Operation] = frozenset()

    def __init__(self, name: str, section: DirectSection, http: EngineHttp) -> None:
        self.name = name
        self.recovery: Recovery = "cancel" if section.ends_with_connection else "wait"
        self._http = http
        self._run_timeout_s = section.run_timeout_s

    async def adopt(self, handle: str, asked: Generation, run: Run) -> Generated | None:
        """See `Engine`. A reply has nobody else who could collect it."""
        return None

    async def stop(self, handle: str) -> None:
        """See `Engine`. The connection is closed when the task in `generate` has been cancelled, or its worker has died."""
        if self.recovery == "wait":
            raise UpstreamError(f"The engine `{self.name}` cannot be told to stop.")

    async def unload(self, model: str = "") -> None:
        """See `Engine`."""
        raise NotSupported(f"The engine `{self.name}` cannot be told to give its memory back; its process can be stopped.")

    async def aclose(self) -> None:
        """See `Engine`."""
        await self._http.aclose()

    @asynccontextmanager
    async def _working(self) -> AsyncGenerator[None]:
        """Let the body wait for the work itself: so long as a job may take, and with a word for memory that ran out.

        Raises:
            UpstreamTimeout: It took longer.
            UpstreamOverloaded: The engine had not enough memory.
        """
        try:
            async with within(self.name, self._run_timeout_s):
                yield
        except UpstreamBroken as error:
            if error.upstream_status is None:
                raise
            kind = OUT_OF_MEMORY if error.upstream_status == _NO_ROOM else ""
            told = failed(self.name, error.message, kind=kind)
            raise (told if told.upstream_code == OUT_OF_MEMORY else error) from error
