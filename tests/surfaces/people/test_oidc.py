"""A browser, the gate and a real issuer on loopback: who gets in, and who does not."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aldgate.config.secret import Secret
from aldgate.core.errors import ScopeDenied
from aldgate.oidc.login import LOGIN_S, is_local_path
from aldgate.surfaces.people.oidc import PATH
from aldgate.testing.issuer import FakeIssuer
from aldgate.testing.upstream import Valve, faults
from tests.oidc.asking import Clock, believing, held, saying
from tests.oidc.browsing import Console, console_of

pytestmark = pytest.mark.anyio

SECRET = "s/e:c ret+"


@asynccontextmanager
async def console(
    issuer: FakeIssuer, *, public_url: str = "", secret: str | None = SECRET, **more: Any
) -> AsyncIterator[Console]:
    issuer.clients["console"] = secret or ""
    clock = Clock()
    entry = {"audience": (), "client_id": "console", "client_secret": Secret(secret) if secret else None, **more}
    async with believing(issuer, clock, **entry) as tokens, console_of(tokens, clock, public_url) as made:
        yield made


@pytest.fixture
async def issuer() -> AsyncIterator[FakeIssuer]:
    async with FakeIssuer() as running:
        yield running


@pytest.mark.parametrize("methods", [["client_secret_basic"], ["client_secret_post"], None])
async def test_somebody_logs_in(issuer: FakeIssuer, methods: list[str] | None) -> None:
    issuer.user = {"sub": "ann", "email": "ann@example.com", "email_verified": True, "groups": ["admins"]}
    if methods is not None:
        issuer.discovery = {"token_endpoint_auth_methods_supported": methods}
    async with console(issuer, roles={"admins": "admin"}) as gate:
        listed = await gate.browser.get(gate.url + PATH)
        assert listed.json() == {"issuers": [{"name": "corp", "url": f"{PATH}/corp"}]}
        back = await gate.at_issuer(next="/ui/keys?page=2#top")
        assert back.startswith(f"{gate.url}{PATH}/corp/callback?")
        came = await gate.come_back(back)
    assert came.status_code == 303 and came.headers["location"] == "/ui/keys?page=2#top"
    cookies = came.headers.get_list("set-cookie")
    assert "session=1; HttpOnly" in cookies and any(
        "aldgate_oidc_corp=;" in cookie and "Max-Age=0" in cookie for cookie in cookies
    )
    assert came.headers["cache-control"] == "no-store" and came.headers["referrer-policy"] == "no-referrer"
    assert came.headers["x-request-id"] == "req-1" and came.content == b""
    (ann,) = gate.came
    assert (ann.subject, ann.email, ann.is_email_verified, ann.issuer) == ("ann", "ann@example.com", True, issuer.url)


async def test_a_public_client_needs_no_secret(issuer: FakeIssuer) -> None:
    async with console(issuer, secret=None) as gate:
        assert (await gate.come_back(await gate.at_issuer())).headers["location"] == "/ui/"


async def test_what_the_browser_is_sent_with(issuer: FakeIssuer) -> None:
    async with console(issuer, scopes=("openid", "groups")) as gate:
        begun, again = await gate.begin(), await gate.begin()
    asked, other = (parse_qs(urlsplit(each.headers["location"]).query) for each in (begun, again))
    assert asked["scope"] == ["openid groups"] and asked["code_challenge_method"] == ["S256"]
    assert all(asked[name] != other[name] for name in ("state", "nonce", "code_challenge"))
    cookie = begun.headers["set-cookie"]
    assert "HttpOnly" in cookie and "SameSite=Lax" in cookie and f"Max-Age={LOGIN_S}" in cookie and "Secure" not in cookie
    assert asked["state"][0] not in cookie and asked["nonce"][0] not in cookie
    assert not {"state", "nonce", "code_challenge"} & {name for name, said in asked.items() if said == asked["client_id"]}


async def test_behind_https_the_cookie_is_bound_to_the_host(issuer: FakeIssuer) -> None:
    async with console(issuer, public_url="https://gate.example.com/llm/") as gate:
        begun = await gate.begin()
    assert begun.headers["set-cookie"].startswith("__Host-aldgate_oidc_corp=") and begun.headers["set-cookie"].endswith(
        "; Secure"
    )
    asked = parse_qs(urlsplit(begun.headers["location"]).query)
    assert asked["redirect_uri"] == [f"https://gate.example.com/llm{PATH}/corp/callback"]


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1.evil.example", "localhost@evil.example", "", "127.0.0.1:80:80"])
async def test_a_made_up_host_gets_no_code(issuer: FakeIssuer, host: str) -> None:
    async with console(issuer) as gate:
        reply = await gate.browser.get(f"{gate.url}{PATH}/corp", headers={"host": host})
        assert reply.status_code == 400 and "location" not in reply.headers


async def refused(gate: Console, url: str, status: int = 401) -> str:
    reply = await gate.come_back(url)
    assert reply.status_code == status, reply.text
    assert gate.came == [] and "location" not in reply.headers
    return reply.text


async def test_a_login_belongs_to_the_browser_that_began_it(issuer: FakeIssuer) -> None:
    async with console(issuer) as gate:
        back = await gate.at_issuer()
        gate.browser.cookies.clear()
        assert "this browser" in await refused(gate, back)
        await gate.begin()  # the victim has a login of its own under way
        assert "elsewhere" in await refused(gate, back)


@pytest.mark.parametrize(
    "turn", [lambda c: "", lambda c: c[:-2] + "AA", lambda c: "A" + c, lambda c: c.split(".")[0] + ".", lambda c: "é"]
)
async def test_a_cookie_is_not_made_up(issuer: FakeIssuer, turn: Any) -> None:
    async with console(issuer) as gate:
        back = await gate.at_issuer()
        cookie = turn(gate.browser.cookies["aldgate_oidc_corp"])
        gate.browser.cookies.clear()
        header = {"cookie": b"other=1; aldgate_oidc_corp=" + cookie.encode()}
        reply = await gate.browser.get(back, headers=header)
        assert reply.status_code == 401 and gate.came == []


async def test_a_login_takes_ten_minutes_at_most(issuer: FakeIssuer) -> None:
    async with console(issuer) as gate:
        back = await gate.at_issuer()
        gate.clock.ahead = LOGIN_S + 1
        assert "too long ago" in await refused(gate, back)


async def test_a_code_works_once(issuer: FakeIssuer) -> None:
    async with console(issuer) as gate:
        back = await gate.at_issuer()
        kept = dict(gate.browser.cookies)
        assert (await gate.come_back(back)).status_code == 303
        gate.browser.cookies.update(kept)
        gate.came.clear()
        assert "invalid_grant" in await refused(gate, back)


@pytest.mark.parametrize(
    ("turn", "said"),
    [
        (lambda url: url.replace("state=", "state=x"), "elsewhere"),
        (lambda url: url.replace("state=", "other="), "elsewhere"),
        (lambda url: url.replace("code=", "code=x"), "invalid_grant"),
        (lambda url: url.replace("code=", "other="), "no code"),
        (lambda url: url + "x", "Another issuer"),
        (lambda url: url.replace("iss=", "other="), "Another issuer"),
        (lambda url: url.replace("code=", "error=access_denied&error_description=%3Cscript%3E&x="), "access_denied"),
        (lambda url: url.replace("code=", "error=%3Cscript%3E&x="), "unknown"),
        (lambda url: url.replace("code=", "code=" + "x" * 5000), "no code"),
    ],
)
async def test_a_twisted_answer(issuer: FakeIssuer, turn: Any, said: str) -> None:
    async with console(issuer) as gate:
        text = await refused(gate, turn(await gate.at_issuer()))
        assert said in text and "script" not in text


async def test_a_parameter_that_is_there_twice(issuer: FakeIssuer) -> None:
    async with console(issuer) as gate:
        await refused(gate, await gate.at_issuer() + "&code=x", 400)


@pytest.mark.parametrize(
    "user",
    [
        {"sub": "ann", "nonce": "of another login"},
        {"sub": "ann", "nonce": None},
        {"sub": "ann", "nonce": ["x"]},
        {"sub": "ann", "nonce": "é"},
        {"sub": "ann", "aud": "another"},
        {"sub": "ann", "aud": ["console", "another"]},
        {"sub": "ann", "azp": "another"},
        {"sub": "ann", "iss": "https://another.example"},
        {"sub": "ann", "exp": int(time.time()) - 60},
        {"sub": None},
    ],
)
async def test_a_token_of_something_else(issuer: FakeIssuer, user: dict[str, Any]) -> None:
    issuer.user = user
    async with console(issuer) as gate:
        await refused(gate, await gate.at_issuer())


async def test_a_token_for_several_that_was_asked_for_here(issuer: FakeIssuer) -> None:
    issuer.user = {"sub": "ann", "aud": ["console", "another"], "azp": "console"}
    async with console(issuer) as gate:
        assert (await gate.come_back(await gate.at_issuer())).status_code == 303


async def test_a_token_by_another_key(issuer: FakeIssuer) -> None:
    async with FakeIssuer() as evil, console(issuer) as gate:
        back = await gate.at_issuer()
        issuer.keys, published = evil.keys, issuer.keys
        issuer.faults["/jwks"] = saying({"keys": [key.as_dict(private=False) for _, key in published]})
        assert "not signed" in await refused(gate, back)


@pytest.mark.parametrize(
    ("step", "status"),
    [
        (faults.status(500), 503),
        (faults.status(403), 401),
        (faults.garbage(), 503),
        (faults.not_json(), 503),
        (faults.redirect(), 503),
        (faults.die_mid_head(), 503),
        (saying({}), 401),
        (saying({"id_token": 7}), 401),
        (saying({"id_token": "a.b.c"}), 401),
        (saying({"id_token": "é"}), 401),
        (saying({"error": "<script>"}), 401),
    ],
)
async def test_an_issuer_that_does_not_confirm(issuer: FakeIssuer, step: Any, status: int) -> None:
    issuer.faults["/token"] = step
    async with console(issuer) as gate:
        assert "script" not in await refused(gate, await gate.at_issuer(), status)


async def test_a_wrong_client_secret(issuer: FakeIssuer) -> None:
    async with console(issuer) as gate:
        issuer.clients["console"] = "another"
        assert "invalid_client" in await refused(gate, await gate.at_issuer())


async def test_an_issuer_that_is_away_or_says_nothing_useful(issuer: FakeIssuer) -> None:
    for lie in (
        {"authorization_endpoint": "javascript:alert(1)"},
        {"authorization_endpoint": "http://192.0.2.1/"},
        {"issuer": "x"},
    ):
        issuer.discovery = lie
        async with console(issuer) as gate:
            assert (await gate.begin()).status_code == 503
    for endpoint in ("http://192.0.2.1/", f"https://{'a' * 64}.example/", ""):
        issuer.discovery = {"token_endpoint": endpoint}
        async with console(issuer) as gate:
            await refused(gate, await gate.at_issuer(), 503)


async def test_logins_under_way_have_a_bound(issuer: FakeIssuer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("aldgate.surfaces.people.oidc.MAX_UNDER_WAY", 1)
    valve = Valve()
    async with console(issuer) as gate:
        back = await gate.at_issuer()
        issuer.faults["/token"] = held(valve)
        waiting = asyncio.create_task(gate.come_back(back))
        await issuer.saw_requests(len(issuer.requests) + 1)
        shed = await gate.begin()
        assert shed.status_code == 503 and shed.headers["retry-after"]
        valve.open()
        assert (await waiting).status_code == 503


async def test_who_may_not_come_in_is_told(issuer: FakeIssuer) -> None:
    async with console(issuer) as gate:
        gate.answer = ScopeDenied("You have no role here.")
        denied = await gate.come_back(await gate.at_issuer())
        assert denied.status_code == 403 and "no role" in denied.text and "location" not in denied.headers
        gate.answer = (403, [(b"content-type", b"text/plain")], b"disabled")
        told = await gate.come_back(await gate.at_issuer())
        assert told.status_code == 403 and told.text == "disabled" and "location" not in told.headers


@pytest.mark.parametrize("path", ["other", "corp/other", "corp/callback/x", "..%2fcorp", "corp%00", "Corp"])
async def test_there_is_nothing_else(issuer: FakeIssuer, path: str) -> None:
    async with console(issuer) as gate:
        assert (await gate.browser.get(f"{gate.url}{PATH}/{path}")).status_code == 404
        assert (await gate.browser.post(f"{gate.url}{PATH}/corp")).status_code == 405


@pytest.mark.parametrize(
    "path",
    [
        "//evil.example",
        "/\\evil.example",
        "https://evil.example",
        "javascript:alert(1)",
        "evil.example",
        "",
        "/a\r\nset-cookie: x=1",
    ]
    + ["/\t/evil.example", "\\\\evil", "/a b", "/é", "/" + "x" * 3000],
)
async def test_nobody_is_sent_elsewhere(issuer: FakeIssuer, path: str) -> None:
    assert not is_local_path(path)
    async with console(issuer) as gate:
        assert (await gate.begin(next=path)).status_code == 400


@given(st.text(st.sampled_from("/\\.:@?#%aé \t\r\n\x00"), max_size=8))
def test_a_local_path_has_no_host(path: str) -> None:
    if is_local_path(path):
        assert path.startswith("/") and not urlsplit(path).netloc and not urlsplit(path).scheme
        assert not set(path) & set("\\ \t\r\n\x00é") and not path.startswith("//")
