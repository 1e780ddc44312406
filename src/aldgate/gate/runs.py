"""What a call's run comes to, and runs that are being streamed."""

import asyncio
from collections.abc import Callable
from typing import Any

import msgspec

from aldgate.core.calls import Admission
from aldgate.core.errors import GatewayError
from aldgate.core.principals import Principal
from aldgate.ports import Exchange, Relay


class Run(msgspec.Struct):
    """A reply that has begun well.

    Attributes:
        first: The whole body for the caller, or a stream's first events.
        exchange: Where the rest of a stream comes from; closed already after a whole reply.
        first_byte_s: Seconds from the call's begin to the reply's first byte.
        warnings: Names of request fields that the provider could not be told.
        attempts: How many were made.
    """

    exchange: Exchange
    relay: Relay
    first: bytes
    first_byte_s: float
    warnings: list[str]
    attempts: int = 1


class OpenStream(msgspec.Struct):
    """A call that is being streamed.

    Attributes:
        task: To be cancelled to end it.
        check_place: Raises if a principal may not call from where this was called; None: it was nowhere.
        expires_at: Unix seconds at which it ends; None: never.
        relay: Follows what it has come to, once a reply has begun.
    """

    admission: Admission
    task: asyncio.Task[Any]
    check_place: Callable[[Principal], None] | None
    expires_at: float | None
    relay: Relay | None = None

    @property
    def delivered(self) -> int:
        """Output tokens it has come to, by our own count."""
        return 0 if self.relay is None else self.relay.delivered

    def cut(self, error: GatewayError) -> None:
        """End it, with this as its last word."""
        if self.admission.cut is None:
            self.admission.cut = error
            self.task.cancel()
