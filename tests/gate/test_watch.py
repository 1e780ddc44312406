"""What is open ends when whoever opened it may call no longer, also while the provider is silent."""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

import httpx2
import pytest
import websockets

from aldgate.core.errors import RevokedKey, StoreUnavailable
from aldgate.gate.watch import OpenSocket, Watch
from aldgate.testing.upstream import Valve, faults
from tests.faults.lab import CHAT, HELLO, Lab, events_of, running_lab, within

pytestmark = pytest.mark.anyio
SOON_S = 1.0
STREAMED = {**HELLO, "stream": True}
PASSWORD = "correct horse battery"


@pytest.fixture
async def lab(tmp_path: Path) -> AsyncIterator[Lab]:
    async with running_lab(tmp_path) as lab:
        yield lab


class Stream:
    """A call whose stream is read while the test goes on."""

    def __init__(self, lab: Lab, key: str, ask: Mapping[str, Any] = STREAMED, **headers: str) -> None:
        self._lab = lab
        self._ask = ask
        self._headers = {"authorization": f"Bearer {key}", **headers}
        self.status = 0
        self.body = b""
        self.has_begun = asyncio.Event()
        self.task = asyncio.create_task(self._read())

    async def _read(self) -> None:
        async with self._lab.gate.http.stream("POST", CHAT, json=self._ask, headers=self._headers) as reply:
            self.status = reply.status_code
            async for piece in reply.aiter_bytes():
                self.body += piece
                self.has_begun.set()

    async def ended(self) -> str:
        """The code of the error that it ended with."""
        await within(SOON_S, self.task)
        if self.status != 200:
            return json.loads(self.body)["error"]["code"]
        return events_of(self.body)[-1]["error"]["code"]


async def revoke(lab: Lab, name: str) -> None:
    keys = (await lab.gate.http.get("/admin/keys")).json()["keys"]
    (key,) = [key["id"] for key in keys if key["name"] == name]
    assert (await lab.gate.http.delete(f"/admin/keys/{key}")).status_code == 200


async def test_a_silent_stream_of_a_revoked_key_is_cut_and_billed(lab: Lab) -> None:
    key, other = await lab.gate.key("gone", budget="1/total"), await lab.gate.key("stays")
    valve = Valve()
    lab.upstream.script(*(faults.stall_mid_stream(after=3, valve=valve) for _ in range(2)))
    cut, stays = Stream(lab, key), Stream(lab, other)
    await within(5, asyncio.gather(cut.has_begun.wait(), stays.has_begun.wait()))
    await revoke(lab, "gone")
    assert (await cut.ended(), cut.status) == ("revoked_api_key", 200)
    assert not stays.task.done()
    valve.open()
    await within(5, stays.task)
    assert events_of(stays.body)[-1] == "[DONE]"
    await lab.is_quiet()
    (row,) = [row for row in await lab.rows() if row["error_code"] is not None]
    assert (row["error_code"], row["usage_source"], row["output_tokens"] > 0) == ("revoked_api_key", "counted", True)


async def test_a_silent_stream_is_cut_when_its_key_expires(lab: Lab) -> None:
    app = lab.gate.app
    key, other = await lab.gate.key(expires="30s"), await lab.gate.key(expires="10m")
    valve = Valve()
    lab.upstream.script(*(faults.stall_mid_stream(after=3, valve=valve) for _ in range(2)))
    cut, stays = Stream(lab, key), Stream(lab, other)
    await within(5, asyncio.gather(cut.has_begun.wait(), stays.has_begun.wait()))
    app.watch.expire()
    Watch(app.gate, app.identity, now=lambda: time.time() + 60).expire()
    assert await cut.ended() == "expired_api_key" and not stays.task.done()
    valve.open()
    await within(5, stays.task)


