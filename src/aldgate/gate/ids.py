"""Ids of calls: `req-` and 24 hex digits that grow with time, so that the ledger's index is appended to and not torn."""

import itertools
import secrets
import time


class CallIds:
    """Makes ids: 32 bits of the second this process began, 32 random bits of its own, and a counter of 32 bits."""

    def __init__(self) -> None:
        self._prefix = f"req-{int(time.time()):08x}{secrets.token_hex(4)}"
        self._numbers = itertools.count(1)

    def __call__(self) -> str:
        """A new id, unique among processes; one process has 4 billion."""
        return f"{self._prefix}{next(self._numbers):08x}"
