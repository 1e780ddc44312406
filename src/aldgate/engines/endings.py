"""How work at an engine ends other than well, in the words that every engine uses for it."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from aldgate.core.errors import UpstreamError, UpstreamOverloaded, UpstreamTimeout

OUT_OF_MEMORY = "out_of_memory"
"""The `upstream_code` of work that did not fit into the device's memory."""
INTERRUPTED = "interrupted"
"""The `upstream_code` of work that somebody else stopped, at the engine itself."""
MOST_REASON = 300


@asynccontextmanager
async def within(name: str, seconds: float, what: str = "The work") -> AsyncGenerator[None]:
    """Let the body take so long.

    Raises:
        UpstreamTimeout: It took longer.
    """
    try:
        async with asyncio.timeout(seconds):
            yield
    except TimeoutError:
        raise UpstreamTimeout(f"{what} at the engine `{name}` took more than {seconds:g} s.") from None


def failed(name: str, reason: str, *, kind: str = "") -> UpstreamError:
    """The error for work that the engine gave up, by its own account.

    Args:
        name: The engine's.
        reason: Its words; the first of them are shown.
        kind: The class of error it named.
    """
    if "outofmemory" in f"{kind} {reason}".replace(" ", "").replace("_", "").lower():
        return UpstreamOverloaded(f"The engine `{name}` has not enough memory for it.", upstream_code=OUT_OF_MEMORY)
    said = " ".join(reason.split())[:MOST_REASON]
    return UpstreamError(f"The engine `{name}` failed: {said or kind or 'it does not say why'}", upstream_code=kind or None)


def interrupted(name: str) -> UpstreamError:
    """The error for work that somebody stopped at the engine itself."""
    return UpstreamError(f"The work was stopped at the engine `{name}` itself.", upstream_code=INTERRUPTED)