async def test_an_idle_socket_ends_when_its_key_expires_or_its_network_is_closed(lab: Lab) -> None:
    app = lab.gate.app
    url = lab.gate.url.replace("http", "ws", 1) + "/v1/responses"
    for name in ("expires", "closed"):
        key = await lab.gate.key(name, expires="30s")
        async with websockets.connect(url, additional_headers={"x-api-key": key}, proxy=None) as socket:
            if name == "expires":
                later = Watch(app.gate, app.identity, now=lambda: time.time() + 60)
                later.sockets = app.watch.sockets
                later.expire()
            else:
                keys = (await lab.gate.http.get("/admin/keys")).json()["keys"]
                (found,) = [each["id"] for each in keys if each["name"] == name]
                patch = {"policy": {"networks": ["10.0.0.0/8"]}}
                assert (await lab.gate.http.patch(f"/admin/keys/{found}", json=patch)).status_code == 200
            told = json.loads(await within(SOON_S, socket.recv()))
            assert told["error"]["code"] == {"expires": "expired_api_key", "closed": "policy_denied"}[name]
            with pytest.raises(websockets.ConnectionClosed):
                await within(SOON_S, socket.recv())


async def logged_in(lab: Lab, name: str) -> str:
    http = lab.gate.http
    if (await http.get(f"/admin/users/{name}")).status_code == 404:
        made = await http.post("/admin/users", json={"name": name, "password": PASSWORD})
        assert made.status_code == 201, made.text
    reply = await http.post("/v1/users/login", json={"username": name, "password": PASSWORD})
    return reply.json()["token"]


def bearer(secret: str) -> dict[str, str]:
    return {"authorization": f"Bearer {secret}"}


async def test_logging_out_ends_what_that_session_began_and_no_other_session(lab: Lab) -> None:
    leaving, staying = await logged_in(lab, "ada"), await logged_in(lab, "ada")
    token = (await lab.gate.http.post("/v1/users/tokens", headers=bearer(staying))).json()["token"]
    valve = Valve()
    lab.upstream.script(*(faults.stall_mid_stream(after=3, valve=valve) for _ in range(3)))
    cut, stays, of_token = Stream(lab, leaving), Stream(lab, staying), Stream(lab, token)
    await within(5, asyncio.gather(*(stream.has_begun.wait() for stream in (cut, stays, of_token))))
    assert (await lab.gate.http.post("/v1/users/logout", headers=bearer(leaving))).status_code == 200
    assert await cut.ended() == "expired_api_key"
    assert "it was logged out" in cut.body.decode()
    assert not stays.task.done() and not of_token.task.done()
    valve.open()
    await within(5, asyncio.gather(stays.task, of_token.task))
    assert events_of(stays.body)[-1] == events_of(of_token.body)[-1] == "[DONE]"


@pytest.mark.parametrize(
    ("act", "code", "words"), [("reset", "expired_api_key", "password"), ("disable", "revoked_api_key", "disabled")]
)
async def test_who_gets_another_password_or_is_disabled_streams_no_longer_and_is_told_why(
    lab: Lab, act: str, code: str, words: str
) -> None:
    stream = Stream(lab, await logged_in(lab, "bo"))
    lab.upstream.script(faults.stall_mid_stream(after=3, valve=Valve()))
    await within(5, stream.has_begun.wait())
    assert (await lab.gate.http.post(f"/admin/users/bo/{act}")).status_code == 200
    assert await stream.ended() == code
    assert words in (said := events_of(stream.body)[-1]["error"]["message"]) and "scopes are" not in said
    await lab.is_quiet()


