"""Tickets to watch one job: for pages, whose WebSockets can bring no header, and which should not hold a key."""

from __future__ import annotations

import hmac
from hashlib import sha256
from math import ceil

from aldgate.core.errors import UnknownKey

GOOD_FOR_S = 3_600
"""From the job's creation until the socket is opened; once open it may stay longer."""
MOST_DIGITS = 12


class Tickets:
    """Makes and checks them.

    Args:
        secret: Signs; whoever has another cannot make any.
    """

    def __init__(self, secret: bytes) -> None:
        self._secret = secret

    def issue(self, job_id: str, now: float) -> str:
        """A ticket for this job, good for `GOOD_FOR_S` from `now` (Unix seconds)."""
        until = str(ceil(now) + GOOD_FOR_S)
        return f"{until}.{self._seal(job_id, until)}"

    def check(self, job_id: str, ticket: str, now: float) -> None:
        """See that a ticket was made here for this job, and is still good.

        Raises:
            UnknownKey: It was not, or has expired.
        """
        until, _, seal = ticket.partition(".")
        is_ours = hmac.compare_digest(self._seal(job_id, until).encode(), seal.encode())
        if not is_ours or len(until) > MOST_DIGITS or int(until) <= now:  # what was signed here is a number
            raise UnknownKey("This ticket has expired, or is not for this job.")

    def _seal(self, job_id: str, until: str) -> str:
        return hmac.digest(self._secret, f"watch\n{job_id}\n{until}".encode(), sha256).hex()
