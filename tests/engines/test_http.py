"""How an engine's address behaves when what is behind it does not."""

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import trustme
from aiohttp import web

from aldgate.core.errors import (
    UpstreamAuth,
    UpstreamBroken,
    UpstreamError,
    UpstreamInvalid,
    UpstreamLimited,
    UpstreamOverloaded,
    UpstreamRejected,
    UpstreamTimeout,
    UpstreamUnreachable,
)
from aldgate.engines.http import MOST_ERROR_WORDS, EngineHttp
from aldgate.testing.engines import FakeEngine


class Plain(FakeEngine):
    """Answers with the status and body it is asked for, and echoes sockets."""

    def routes(self) -> list[web.RouteDef]:
        return [web.get("/status/{status}", self._status), web.get("/ws", self._echo), web.post("/echo", self._body)]

    async def _status(self, request: web.Request) -> web.Response:
        return web.Response(status=int(request.match_info["status"]), body=request.query.get("body", "").encode())

    async def _body(self, request: web.Request) -> web.Response:
        return web.Response(body=await request.read())

    async def _echo(self, request: web.Request) -> web.WebSocketResponse:
        opened = web.WebSocketResponse()
        await opened.prepare(request)
        async for message in opened:
            await opened.send_str(message.data)
        return opened


@asynccontextmanager
async def engine(*, timeout_s: float = 5.0, **more: object) -> AsyncIterator[tuple[EngineHttp, Plain]]:
    async with Plain() as fake:
        http = EngineHttp("mine", fake.url, timeout_s=timeout_s, **more)  # pyright: ignore[reportArgumentType]
        try:
            yield http, fake
        finally:
            await http.aclose()


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (401, UpstreamAuth),
        (403, UpstreamAuth),
        (404, UpstreamRejected),
        (413, UpstreamRejected),
        (422, UpstreamRejected),
        (429, UpstreamLimited),
        (500, UpstreamBroken),
        (502, UpstreamBroken),
        (503, UpstreamOverloaded),
        (304, UpstreamBroken),
    ],
)
async def test_a_status_is_an_error_of_its_kind(status: int, error: type[UpstreamError]) -> None:
    async with engine() as (http, _):
        with pytest.raises(error) as raised:
            await http.json("GET", f"/status/{status}", params={"body": "too many cats"})
        assert type(raised.value) is error
        assert raised.value.upstream_status == status
        assert raised.value.was_sent
        assert raised.value.message.startswith(f"The engine `mine` answered {status}")
        assert ("too many cats" in raised.value.message) is (status != 304)


async def test_a_long_error_is_cut() -> None:
    async with engine() as (http, _):
        with pytest.raises(UpstreamBroken) as raised:
            await http.json("GET", "/status/500", params={"body": "x" * 5000})
        assert raised.value.message.count("x") == MOST_ERROR_WORDS


async def test_what_is_expected_is_no_error() -> None:
    async with engine() as (http, _):
        assert await http.json("GET", "/status/400", params={"body": '{"error": 1}'}, expect={200, 400}) == {"error": 1}


async def test_an_empty_reply_is_none() -> None:
    async with engine() as (http, _):
        assert await http.json("GET", "/status/204") is None
        assert await http.json("GET", "/status/200", params={"body": " \n"}) is None


async def test_what_is_no_json_is_invalid() -> None:
    async with engine() as (http, fake):
        fake.fault = "garbage"
        with pytest.raises(UpstreamInvalid, match="no JSON"):
            await http.json("GET", "/status/200")


async def test_a_reply_is_bounded() -> None:
    async with engine() as (http, _):
        with pytest.raises(UpstreamInvalid, match="more than 4 bytes"):
            await http.json("GET", "/status/200", params={"body": "12345"}, most_bytes=4)
        with pytest.raises(UpstreamInvalid, match="more than 4 bytes"):
            await http.whole("GET", "/status/200", params={"body": "12345"}, most_bytes=4)
        assert await http.whole("GET", "/status/200", params={"body": "1234"}, most_bytes=4) == b"1234"


async def test_redirects_are_not_followed() -> None:
    async with engine() as (http, fake):
        fake.fault = "redirects"
        with pytest.raises(UpstreamBroken) as raised:
            await http.json("GET", "/status/200")
        assert raised.value.upstream_status == 302
        assert len(fake.asked) == 1


async def test_silence_before_the_reply_is_a_timeout() -> None:
    async with engine(timeout_s=0.1) as (http, fake):
        fake.fault = "hangs"
        with pytest.raises(UpstreamTimeout):
            await http.json("GET", "/status/200")
        with pytest.raises(UpstreamTimeout):
            await http.json("GET", "/status/200", timeout_s=0.05)


@pytest.mark.parametrize("fault", ["breaks_off"])
async def test_a_reply_that_ends_too_soon_is_broken(fault: str) -> None:
    async with engine() as (http, fake):
        fake.fault = fault
        with pytest.raises(UpstreamBroken):
            await http.json("GET", "/status/200")
        with pytest.raises(UpstreamBroken):
            async for piece in http.pieces("GET", "/status/200"):
                assert piece


async def test_what_is_closed_is_unreachable_and_nothing_was_sent() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        http = EngineHttp("mine", f"http://127.0.0.1:{taken.getsockname()[1]}")
        with pytest.raises(UpstreamUnreachable) as raised:
            await http.json("GET", "/")
        with pytest.raises(UpstreamUnreachable):
            async with http.socket("/ws"):
                pass
        await http.aclose()
    assert not raised.value.was_sent


async def test_credentials_go_with_each_request() -> None:
    async with engine(headers={"Authorization": "Bearer secret"}) as (http, fake):
        assert await http.json("POST", "/echo", json={"a": [1]}) == {"a": [1]}
        async with http.socket("/ws") as opened:
            await opened.send_str("hello")
            assert await opened.receive_str() == "hello"
        assert [asked.headers["Authorization"] for asked in fake.asked] == ["Bearer secret"] * 2


async def test_a_socket_that_is_refused_is_broken() -> None:
    async with engine() as (http, _):
        with pytest.raises(UpstreamError):
            async with http.socket("/status/404"):
                pass


async def test_closing_leaves_no_connection_and_no_task() -> None:
    before = asyncio.all_tasks()
    async with engine() as (http, _):
        await http.json("GET", "/status/200")
        await http.aclose()
        await http.aclose()
        assert await http.json("GET", "/status/204") is None, "it opens again when it is asked again"
    assert asyncio.all_tasks() <= before


async def test_certificates_are_checked_against_the_given_authorities(tmp_path: Path) -> None:
    authority = trustme.CA()
    bundle = tmp_path / "authority.pem"
    authority.cert_pem.write_to_path(bundle)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    app = web.Application()

    async def answer(_: web.Request) -> web.Response:
        return web.json_response({"ok": True})

    app.router.add_get("/", answer)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=context).start()
    url = f"https://127.0.0.1:{runner.addresses[0][1]}"
    trusting, doubting = EngineHttp("mine", url, ca_bundle=str(bundle)), EngineHttp("mine", url)
    try:
        assert await trusting.json("GET", "/") == {"ok": True}
        with pytest.raises(UpstreamUnreachable):
            await doubting.json("GET", "/")
    finally:
        await trusting.aclose()
        await doubting.aclose()
        await runner.cleanup()
