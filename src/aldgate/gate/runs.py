"""What a call's run comes to."""

import msgspec

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
