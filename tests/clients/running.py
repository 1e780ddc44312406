"""Clients in processes of their own, bounded in time and kept off the network."""

from __future__ import annotations

import asyncio
import os
import signal
from pathlib import Path

OFFLINE = {"NO_PROXY": "127.0.0.1", "HTTP_PROXY": "http://127.0.0.1:9", "HTTPS_PROXY": "http://127.0.0.1:9"}
"""Nothing listens there: whatever a client would ask of anyone but the gate, it does not get."""


async def run(*command: str, timeout_s: float = 120, cwd: Path | None = None, **environment: str) -> tuple[int, str]:
    """The exit status and what was written; it and all that it started are killed after `timeout_s`.

    It sees no environment but this one and the search path.
    """
    process = await asyncio.create_subprocess_exec(
        *command,
        cwd=cwd,
        env={"PATH": os.environ.get("PATH", ""), **OFFLINE, **environment},
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        start_new_session=True,
    )
    try:
        output, _ = await asyncio.wait_for(process.communicate(), timeout_s)
    except TimeoutError:
        os.killpg(process.pid, signal.SIGKILL)
        await process.wait()
        raise
    return process.returncode or 0, output.decode(errors="replace")
