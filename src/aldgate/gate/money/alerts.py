"""Tells the operator that budgets are being spent: in the log, and by POST to one URL, signed.

Each alert is given once per budget, threshold and period, whichever process is first to see that it is due. A call never waits
for any of this: what is looked at is what was reported to the database.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import logging
import time
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime
from urllib.parse import urlsplit

import msgspec

from aldgate.core.alerts import Alert
from aldgate.core.errors import GatewayError
from aldgate.sharing import BudgetAuthority
from aldgate.storage import SliceRequest
from aldgate.upstream.pool import Pool

log = logging.getLogger("aldgate.alerts")

LOOK_S = 1.0
MOST_WAITING = 1_000
TRIES = 5
TRY_S = 10.0
"""For one try, from connecting to the last byte of the answer."""

Wait = Callable[[asyncio.Event, float], Awaitable[None]]


class Mailbox:
    """Where alerts are sent.

    Args:
        url: As the operator wrote it. What it answers leads nowhere else: redirects are not followed.
        secret: Signs them.
        pool: Connections to the URL's origin.
        now: Unix seconds.
    """

    def __init__(self, url: str, secret: str, pool: Pool, now: Callable[[], float] = time.time) -> None:
        parts = urlsplit(url)
        self._target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        self._secret = secret.encode()
        self._pool = pool
        self._now = now

    async def send(self, alert: Alert) -> int:
        """Send it once; returns the answer's status.

        Raises:
            GatewayError: There was none.
            TimeoutError: It did not come in time.
        """
        body = msgspec.json.encode(written(alert))
        stamp = str(int(self._now()))
        lines = [
            f"POST {self._target} HTTP/1.1",
            f"Host: {self._pool.origin.host_header}",
            "Content-Type: application/json",
            f"Content-Length: {len(body)}",
            f"Aldgate-Timestamp: {stamp}",
            f"Aldgate-Signature: v1={signature(self._secret, stamp, body)}",
            "",
            "",
        ]
        async with asyncio.timeout(TRY_S):
            reply = await self._pool.request("\r\n".join(lines).encode("ascii"), body)
            try:
                await reply.read()
            finally:
                reply.close()
        return reply.status

    async def aclose(self) -> None:
        """Close its connections."""
        await self._pool.aclose()


def signature(secret: bytes, stamp: str, body: bytes) -> str:
    """HMAC-SHA256 over timestamp, a dot and the body, in hex: whoever has the secret can check what came, and how old it is."""
    return hmac.new(secret, stamp.encode() + b"." + body, hashlib.sha256).hexdigest()


def written(alert: Alert) -> dict[str, object]:
    """The alert as JSON has it."""
    at = datetime.fromtimestamp(alert.at, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
    return {"type": "budget.alert", "id": alert.id, **msgspec.structs.asdict(alert), "at": at}


class Alerts:
    """Sees which budgets this process has spent from, and what is to be told of them.

    Args:
        store: Knows what all processes have spent, and who was told.
        percents: Of a budget, when to tell; empty: never.
        mailbox: Where to send alerts besides the log.
        now: Unix seconds.
        wait: Waits for an event, at most so many seconds.
    """

    def __init__(
        self,
        store: BudgetAuthority,
        percents: Sequence[int],
        mailbox: Mailbox | None,
        *,
        now: Callable[[], float],
        wait: Wait,
    ) -> None:
        self._store = store
        self._percents = percents
        self._mailbox = mailbox
        self._now = now
        self._wait = wait
        self._touched: set[tuple[str, str]] = set()
        self._waiting: deque[Alert] = deque()
        self._has_some = asyncio.Event()

    def noting(self, reports: Sequence[SliceRequest]) -> Sequence[SliceRequest]:
        """Note whose budgets are being reported on, and pass the reports on."""
        if self._percents:
            self._touched.update((report.account, report.period) for report in reports)
        return reports

    async def run(self) -> None:
        """Look and tell, until cancelled."""
        await asyncio.gather(self._looking(), self._telling())

    async def aclose(self) -> None:
        """Close what is connected. What waits to be sent is in the log."""
        if self._mailbox is not None:
            await self._mailbox.aclose()

    async def _looking(self) -> None:
        while True:
            await self._wait(asyncio.Event(), LOOK_S)
            try:
                await self.look()
            except GatewayError as error:
                log.warning("it is not known which budgets are being spent", exc_info=error)

    async def look(self) -> None:
        """Take what is due, log it, and put it where it waits to be sent.

        Raises:
            StoreUnavailable: The database did not answer; the same is looked at next time.
        """
        if not self._touched:
            return
        names = sorted(self._touched)
        alerts = await self._store.claim_alerts(names, self._percents, self._now())
        self._touched.difference_update(names)
        for alert in alerts:
            log.warning("a budget has come to %d %% of its limit", alert.percent, extra=_told(alert))
            if self._mailbox is not None:
                self._put(alert)

    def _put(self, alert: Alert) -> None:
        if len(self._waiting) >= MOST_WAITING:
            log.error("an alert is not sent: too many wait already", extra=_told(alert))
            return
        self._waiting.append(alert)
        self._has_some.set()

    async def _telling(self) -> None:
        while True:
            await self._has_some.wait()
            while self._waiting:
                await self._deliver(self._waiting.popleft())
            self._has_some.clear()

    async def _deliver(self, alert: Alert) -> None:
        """Send it, a few times if need be; longer and longer apart."""
        assert self._mailbox is not None
        for attempt in range(TRIES):
            if attempt:
                await self._wait(asyncio.Event(), 2.0 ** (attempt - 1))
            try:
                status = await self._mailbox.send(alert)
            except (GatewayError, TimeoutError) as error:
                log.warning("an alert could not be sent", extra={"id": alert.id, "attempt": attempt + 1}, exc_info=error)
                continue
            if 200 <= status < 300:
                return
            log.warning("an alert was not taken", extra={"id": alert.id, "attempt": attempt + 1, "status": status})
        log.error("an alert was given up", extra=_told(alert))


def _told(alert: Alert) -> dict[str, object]:
    return {
        "account": alert.account,
        "period": alert.period,
        "limit_microusd": alert.limit_microusd,
        "spent_microusd": alert.spent_microusd,
    }
