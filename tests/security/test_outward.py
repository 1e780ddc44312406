"""Where the gate connects to: only where its operator said, with the credential that belongs there, and never on from there."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from aldgate.testing.issuer import FakeIssuer
from aldgate.testing.upstream import FakeUpstream, Step, wire
from tests.oidc.asking import believing
from tests.regressions.house import FACES, WIRES, House, asking, running_house
from tests.support import lab, running_gate

pytestmark = pytest.mark.anyio
PIXEL = "/pixel.png"


@pytest.fixture(scope="module")
async def house(anyio_backend: str, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[House]:
    async with running_house(tmp_path_factory.mktemp("gate")) as house:
        yield house


@pytest.fixture
async def bait() -> AsyncIterator[FakeUpstream]:
    """A service of this machine that nobody is to be led to."""
    async with FakeUpstream() as bait:
        yield bait


def spelt(bait: FakeUpstream) -> dict[str, str]:
    """Addresses of the bait as they are written to get past who looks at them."""
    port = bait.url.rsplit(":", 1)[1].split("/")[0]
    return {
        "plain": f"http://127.0.0.1:{port}{PIXEL}",
        "by a name that resolves here": f"http://localhost:{port}{PIXEL}",
        "one number": f"http://2130706433:{port}{PIXEL}",
        "hexadecimal": f"http://0x7f000001:{port}{PIXEL}",
        "octal": f"http://0177.0.0.1:{port}{PIXEL}",
        "short": f"http://127.1:{port}{PIXEL}",
        "IPv6": f"http://[::1]:{port}{PIXEL}",
        "IPv4 in IPv6": f"http://[::ffff:127.0.0.1]:{port}{PIXEL}",
        "behind a user": f"http://example.com@127.0.0.1:{port}{PIXEL}",
        "behind a backslash": f"http://127.0.0.1:{port}\\@example.com{PIXEL}",
        "behind a fragment": f"http://127.0.0.1:{port}#@example.com{PIXEL}",
        "with a tab": f"http://127.0.0.1:\t{port}{PIXEL}",
        "full-width digits": f"http://１２７.0.0.1:{port}{PIXEL}",
        "metadata": "http://169.254.169.254/latest/meta-data/",
        "a file": "file:///etc/passwd",
        "another scheme": f"gopher://127.0.0.1:{port}/_GET",
    }


def with_image(face: str, url: str) -> Any:
    """The body's texts with an image at `url`, in the words of a face."""
    match face:
        case "chat":
            parts: Any = [{"type": "text", "text": "What is it?"}, {"type": "image_url", "image_url": {"url": url}}]
        case "messages":
            parts = [{"type": "image", "source": {"type": "url", "url": url}}]
        case "responses":
            return {"input": [{"role": "user", "content": [{"type": "input_image", "image_url": url}]}]}
        case "gemini":
            return {"contents": [{"role": "user", "parts": [{"fileData": {"fileUri": url, "mimeType": "image/png"}}]}]}
        case _:
            return {"messages": [{"role": "user", "content": "What is it?", "images": [url]}]}
    return {"messages": [{"role": "user", "content": parts}]}


@pytest.mark.parametrize("face", FACES)
async def test_cve_2026_45400_no_url_of_a_caller_is_fetched(house: House, bait: FakeUpstream, face: str) -> None:
    """However an address is written, the gate fetches none: it goes to the provider as it is, or is refused.

    So no parser can disagree with another, no name can resolve to something else the second time, and no redirect counts.
    """
    for provider in WIRES:
        for name, url in spelt(bait).items():
            path, body = asking(face, f"{provider}/m", stream=False)
            house.upstream.requests.clear()
            reply = await house.gate.http.post(path, json={**body, **with_image(face, url)})
            assert reply.status_code in (200, 400, 404, 422, 501), (provider, name, reply.text)
            assert all(asked.header("host") != "169.254.169.254" for asked in house.upstream.requests)
            assert b"root:" not in reply.content
    assert not bait.requests


@pytest.mark.parametrize("face", FACES)
async def test_cve_2024_6587_a_caller_chooses_no_upstream(house: House, bait: FakeUpstream, face: str) -> None:
    """Fields and headers that name another host lead nowhere else, whatever provider is asked."""
    words = ("api_base", "base_url", "api_url", "endpoint", "azure_endpoint", "api_key", "organization", "proxy", "extra_headers")
    headers = (
        "x-portkey-custom-host",
        "x-custom-host",
        "x-base-url",
        "x-api-base",
        "x-forwarded-host",
        "x-upstream",
        "forwarded",
    )
    for provider in WIRES:
        path, body = asking(face, f"{provider}/m", stream=False)
        house.upstream.requests.clear()
        for word in words:
            await house.gate.http.post(path, json={**body, word: bait.url})
        named = dict.fromkeys(headers, bait.url)
        assert (await house.gate.http.post(path, json=body, headers=named)).status_code == 200
        assert house.upstream.requests
    assert not bait.requests


