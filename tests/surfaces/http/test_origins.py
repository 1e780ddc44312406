"""Cookies and pages: what a browser may do in a user's name, and for whom."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path

import httpx2
import pytest
import trustme
import websockets

from aldgate.config.errors import ConfigError
from aldgate.config.loader import load
from aldgate.testing.upstream import FakeUpstream
from tests.support import RunningGate, lab, running_gate

PASSWORD = "correct horse battery"
HELLO = {"model": "gpt-4.1", "messages": [{"role": "user", "content": "hello"}]}
THEIRS = "https://app.example.com"
EVIL = "https://evil.example.com"


@pytest.fixture(scope="module")
async def listing(upstream: FakeUpstream, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[RunningGate]:
    """A gate that trusts the pages of one origin."""
    flags = {"server.cors_origins": THEIRS}
    async with running_gate(tmp_path_factory.mktemp("listing"), providers={"lab": lab(upstream.url)}, flags=flags) as gate:
        await gate.http.post("/admin/users", json={"name": "ada", "password": PASSWORD})
        yield gate


async def cookie_of(gate: RunningGate, origin: str = "") -> str:
    reply = await browser(gate, "POST", "/ui/api/auth/login", origin, json={"username": "ada", "password": PASSWORD})
    assert reply.status_code == 200, reply.text
    return reply.headers["set-cookie"].partition(";")[0]


async def browser(
    gate: RunningGate, method: str, path: str, origin: str = "", cookie: str = "", **more: object
) -> httpx2.Response:
    headers = {"origin": origin, "cookie": cookie, **more.pop("headers", {})}  # pyright: ignore[reportArgumentType]
    async with httpx2.AsyncClient(base_url=gate.url, trust_env=False, timeout=30) as http:
        return await http.request(method, path, headers={k: v for k, v in headers.items() if v}, **more)  # pyright: ignore[reportArgumentType]


@pytest.mark.anyio
async def test_a_login_of_a_page_is_a_cookie_that_no_script_reads(listing: RunningGate) -> None:
    reply = await browser(listing, "POST", "/ui/api/auth/login", json={"username": "ada", "password": PASSWORD})
    user = reply.json()["user"]
    assert reply.json() == {"ok": True, "user": {"id": user["id"], "username": "ada"}}
    cookie, *attributes = reply.headers["set-cookie"].split("; ")
    assert cookie.startswith("aldgate_session=ags-") and cookie.split("=")[1] not in reply.text
    assert attributes == ["Path=/", "HttpOnly", "SameSite=Lax"]
    assert (await browser(listing, "GET", "/ui/api/auth/me", cookie=cookie)).json() == {
        "ok": True,
        "authenticated": True,
        "user": {"id": user["id"], "username": "ada", "admin": False, "must_change": False},
    }
    wrong = await browser(listing, "POST", "/ui/api/auth/login", json={"username": "ada", "password": "wrong"})
    assert (wrong.status_code, wrong.json()["detail"]) == (403, "invalid credentials")


@pytest.mark.anyio
async def test_over_tls_the_cookie_stays_there(upstream: FakeUpstream, tmp_path: Path) -> None:
    async with running_gate(tmp_path, providers={"lab": lab(upstream.url)}, authority=trustme.CA()) as gate:
        await gate.http.post("/admin/users", json={"name": "ada", "password": PASSWORD})
        reply = await gate.http.post("/ui/api/auth/login", json={"username": "ada", "password": PASSWORD})
        assert reply.headers["set-cookie"].endswith("; SameSite=Lax; Secure")


@pytest.mark.anyio
async def test_with_a_cookie_only_trusted_pages_change_anything(listing: RunningGate) -> None:
    cookie = await cookie_of(listing)
    for path, body in (("/v1/chat/completions", HELLO), ("/v1/users/tokens", {})):
        for origin in ("", EVIL, "null", "http://127.0.0.1:1", THEIRS + ".evil.com", THEIRS.upper()):
            reply = await browser(listing, "POST", path, origin, cookie, json=body)
            assert reply.status_code == 403 and "foreign_origin" in reply.text, (path, origin)
            assert "access-control-allow-origin" not in reply.headers
        for origin in (THEIRS, listing.url):
            assert (await browser(listing, "POST", path, origin, cookie, json=body)).status_code < 300, (path, origin)
        for site, is_good in (("same-origin", True), ("same-site", False), ("cross-site", False), ("none", False)):
            headers = {"sec-fetch-site": site}
            reply = await browser(listing, "POST", path, "", cookie, json=body, headers=headers)
            assert (reply.status_code < 300) is is_good, site
        both = {"sec-fetch-site": "same-origin"}
        assert (await browser(listing, "POST", path, EVIL, cookie, json=body, headers=both)).status_code == 403
    assert (await browser(listing, "GET", "/v1/users/me", "", cookie)).status_code == 200


@pytest.mark.anyio
async def test_another_credential_decides_before_the_cookie(listing: RunningGate) -> None:
    cookie = await cookie_of(listing)
    key = await listing.key()
    good, bad = {"authorization": f"Bearer {key}"}, {"x-api-key": "agk-wrong"}
    assert (await browser(listing, "POST", "/v1/chat/completions", EVIL, cookie, json=HELLO, headers=good)).status_code == 200
    assert (await browser(listing, "POST", "/v1/chat/completions", THEIRS, cookie, json=HELLO, headers=bad)).status_code == 401
    token = {"x-session-token": cookie.partition("=")[2]}
    assert (await browser(listing, "POST", "/v1/chat/completions", EVIL, json=HELLO, headers=token)).status_code == 200


@pytest.mark.anyio
async def test_nobody_is_logged_in_by_a_strange_page(listing: RunningGate) -> None:
    reply = await browser(listing, "POST", "/ui/api/auth/login", EVIL, json={"username": "ada", "password": PASSWORD})
    assert reply.status_code == 403 and "set-cookie" not in reply.headers
    assert (await cookie_of(listing, THEIRS)).startswith("aldgate_session=")


@pytest.mark.anyio
async def test_logging_out_removes_the_cookie_and_the_session(listing: RunningGate) -> None:
    cookie = await cookie_of(listing)
    assert (await browser(listing, "POST", "/ui/api/auth/logout", "", cookie)).status_code == 403
    reply = await browser(listing, "POST", "/ui/api/auth/logout", THEIRS, cookie)
    assert reply.json() == {"ok": True} and "Max-Age=0" in reply.headers["set-cookie"]
    assert (await browser(listing, "GET", "/v1/users/me", "", cookie)).status_code == 401


@pytest.mark.anyio
async def test_a_trusted_page_may_ask_and_read(listing: RunningGate) -> None:
    asks = {"access-control-request-method": "POST", "access-control-request-headers": "authorization, x-stainless-lang"}
    for path in ("/v1/chat/completions", "/v1/users/me", "/nowhere"):
        reply = await browser(listing, "OPTIONS", path, THEIRS, headers=asks)
        assert (reply.status_code, reply.content) == (204, b"")
        assert reply.headers["access-control-allow-origin"] == THEIRS
        assert reply.headers["access-control-allow-credentials"] == "true"
        assert reply.headers["access-control-allow-headers"] == asks["access-control-request-headers"]
        assert "POST" in reply.headers["access-control-allow-methods"] and reply.headers["vary"] == "origin"
    key = {"authorization": f"Bearer {await listing.key()}"}
    for body in (HELLO, {**HELLO, "stream": True}, {"model": "nowhere", "messages": []}):
        reply = await browser(listing, "POST", "/v1/chat/completions", THEIRS, json=body, headers=key)
        assert reply.headers["access-control-allow-origin"] == THEIRS
        assert "x-request-id" in reply.headers["access-control-expose-headers"]


@pytest.mark.anyio
async def test_a_strange_page_reads_nothing(listing: RunningGate) -> None:
    asks = {"access-control-request-method": "POST"}
    for origin in (EVIL, "null", "*", "http://localhost:3000"):
        reply = await browser(listing, "OPTIONS", "/v1/chat/completions", origin, headers=asks)
        assert reply.status_code == 403 and "access-control-allow-origin" not in reply.headers
    key = {"authorization": f"Bearer {await listing.key()}"}
    reply = await browser(listing, "POST", "/v1/chat/completions", EVIL, json=HELLO, headers=key)
    assert "access-control-allow-origin" not in reply.headers


@pytest.mark.anyio
async def test_without_a_list_pages_of_this_machine_are_trusted(gate: RunningGate) -> None:
    asks = {"access-control-request-method": "POST"}
    for origin, status in (
        ("http://localhost:3000", 204),
        ("https://127.0.0.1:8443", 204),
        ("http://[::1]", 204),
        ("http://localhost.evil.com", 403),
        ("http://localhost:3000.evil.com", 403),
        (EVIL, 403),
    ):
        assert (await browser(gate, "OPTIONS", "/v1/models", origin, headers=asks)).status_code == status, origin


@pytest.mark.anyio
async def test_a_socket_with_a_cookie_needs_a_trusted_page(listing: RunningGate) -> None:
    cookie = await cookie_of(listing)
    url = listing.url.replace("http", "ws") + "/v1/responses"
    for origin in (None, EVIL):
        with pytest.raises(websockets.InvalidStatus) as refused:
            await websockets.connect(url, origin=origin, additional_headers={"cookie": cookie})  # pyright: ignore[reportArgumentType]
        assert refused.value.response.status_code == 403
    async with websockets.connect(url, origin=THEIRS, additional_headers={"cookie": cookie}) as socket:  # pyright: ignore[reportArgumentType]
        await socket.send(json.dumps({"type": "response.create", "model": "gpt-4.1", "input": "hello"}))
        async with asyncio.timeout(10):
            assert "error" not in json.loads(await socket.recv())["type"]


@pytest.mark.parametrize("origin", ["*", "https://x.org/", "x.org", "https://X.org", "https://a@b"])
def test_what_is_no_origin_is_no_setting(tmp_path: Path, origin: str) -> None:
    with pytest.raises(ConfigError, match="is no origin"):
        load(flags={"server.cors_origins": origin}, environment={}, directory=tmp_path, file=None)
