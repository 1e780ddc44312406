"""Webhooks of jobs over a running gate and a receiver on loopback, checked by the code that the documentation gives."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Self

import msgspec
import pytest
from aiohttp import web

from tests.support import RunningGate, running_gate

pytestmark = pytest.mark.anyio
PICTURE = {"prompt": "a fox", "model": "builtin/svg", "size": "64x48", "background": True}
PATIENCE_S = 20.0


class Receiver:
    """Takes webhooks. `answers`: statuses of the next ones; later ones are taken with 204."""

    def __init__(self) -> None:
        self.answers: list[int] = []
        self.got: list[tuple[dict[str, str], bytes]] = []
        self.url = ""
        self._came = asyncio.Event()

    async def __aenter__(self) -> Self:
        app = web.Application()
        app.router.add_route("*", "/{name}", self._take)
        self._runner = web.AppRunner(app, access_log=None)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        self.url = f"http://127.0.0.1:{self._runner.addresses[0][1]}/hook"
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._runner.cleanup()

    async def _take(self, request: web.Request) -> web.Response:
        self.got.append(({name.lower(): value for name, value in request.headers.items()}, await request.read()))
        self._came.set()
        status = self.answers.pop(0) if self.answers else 204
        return web.Response(status=status, headers={"Location": "/elsewhere"} if 300 <= status < 400 else {})

    async def until(self, count: int) -> None:
        async with asyncio.timeout(PATIENCE_S):
            while len(self.got) < count:
                self._came.clear()
                await self._came.wait()


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    async with Receiver() as receiver:
        yield receiver


@asynccontextmanager
async def running(data: Path, **flags: str) -> AsyncIterator[RunningGate]:
    async with running_gate(data, flags={"webhooks.allow_private": "true"} | flags) as gate:
        yield gate


@pytest.fixture
def hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    """Attempts follow each other at once."""
    monkeypatch.setattr("aldgate.core.webhooks.WAITS_S", (0.01,))
    monkeypatch.setattr("aldgate.jobs.webhooks.POLL_S", 0.02)


def documented() -> Callable[[str, dict[str, str], bytes], Any]:
    """The function that the documentation gives."""
    page = (Path(__file__).parents[3] / "docs" / "jobs.md").read_text(encoding="utf-8")
    (code,) = re.findall(r"```python\n(.*?def verified.*?)```", page, re.DOTALL)
    scope: dict[str, Any] = {}
    exec(code, scope)
    return scope["verified"]


def bearer(key: str) -> dict[str, str]:
    return {"authorization": f"Bearer {key}"}


async def begin(gate: RunningGate, key: str, url: str, **more: Any) -> str:
    reply = await gate.http.post("/v1/images/generations", json={**PICTURE, "webhook_url": url, **more}, headers=bearer(key))
    assert reply.status_code == 202, reply.text
    return reply.headers["location"]


async def settled(gate: RunningGate, path: str) -> dict[str, Any]:
    """The job's webhook once it is not pending any more."""
    async with asyncio.timeout(PATIENCE_S):
        while (shown := (await gate.http.get(path, params={"wait": 1})).json()["webhook"])["state"] == "pending":
            pass
    return shown


async def test_who_asked_is_told_and_can_check_that_it_was_us(tmp_path: Path, receiver: Receiver, hurry: None) -> None:
    verified = documented()
    async with running(tmp_path) as gate:
        key, other = await gate.key(), await gate.key("other")
        path = await begin(gate, key, receiver.url)
        assert (await settled(gate, path)) == {
            "url": receiver.url,
            "state": "delivered",
            "attempts": 1,
            "next_attempt_at": None,
            "last_status": 204,
            "last_error": None,
        }
        secret, others = [
            (await gate.http.get("/v1/webhooks/secret", headers=bearer(each))).json()["secret"] for each in (key, other)
        ]
        assert secret.startswith("whsec_") and secret != others
    ((headers, body),) = receiver.got
    told = verified(secret, headers, body)
    assert told == msgspec.json.decode(body) and told["type"] == "job.succeeded"
    assert told["data"]["id"] == path.rpartition("/")[2] and told["data"]["artifacts"][0]["mime"] == "image/png"
    old = {**headers, "webhook-timestamp": str(int(time.time()) - 3_600)}
    for wrong in ((others, headers, body), (secret, headers, body + b" "), (secret, old, body)):
        with pytest.raises(ValueError):
            verified(*wrong)


