"""Who rests: a deployment that keeps failing, behind a circuit breaker, and a credential that was refused or is at its limit.

https://martinfowler.com/bliki/CircuitBreaker.html
"""

from typing import Literal

import msgspec

FAILURES = 5
"""Failures in a row that open a breaker."""
FIRST_REST_S = 5.0
LONGEST_REST_S = 120.0
"""Each failed probe doubles the rest, up to this."""
LONGEST_COOLDOWN_S = 300.0
CREDENTIAL_REST_S = 60.0
"""How long a provider rests that refused our credential or says that our account is empty."""

BreakerState = Literal["closed", "open", "half-open"]


class Breaker(msgspec.Struct):
    """What lately became of one deployment. Times are monotonic seconds.

    Attributes:
        failures: In a row.
        openings: In a row, without a success between them.
        open_until: It rests until then; 0 while closed.
        cooled_until: It asked us to come back then.
        is_probing: A probe is under way, and no other is made beside it.
    """

    failures: int = 0
    openings: int = 0
    open_until: float = 0.0
    cooled_until: float = 0.0
    is_probing: bool = False

    def state(self, now: float) -> BreakerState:
        """`open` while it rests, `half-open` once it may be asked one thing."""
        if not self.open_until:
            return "closed"
        return "open" if now < self.open_until or self.is_probing else "half-open"

    def rest_s(self, now: float) -> float:
        """Seconds until it may be asked again; 0 if it may now. While a probe is under way, nobody knows, and it is 1."""
        wait = max(0.0, self.open_until - now, self.cooled_until - now)
        return wait or (1.0 if self.is_probing else 0.0)

    def begin(self) -> bool:
        """Something is asked now. True: it is a probe, which `succeeded`, `failed` or `gave_up` ends."""
        if not self.open_until or self.is_probing:
            return False
        self.is_probing = True
        return True

    def began(self) -> None:
        """It began to answer: it may be asked again, but one more failure is one too many until an answer is complete."""
        self.failures = min(self.failures, FAILURES - 1)
        self.open_until = self.cooled_until = 0.0
        self.is_probing = False

    def succeeded(self) -> None:
        """It answered: all is forgotten."""
        self.failures = self.openings = 0
        self.open_until = self.cooled_until = 0.0
        self.is_probing = False

    def gave_up(self) -> None:
        """A probe ended in a way that says nothing: the caller left, or asked what it cannot do."""
        self.is_probing = False

    def failed(self, now: float) -> None:
        """It failed. Enough of that, or a failed probe, and it rests."""
        self.failures += 1
        self.is_probing = False
        if self.failures >= FAILURES or (self.open_until and now >= self.open_until):
            self.open_until = now + min(LONGEST_REST_S, FIRST_REST_S * 2.0 ** min(self.openings, 16))
            self.openings += 1

    def cool(self, now: float, seconds: float) -> None:
        """It asked to be left alone for so long."""
        self.is_probing = False
        self.cooled_until = max(self.cooled_until, now + min(seconds, LONGEST_COOLDOWN_S))


class Cooldown(msgspec.Struct):
    """The rest of a credential, and so of every deployment that it serves. Times are monotonic seconds.

    Attributes:
        since: It was told off last.
        until: It rests until then.
        is_refused: It was refused, or its account is empty: no other model will take it. Else it is at a limit, or was kept
            from one thing, and another model may still answer.
    """

    since: float
    until: float
    is_refused: bool

    def rest_s(self, now: float) -> float:
        """Seconds until it should be used again; 0 if it may be now."""
        return max(0.0, self.until - now)

    def extend(self, now: float, seconds: float, *, is_refused: bool) -> None:
        """It was told off once more."""
        self.since = now
        self.until = max(self.until, now + min(seconds, LONGEST_COOLDOWN_S))
        self.is_refused = is_refused

    def is_disproved_by(self, asked_at: float) -> bool:
        """Whether a good answer to what was asked then shows that the credential is good again."""
        return asked_at >= self.since