async def test_portkey_1372_a_header_names_no_host(house: House, bait: FakeUpstream) -> None:
    """Neither an absolute address in the request line's place nor a Host of another leads a call there."""
    path, body = asking("chat", "lab/m", stream=False)
    for host in (bait.url.split("/")[2], "example.com"):
        reply = await house.gate.http.post(path, json=body, headers={"host": host, "x-portkey-custom-host": bait.url})
        assert reply.status_code == 200
    assert not bait.requests and (await house.gate.http.post(path, json=body, headers={"authorization": ""})).status_code == 401


def redirecting(url: str, status: int) -> Step:
    return Step("redirecting", lambda _: iter([wire.whole(b"", status=status, headers=[("location", url)])]))


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize("provider", WIRES)
async def test_ghsa_3mj3_57v2_4636_a_credential_follows_no_redirect(
    house: House, bait: FakeUpstream, provider: str, status: int
) -> None:
    """A provider that points elsewhere has failed: its credential goes nowhere, and the caller is not sent there either."""
    house.upstream.script(redirecting(bait.url + "/chat/completions", status))
    reply = await house.ask("chat", f"{provider}/m")
    assert not bait.requests
    assert reply.status_code in (200, 502) and "location" not in reply.headers
    house.upstream.script()


async def test_cve_2026_45401_what_an_operator_named_is_not_left_by_redirects(bait: FakeUpstream) -> None:
    """Documents of an issuer are read where they are, or not at all."""
    async with FakeIssuer() as issuer:
        for path in ("/.well-known/openid-configuration", "/jwks"):
            issuer.faults = {path: redirecting(bait.url, 302)}
            async with believing(issuer) as tokens:
                with pytest.raises(Exception, match=r"(?i)issuer|key"):
                    await tokens.principal_claims(issuer.token(sub="ann").encode())
    assert not bait.requests


async def test_localai_10673_nobody_has_models_fetched(house: House) -> None:
    """Paths by which engines fetch, make or delete models, or shut down, are not passed on to one, whoever asks."""
    for path in ("pull", "push", "create", "copy", "delete", "blobs/sha256:0", "load", "unload"):
        for method in ("POST", "DELETE", "PUT", "GET"):
            house.upstream.requests.clear()
            body = {"model": "http://127.0.0.1/evil", "name": "evil", "from": "http://127.0.0.1/evil.gguf"}
            reply = await house.gate.http.request(method, f"/api/{path}", json=body)
            assert reply.status_code in (403, 404, 405, 501) and not house.upstream.requests, (method, path)


async def test_cve_2026_33626_engines_administration_is_not_passed_on(house: House) -> None:
    """What is below an engine's own address and is no face of the gate is not there."""
    for path in (
        "/gallery",
        "/models/apply",
        "/backend/shutdown",
        "/v1/load_lora_adapter",
        "/reset_prefix_cache",
        "/sleep",
        "/slots",
    ):
        for method in ("POST", "GET"):
            house.upstream.requests.clear()
            reply = await house.gate.http.request(method, path)
            assert reply.status_code in (404, 405) and not house.upstream.requests, path


async def test_cve_2026_7482_no_model_file_comes_from_a_caller(house: House) -> None:
    """Bytes of a model are a file like any other: kept for its owner, and given to no engine."""
    house.upstream.requests.clear()
    crafted = b"GGUF\x03\x00\x00\x00" + b"\xff" * 64
    sent = await house.gate.http.post("/v1/files", data={"purpose": "batch"}, files={"file": ("evil.gguf", crafted)})
    assert sent.status_code in (200, 400)
    assert not house.upstream.requests


async def test_cve_2024_6587_a_callers_credential_stays_here(upstream: FakeUpstream, tmp_path: Path) -> None:
    """A provider gets the gate's credential and none of the caller's headers that hold one, cookies neither."""
    canary = "canary-of-a-caller-0123456789"
    async with running_gate(tmp_path, providers={"lab": lab(upstream.url)}) as gate:
        key = await gate.key()
        upstream.requests.clear()
        more = dict.fromkeys(("x-goog-api-key", "client_id", "client_secret", "x-admin-secret", "cookie", "api-key"), canary)
        body = {"model": "gpt-4.1", "messages": [{"role": "user", "content": "hello"}]}
        reply = await gate.http.post("/v1/chat/completions", json=body, headers={"authorization": f"Bearer {key}", **more})
        assert reply.status_code == 200
        (asked,) = upstream.requests
        told = repr(asked)
        assert canary not in told and key not in told
        assert (asked.header("authorization") or "").startswith("Bearer sk-lab-")