async def test_a_secret_that_was_rotated_away_ends_what_it_began_and_the_new_one_does_not(lab: Lab) -> None:
    made = (await lab.gate.http.post("/admin/keys", json={"name": "rotated"})).json()
    valve = Valve()
    lab.upstream.script(*(faults.stall_mid_stream(after=3, valve=valve) for _ in range(2)))
    old = Stream(lab, made["key"])
    await within(5, old.has_begun.wait())
    fresh = (await lab.gate.http.post(f"/admin/keys/{made['id']}/rotate", json={"overlap": "1h"})).json()["key"]
    new = Stream(lab, fresh)
    await within(5, new.has_begun.wait())
    await lab.gate.app.watch.look()
    assert not old.task.done() and not new.task.done()
    last = (await lab.gate.http.post(f"/admin/keys/{made['id']}/rotate", json={"overlap": "0"})).json()["key"]
    assert {await old.ended(), await new.ended()} == {"revoked_api_key"}
    assert (await lab.gate.http.get("/v1/models", headers=bearer(last))).status_code == 200
    await lab.is_quiet()


async def test_a_stream_that_has_not_begun_is_refused(lab: Lab) -> None:
    key = await lab.gate.key("gone")
    lab.upstream.script(faults.hang_before_head(Valve()))
    stream = Stream(lab, key)
    await within(5, lab.upstream.saw_requests())
    await revoke(lab, "gone")
    assert (await stream.ended(), stream.status) == ("revoked_api_key", 401)
    await lab.is_quiet()


async def test_what_is_repeated_for_its_idempotency_key_ends_too(lab: Lab) -> None:
    key = await lab.gate.key("gone")
    lab.upstream.script(faults.stall_mid_stream(valve=Valve()))
    stream = Stream(lab, key, **{"idempotency-key": "cut"})
    await within(5, stream.has_begun.wait())
    await revoke(lab, "gone")
    assert await stream.ended() == "revoked_api_key"
    await lab.is_quiet()


async def test_a_key_that_was_made_cuts_nobody(lab: Lab) -> None:
    valve = Valve()
    lab.upstream.script(faults.stall_mid_stream(valve=valve))
    stream = Stream(lab, await lab.gate.key("first"))
    await within(5, stream.has_begun.wait())
    await lab.gate.key("second")
    await lab.gate.app.watch.look()
    valve.open()
    await within(5, stream.task)
    assert events_of(stream.body)[-1] == "[DONE]"


async def test_a_body_that_was_sent_slowly_is_refused_if_its_key_went_meanwhile(lab: Lab) -> None:
    key = await lab.gate.key("gone")
    may_end = asyncio.Event()

    async def body() -> AsyncIterator[bytes]:
        text = json.dumps(HELLO).encode()
        yield text[:10]
        await may_end.wait()
        yield text[10:]

    headers = {"authorization": f"Bearer {key}", "content-type": "application/json"}
    call = asyncio.create_task(lab.gate.http.post(CHAT, content=body(), headers=headers))
    await within(5, _has_read(lab))
    await revoke(lab, "gone")
    may_end.set()
    reply: httpx2.Response = await within(5, call)
    assert (reply.status_code, reply.json()["error"]["code"]) == (401, "revoked_api_key")


async def _has_read(lab: Lab) -> None:
    while "request bytes" not in lab.left_over():
        await asyncio.sleep(0)


async def test_while_the_database_is_away_all_goes_on_and_is_looked_at_when_it_is_back(lab: Lab) -> None:
    app = lab.gate.app
    cuts: list[str] = []
    was_asked = asyncio.Event()

    class Away:
        is_away = True

        async def look_at(self, principal_id: str, credential: bytes) -> tuple[object, object]:
            was_asked.set()
            if self.is_away:
                raise StoreUnavailable("The database did not answer.")
            return None, RevokedKey("This API key was revoked.")

    identity = Away()
    watch = Watch(app.gate, identity)  # pyright: ignore[reportArgumentType]
    watch.sockets["one"] = OpenSocket(
        await app.identity.identify(b"test-admin-" + b"0123456789" * 3),
        lambda error: cuts.append(error.code),
    )
    running = asyncio.create_task(watch.run())
    watch.ask()
    await within(5, was_asked.wait())
    assert cuts == []
    identity.is_away = False
    async with asyncio.timeout(5):
        while not cuts:
            await asyncio.sleep(0)
    running.cancel()
    assert set(cuts) == {"revoked_api_key"}
