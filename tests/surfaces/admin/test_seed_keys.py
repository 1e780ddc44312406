"""Keys at the paths of older gateways, and from the environment."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx2
import pytest

from aldgate.core.policies import Policy
from aldgate.core.principals import CALLER_SCOPES
from aldgate.testing.upstream import FakeUpstream
from tests.policies import key_with
from tests.support import ADMIN_KEY, RunningGate, lab, running_gate

pytestmark = pytest.mark.anyio
SECRET = "a-second-admin-secret-0123456789-abc"
HELLO = {"model": "gpt-4.1", "messages": [{"role": "user", "content": "hello"}]}
STATIC = {
    "ADMIN_SECRET": SECRET,
    "LLM_API_API_KEY": "pluggably-key-0123456789",
    "GATEWAY_BEARER_TOKENS": "token-one-0123456789, token-two-0123456789",
    "GATEWAY_TOKEN_POLICIES_JSON": ('{"token-two-0123456789": {"ip_allowlist": "10.0.0.0/8", "tools_allow_shell": true}}'),
}


@pytest.fixture(scope="module")
async def seeded(upstream: FakeUpstream, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[RunningGate]:
    data: Path = tmp_path_factory.mktemp("seeded")
    async with running_gate(data, providers={"lab": lab(upstream.url)}, environment=STATIC) as gate:
        yield gate


async def bare(gate: RunningGate, method: str, path: str, headers: dict[str, str] | None = None, **more: Any) -> httpx2.Response:
    """Ask without the admin key."""
    async with httpx2.AsyncClient(base_url=gate.url, trust_env=False) as http:
        return await http.request(method, path, headers=headers, **more)


async def calls(gate: RunningGate, **headers: str) -> int:
    renamed = {name.replace("_", "-"): value for name, value in headers.items()}
    return (await bare(gate, "POST", "/v1/chat/completions", renamed, json=HELLO)).status_code


async def test_a_key_is_made_listed_and_revoked_in_envelopes(gate: RunningGate) -> None:
    reply = await gate.http.post("/auth/keys", json={"name": "mobile-app"})
    made = reply.json()
    assert reply.status_code == 200 and made["success"] is True and made["error"] is None and made["job_id"] is None
    assert made["data"]["name"] == "mobile-app" and made["data"]["created_at"] and made["timestamp"]
    key = made["data"]["key"]
    assert await calls(gate, x_api_key=key) == 200
    listed = (await gate.http.get("/auth/keys")).json()["data"]["keys"]
    assert {"name", "created_at", "last_used_at", "is_active"} <= listed[0].keys()
    assert listed[0]["id"] == made["data"]["id"] and listed[0]["is_active"] is True
    other = await gate.key("another")
    refused = await bare(gate, "DELETE", f"/auth/keys/{key}", {"x-api-key": other})
    assert refused.status_code == 403 and refused.json()["error"]["code"] == "SCOPE_DENIED"
    gone = await bare(gate, "DELETE", f"/auth/keys/{key}", {"x-api-key": key})
    assert (gone.status_code, gone.json()["data"]) == (200, {"success": True})
    assert await calls(gate, x_api_key=key) == 401
    assert (await gate.http.delete("/auth/keys/agk-nobody")).json()["error"]["code"] == "NOT_FOUND"
    bad = await bare(gate, "GET", "/auth/keys", {"x-api-key": "bad"})
    assert (bad.status_code, bad.json()["success"], bad.json()["error"]["code"]) == (401, False, "INVALID_API_KEY")


@pytest.mark.parametrize("secret", [SECRET, ADMIN_KEY])
@pytest.mark.parametrize("form", [{"data": {"name": "my-app"}}, {"files": {"name": (None, "my-app")}}])
async def test_forms_make_and_revoke_keys(seeded: RunningGate, secret: str, form: dict[str, Any]) -> None:
    admin = {"x-admin-secret": secret}
    made = await bare(seeded, "POST", "/admin/keys/generate", admin, **form)
    assert made.status_code == 200, made.text
    key = made.json()["api_key"]
    assert made.json()["name"] == "my-app" and made.json()["message"]
    assert await calls(seeded, x_api_key=key) == 200
    listed = await bare(seeded, "GET", "/admin/keys", admin)
    assert {"name", "created", "active", "usage_count", "created_at", "is_active"} <= listed.json()["keys"][0].keys()
    revoked = await bare(seeded, "POST", "/admin/keys/revoke", admin, data={"api_key": key})
    assert (revoked.status_code, revoked.json()["message"]) == (200, "Key revoked")
    assert await calls(seeded, x_api_key=key) == 401
    unknown = await bare(seeded, "POST", "/admin/keys/revoke", admin, data={"api_key": "agk-unknown"})
    assert (unknown.status_code, unknown.json()["detail"]) == (404, "Key not found")


@pytest.mark.parametrize("secret", ["change-me-in-production", SECRET[:-1], SECRET + "x", "00000"])
async def test_a_wrong_admin_secret_is_nobodys(seeded: RunningGate, secret: str) -> None:
    refused = await bare(seeded, "POST", "/admin/keys/generate", {"x-admin-secret": secret}, data={"name": "x"})
    assert refused.status_code == 401 and secret not in refused.text


@pytest.mark.parametrize("form", [{"data": {}}, {"data": {"name": "a", "role": "admin"}}, {"content": b"name=a&name=b"}])
async def test_a_form_that_is_not_right_is_refused(seeded: RunningGate, form: dict[str, Any]) -> None:
    headers = {"x-admin-secret": SECRET, "content-type": "application/x-www-form-urlencoded"}
    assert (await bare(seeded, "POST", "/admin/keys/generate", headers, **form)).status_code == 400


async def test_keys_of_the_environment_call(seeded: RunningGate) -> None:
    assert await calls(seeded, x_api_key=STATIC["LLM_API_API_KEY"]) == 200
    assert await calls(seeded, authorization="Bearer token-one-0123456789") == 200
    assert await calls(seeded, authorization="Bearer token-two-0123456789") == 403
    assert await calls(seeded, authorization="Bearer token-three-0123456789") == 401
    usage = await seeded.usage(STATIC["LLM_API_API_KEY"])
    assert sum(row["calls"] for row in usage) == 1
    listed = await bare(seeded, "GET", "/admin/keys", {"authorization": "Bearer token-one-0123456789"})
    assert listed.status_code == 403


async def test_registration_from_this_machine(gate: RunningGate) -> None:
    made = await bare(gate, "POST", "/auth/keys", json={"name": "mine"})
    assert made.status_code == 200
    assert made.json()["data"]["scopes"] == sorted(CALLER_SCOPES) and made.json()["data"]["budget"] is None
    assert await calls(gate, x_api_key=made.json()["data"]["key"]) == 200
    more = await bare(gate, "POST", "/auth/keys", json={"name": "mine", "scopes": ["admin"]})
    assert more.status_code == 400
    assert (await bare(gate, "GET", "/auth/keys")).status_code == 401


@pytest.mark.parametrize(
    "headers",
    [
        {"x-forwarded-for": "127.0.0.1"},
        {"x-forwarded-host": "x"},
        {"x-forwarded-anything": ""},
        {"x-real-ip": "127.0.0.1"},
        {"forwarded": "for=127.0.0.1"},
        {"via": "1.1 proxy"},
        {"x-original-forwarded-for": "127.0.0.1"},
        {"x-forward-for": "127.0.0.1"},
        {"cf-connecting-ip": "127.0.0.1"},
        {"true-client-ip": "127.0.0.1"},
        {"x-client-ip": ""},
        {"x-envoy-external-address": "127.0.0.1"},
        {"x-real-port": "80"},
        {"cdn-loop": "cloudflare"},
        {"host": "rebound.example"},
        {"host": "127.0.0.1.nip.io:8000"},
        {"origin": "https://evil.example"},
        {"origin": "http://localhost:3000"},
        {"origin": "null"},
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site"},
        {"x-api-key": ""},
        {"authorization": "Bearer"},
        {"authorization": "Bearer wrong"},
        {"authorization": "Basic eDp5"},
    ],
    ids=str,
)
async def test_what_came_through_anything_registers_nobody(gate: RunningGate, headers: dict[str, str]) -> None:
    assert (await bare(gate, "POST", "/auth/keys", headers, json={"name": "x"})).status_code == 401
    assert (await bare(gate, "POST", "/admin/keys/generate", headers, data={"name": "x"})).status_code == 401
    assert (await bare(gate, "POST", "/admin/keys", headers, json={"name": "x"})).status_code == 401


async def test_a_caller_makes_no_keys(gate: RunningGate) -> None:
    key = await key_with(gate, Policy())
    assert (await bare(gate, "POST", "/auth/keys", {"x-api-key": key}, json={"name": "x"})).status_code == 403


@pytest.mark.parametrize(
    ("flags", "status"),
    [
        ({"auth.open_registration": "never"}, 401),
        ({"server.host": "0.0.0.0"}, 401),
        ({"server.host": "0.0.0.0", "auth.open_registration": "always"}, 200),
    ],
)
async def test_the_modes(tmp_path: Path, flags: dict[str, str], status: int) -> None:
    async with running_gate(tmp_path, flags=flags) as gate:
        assert (await bare(gate, "POST", "/auth/keys", json={"name": "x"})).status_code == status
