"""Credentials that a program of the operator's prints: `credential_process` of a profile.

https://docs.aws.amazon.com/sdkref/latest/guide/feature-process-credentials.html
"""

from __future__ import annotations

import asyncio
import math
import shlex
from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from aldgate.providers.bedrock.lent import Lent, refused, usable
from aldgate.providers.bedrock.signature import Credentials
from aldgate.upstream.pool import Pool

_WHO = "The profile's credential_process"
_PATIENCE_S = 60.0


class _Printed(msgspec.Struct, rename="pascal"):
    version: Literal[1]
    access_key_id: str
    secret_access_key: str
    session_token: str = ""
    expiration: Annotated[datetime, Meta(tz=True)] | None = None


_printed = msgspec.json.Decoder(_Printed)


class Process:
    """Implements `lent.Lender`: runs the program, by no shell, whenever there is need.

    What it complains of stands in the gate's log.

    Args:
        command: The program and its arguments, quoted as a shell has it.
    """

    pools: Sequence[Pool] = ()

    def __init__(self, command: str) -> None:
        self._command = command

    async def lend(self) -> Lent:
        """See `lent.Lender`. Credentials without an end hold until AWS says otherwise."""
        try:
            said = _printed.decode(await self._run())
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            raise refused(_WHO, "what it prints is none") from None
        if not usable(said.access_key_id, said.secret_access_key) or (said.session_token and not usable(said.session_token)):
            raise refused(_WHO, "what it prints is none")
        until = math.inf if said.expiration is None else said.expiration.timestamp()
        return Lent(Credentials(said.access_key_id, said.secret_access_key, said.session_token), until)

    async def _run(self) -> bytes:
        try:
            words = shlex.split(self._command)
            running = await asyncio.create_subprocess_exec(
                *words, stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE
            )
        except (OSError, ValueError, TypeError) as error:
            raise refused(_WHO, f"it cannot be run ({type(error).__name__})") from None
        try:
            printed, _ = await asyncio.wait_for(running.communicate(), _PATIENCE_S)
        except TimeoutError:
            raise refused(_WHO, f"it does not end within {_PATIENCE_S:.0f} s") from None
        finally:
            if running.returncode is None:
                running.kill()
                await running.wait()
        if running.returncode:
            raise refused(_WHO, f"it ended with {running.returncode}")
        return printed
