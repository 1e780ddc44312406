"""What is kept for callers: replies to calls with an idempotency key, and responses that can be continued."""

import msgspec


class SavedReply(msgspec.Struct, frozen=True):
    """A finished reply kept for an idempotency key. `headers` are as they were sent."""

    status: int
    headers: tuple[tuple[bytes, bytes], ...]
    body: bytes


class IdempotencyRecord(msgspec.Struct, frozen=True):
    """What is known of an idempotency key: whose body it came with, and the reply once there is one."""

    fingerprint: bytes
    reply: SavedReply | None
    incarnation: str
    """The process that began it; a record without a reply from a process that is gone is a call of unknown fate."""


class KeptResponse(msgspec.Struct, frozen=True):
    """A response that is kept for its caller. Times in Unix seconds.

    Attributes:
        previous_id: The response that it continued.
        expires_at: It cannot be fetched from then on, though what continues it still can be.
        status: As in its body.
        incarnation: The process that makes or made it.
        input: What was asked, beyond what it continued: JSON, a string or a list of items.
        body: JSON, as the caller got it.
        warnings: What was left out of the request, as the header `x-aldgate-warnings` says it.
        lease_s: While it is being made in the background: in how many seconds it is given up unless its process holds it
            longer; below 0, it was given up.
    """

    id: str
    previous_id: str | None
    created_at: float
    expires_at: float
    status: str
    incarnation: str
    input: bytes
    body: bytes
    warnings: str = ""
    lease_s: float | None = None
