"""Ids of calls: `req-` and 24 hex digits that grow with time, so that the ledger's index is appended to and not torn."""

import secrets
import time


class CallIds:
    """Makes ids: 48 bits of milliseconds, 24 bits that are this process's own, 24 bits of a counter."""

    def __init__(self) -> None:
        self._process = secrets.randbits(24) << 24
        self._next = 0

    def __call__(self) -> str:
        """A new id, unique among processes up to 16 million calls a millisecond."""
        self._next = (self._next + 1) & 0xFFFFFF
        return f"req-{(int(time.time() * 1000) << 48) | self._process | self._next:024x}"