FILM = {"model": "builtin/clip", "prompt": "a fox", "size": "64x64", "seconds": "1"}


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/v1/jobs", {"operation": "image", "model": "builtin/svg", "prompt": "a fox", "width": 64, "height": 64}),
        ("/v1/videos", FILM),
        ("/generate/image", {"prompt": "a fox", "engine": "builtin", "width": 64, "height": 64}),
        ("/tts", {"text": "a fox", "engine": "builtin"}),
    ],
)
async def test_whatever_begins_a_job_takes_a_webhook(
    tmp_path: Path, receiver: Receiver, path: str, body: dict[str, Any], hurry: None
) -> None:
    async with running(tmp_path) as gate:
        key = bearer(await gate.key())
        reply = await gate.http.post(path, json={**body, "webhook_url": receiver.url}, headers=key)
        assert reply.status_code in (200, 202), reply.text
        await receiver.until(1)
        refused = await gate.http.post(path, json={**body, "webhook_url": "ftp://receiver"}, headers=key)
        assert refused.status_code == 400 and "webhook_url" in refused.text
    assert msgspec.json.decode(receiver.got[0][1])["type"] == "job.succeeded"


async def test_a_film_of_a_form_and_its_remix_take_a_webhook(tmp_path: Path, receiver: Receiver, hurry: None) -> None:
    async with running(tmp_path) as gate:
        key = bearer(await gate.key())
        form = {name: (None, value) for name, value in {**FILM, "webhook_url": receiver.url}.items()}
        film = (await gate.http.post("/v1/videos", files=form, headers=key)).json()["id"]
        await receiver.until(1)
        again = {"prompt": "a hen", "webhook_url": receiver.url}
        assert (await gate.http.post(f"/v1/videos/{film}/remix", json=again, headers=key)).status_code == 200
        await receiver.until(2)


async def test_a_receiver_that_fails_gets_the_same_message_again(tmp_path: Path, receiver: Receiver, hurry: None) -> None:
    receiver.answers = [500, 302]
    async with running(tmp_path) as gate:
        shown = await settled(gate, await begin(gate, await gate.key(), receiver.url))
    assert shown["state"] == "delivered" and shown["attempts"] == 3
    assert len(receiver.got) == 3, "redirects are not followed"
    assert len({headers["webhook-id"] for headers, _ in receiver.got}) == 1 == len({body for _, body in receiver.got})


async def test_one_that_cannot_be_reached_is_given_up_with_a_record(tmp_path: Path, hurry: None) -> None:
    async with running(tmp_path, **{"webhooks.attempts": "3"}) as gate:
        shown = await settled(gate, await begin(gate, await gate.key(), "http://127.0.0.1:1/hook"))
    assert shown["state"] == "failed" and shown["attempts"] == 3 and "reached" in shown["last_error"]


async def test_one_that_says_gone_is_left_alone(tmp_path: Path, receiver: Receiver, hurry: None) -> None:
    receiver.answers = [410]
    async with running(tmp_path) as gate:
        shown = await settled(gate, await begin(gate, await gate.key(), receiver.url))
    assert shown["state"] == "failed" and shown["attempts"] == 1 and shown["last_status"] == 410


async def test_a_restart_forgets_none(tmp_path: Path, receiver: Receiver) -> None:
    receiver.answers = [503]
    async with running(tmp_path) as gate:
        path = await begin(gate, await gate.key(), receiver.url)
        await receiver.until(1)
    async with running(tmp_path) as gate:
        await receiver.until(2)
        assert (await settled(gate, path))["state"] == "delivered"


async def test_calls_tell_too(tmp_path: Path, receiver: Receiver, hurry: None) -> None:
    chat = {
        "model": "builtin/echo",
        "messages": [{"role": "user", "content": "hi"}],
        "background": True,
        "webhook_url": receiver.url,
    }
    async with running(tmp_path) as gate:
        key = await gate.key()
        begun = await gate.http.post("/v1/chat/completions", json=chat, headers=bearer(key))
        assert begun.status_code == 202, begun.text
        assert (await settled(gate, begun.headers["location"]))["state"] == "delivered"
    assert msgspec.json.decode(receiver.got[0][1])["data"]["operation"] == "chat"


async def test_callers_reach_no_private_network(tmp_path: Path) -> None:
    async with running_gate(tmp_path) as gate:
        key = await gate.key()
        for url in (
            "http://example.com/hook",
            "https://127.0.0.1/hook",
            "https://localhost/hook",
            "https://10.0.0.1/x",
            "https://169.254.169.254/latest",
            "https://[::1]/x",
            "https://[::ffff:127.0.0.1]/x",
            "https://[64:ff9b::7f00:1]/x",
            "https://user:secret@example.com/",
            "ftp://example.com",
            "https://",
            "https://exa mple.com/",
            "https://example.com:99999/",
            "nonsense",
            "",
        ):
            reply = await gate.http.post("/v1/images/generations", json={**PICTURE, "webhook_url": url}, headers=bearer(key))
            assert reply.status_code == 400 and reply.json()["error"]["param"] == "webhook_url", (url, reply.text)
        wrong = await gate.http.post("/v1/images/generations", json={**PICTURE, "webhook_url": 5}, headers=bearer(key))
        assert wrong.status_code == 400
        assert (await gate.http.get("/v1/jobs", headers=bearer(key))).json()["data"] == []
