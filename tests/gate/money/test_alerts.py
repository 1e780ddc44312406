"""Alerts of budgets: in the log and by POST, each once, signed, tried a few times."""

import asyncio
import hashlib
import hmac
import json
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from aldgate.config.errors import ConfigError
from aldgate.core.alerts import Alert
from aldgate.gate.money.alerts import TRIES, Alerts, Mailbox
from aldgate.storage import SliceRequest
from aldgate.upstream.pool import Origin, Pool
from tests.faults.lab import HELLO, running_lab, within

pytestmark = pytest.mark.anyio
SECRET = "alerts-0123456789-abcdefghij-KLMNOP"
CENT = '[prices."lab/gpt-4.1"]\nrequest = "0.01"\n'


class Receiver:
    """Takes what is posted, and answers with the statuses it was given, then with 204."""

    def __init__(self, *statuses: int) -> None:
        self.statuses = list(statuses)
        self.taken: asyncio.Queue[tuple[str, dict[str, str], bytes]] = asyncio.Queue()
        self.url = ""

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        first, *lines = head.splitlines()
        headers = dict(line.lower().split(": ", 1) for line in lines if line)
        body = await reader.readexactly(int(headers["content-length"]))
        status = self.statuses.pop(0) if self.statuses else 204
        self.taken.put_nowait((first, headers, body))
        more = "Location: http://127.0.0.1:1/elsewhere\r\n" if status == 302 else ""
        writer.write(f"HTTP/1.1 {status} X\r\nContent-Length: 0\r\nConnection: close\r\n{more}\r\n".encode())
        writer.close()
        await writer.wait_closed()


@asynccontextmanager
async def receiving(*statuses: int) -> AsyncIterator[Receiver]:
    receiver = Receiver(*statuses)
    server = await asyncio.start_server(receiver.serve, "127.0.0.1", 0)
    receiver.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/hooks/budgets?team=1"
    async with server:
        yield receiver


def is_signed(headers: dict[str, str], body: bytes) -> bool:
    signed = headers["aldgate-timestamp"].encode() + b"." + body
    return headers["aldgate-signature"] == "v1=" + hmac.new(SECRET.encode(), signed, hashlib.sha256).hexdigest()


class Due:
    """A store in which these alerts are due."""

    def __init__(self, *alerts: Alert) -> None:
        self.alerts = list(alerts)

    async def claim_alerts(self, names: Any, percents: Any, now: float) -> list[Alert]:
        due, self.alerts = self.alerts, []
        return due


class Waits:
    """Waits for nothing, and notes for how long it should have."""

    def __init__(self) -> None:
        self.pauses: list[float] = []

    async def __call__(self, event: asyncio.Event, seconds: float) -> None:
        self.pauses.append(seconds)
        await asyncio.sleep(0)


def alert(percent: int = 80) -> Alert:
    return Alert("key-1", "2026-11", percent, 1_000_000, 850_000, 1_790_000_000.0)


async def told(receiver: Receiver, *alerts: Alert, count: int) -> tuple[list[tuple[str, dict[str, str], bytes]], list[float]]:
    origin = Origin.of(receiver.url.partition("/hooks")[0])
    mailbox = Mailbox(receiver.url, SECRET, Pool(origin))
    waits = Waits()
    teller = Alerts(Due(*alerts), (50, 80, 100), mailbox, now=lambda: 0.0, wait=waits)  # pyright: ignore[reportArgumentType]
    teller.noting([SliceRequest("key-1", "2026-11", 1_000_000, 0, 0, 0, 0)])
    running = asyncio.create_task(teller.run())
    try:
        return [await within(5, receiver.taken.get()) for _ in range(count)], [each for each in waits.pauses if each >= 2]
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        await teller.aclose()
        for _ in range(3):  # until the loop has closed what was let go of
            await asyncio.sleep(0)


async def test_it_is_signed_and_says_whose_budget_it_is() -> None:
    async with receiving() as receiver:
        ((first, headers, body),), _ = await told(receiver, alert(), count=1)
    assert first == "POST /hooks/budgets?team=1 HTTP/1.1"
    assert is_signed(headers, body) and not is_signed(headers, body + b" ")
    assert json.loads(body) == {
        "type": "budget.alert",
        "id": "key-1/2026-11/80",
        "account": "key-1",
        "period": "2026-11",
        "percent": 80,
        "limit_microusd": 1_000_000,
        "spent_microusd": 850_000,
        "at": "2026-09-21T14:13:20Z",
    }


async def test_it_is_tried_again_later_and_later_with_the_same_id() -> None:
    async with receiving(500, 302, 503) as receiver:
        tries, pauses = await told(receiver, alert(), count=4)
    assert {json.loads(body)["id"] for _, _, body in tries} == {"key-1/2026-11/80"}
    assert all(is_signed(headers, body) for _, headers, body in tries)
    assert pauses == [2.0, 4.0]


async def test_it_is_given_up_in_the_end_and_the_next_one_is_sent(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        async with receiving(*[500] * TRIES) as receiver:
            tries, _ = await told(receiver, alert(50), alert(80), count=TRIES + 1)
    assert [json.loads(body)["percent"] for _, _, body in tries] == [50] * TRIES + [80]
    assert "an alert was given up" in caplog.text
    assert SECRET not in caplog.text


async def test_a_gate_tells_once_per_threshold(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    async with receiving() as receiver:
        flags = {"budgets.alerts": "50,100", "budgets.alert_url": receiver.url, "budgets.alert_secret": SECRET}
        async with running_lab(tmp_path, config=CENT, flags=flags) as lab:
            key = await lab.gate.key(budget="0.04/month")
            for _ in range(5):
                await lab.post(HELLO, key)
            tellings = [await within(10, receiver.taken.get()) for _ in range(2)]
            await lab.gate.app.writer.committed()
            await lab.gate.app.alerts.look()
    assert sorted(json.loads(body)["percent"] for _, _, body in tellings) == [50, 100]
    assert all(is_signed(headers, body) for _, headers, body in tellings)
    assert receiver.taken.empty()


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        ({"budgets.alerts": "half"}, "budgets.alerts"),
        ({"budgets.alert_url": "ftp://x/"}, "no http or https URL"),
        ({"budgets.alert_url": "http://u:p@x/"}, "no http or https URL"),
        ({"budgets.alert_url": "http://x/ y"}, "characters"),
        ({"budgets.alert_url": "http://x/"}, "`budgets.alert_secret` is not"),
        ({"budgets.alert_url": "http://x/", "budgets.alert_secret": "short"}, "has 5 characters"),
    ],
)
async def test_what_cannot_be_used_does_not_start(tmp_path: Path, flags: dict[str, str], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        async with running_lab(tmp_path, flags=flags):
            pass
