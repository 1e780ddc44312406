"""Clients with an id and a secret: out of files, out of the database, and what they may do."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator
from hashlib import sha256
from pathlib import Path
from typing import Any

import httpx2
import pytest

from aldgate.core.hashes import hash_secret
from aldgate.testing.upstream import FakeUpstream
from tests.support import RunningGate, anonymous, lab, running_gate

FILE: dict[str, Any] = {
    "client_id": "test_client",
    "name": "Test Client",
    "client_secret_hash": sha256(b"password").hexdigest(),
    "allowed_providers": ["builtin", "lab", "nowhere"],
    "default_provider": "builtin",
    "default_model": "echo",
    "max_tokens_limit": 2000,
    "rate_limit": {"requests_per_minute": 60, "tokens_per_day": 100000},
    "allowed_endpoints": ["generate", "clients/reload"],
    "created_at": "2025-03-16T20:00:00-04:00",
    "updated_at": "2025-03-16T20:00:00-04:00",
}
MINE = {"client_id": "test_client", "client_secret": "password"}


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("clients")


def write(files: Path, name: str, **changes: Any) -> None:
    (files / name).write_text(json.dumps({**FILE, **changes}), encoding="utf-8")


@pytest.fixture(scope="module")
async def gate(upstream: FakeUpstream, data: Path, files: Path) -> AsyncIterator[RunningGate]:
    write(files, "test_client.json")
    providers = {"lab": lab(upstream.url, models=["gpt-4.1"]), "other": lab(upstream.url, models=["gpt-4.1"])}
    async with running_gate(data, providers=providers, flags={"auth.client_config_dir": str(files)}) as gate:
        yield gate


@pytest.fixture(autouse=True)
async def fresh(gate: RunningGate, files: Path) -> None:
    """Only the one file, read, and nobody's limits touched by other tests' calls."""
    for path in files.iterdir():
        path.unlink()
    write(files, "test_client.json")
    assert (await gate.http.post("/api/v1/clients/reload")).status_code == 200


async def ask(gate: RunningGate, headers: dict[str, str] = MINE, **body: Any) -> httpx2.Response:
    async with anonymous(gate, headers) as http:
        return await http.post("/api/v1/generate", json={"prompt": "Hello, world!", **body})


async def reload(gate: RunningGate, headers: dict[str, str] = MINE, method: str = "GET") -> httpx2.Response:
    async with anonymous(gate, headers) as http:
        return await http.request(method, "/api/v1/clients/reload")


@pytest.mark.anyio
async def test_a_prompt_is_answered_as_documented(gate: RunningGate) -> None:
    reply = await ask(gate, temperature=0.7, max_tokens=150, provider="builtin", model="echo")
    assert reply.status_code == 200, reply.text
    answer = reply.json()
    assert answer["text"] == "Hello, world!" and answer["model"] == "echo"
    used = answer["usage"]
    assert used["total_tokens"] == used["prompt_tokens"] + used["completion_tokens"] > 0
    assert list(answer) == ["text", "model", "usage"]


@pytest.mark.anyio
async def test_headers_are_read_with_hyphens_too(gate: RunningGate) -> None:
    reply = await ask(gate, {"client-id": "test_client", "client-secret": "password"})
    assert reply.status_code == 200


@pytest.mark.anyio
async def test_what_a_prompt_leaves_out_are_its_clients_defaults(gate: RunningGate, upstream: FakeUpstream, files: Path) -> None:
    assert (await ask(gate)).json()["model"] == "echo"
    assert (await ask(gate, model="echo")).json()["model"] == "echo"
    assert (await ask(gate, provider="lab")).json()["model"] == "gpt-4.1"
    assert (await ask(gate, provider="builtin")).json()["model"] == "echo"
    await ask(gate, provider="lab")
    sent = json.loads(upstream.requests[-1].body)
    assert (sent["temperature"], sent["model"]) == (0.7, "gpt-4.1")
    assert sent.get("max_tokens", sent.get("max_completion_tokens")) == 150
    write(files, "test_client.json", default_model="nothing-like-it")
    await reload(gate)
    assert (await ask(gate)).status_code == 404


@pytest.mark.anyio
async def test_a_provider_outside_the_list_is_403_whether_or_not_it_exists(gate: RunningGate) -> None:
    for provider in ("other", "never-heard-of"):
        for model in ({}, {"model": "gpt-4.1"}):
            reply = await ask(gate, provider=provider, **model)
            assert reply.status_code == 403
            assert reply.json()["detail"] == f"Client does not have permission to use provider: {provider}"
    assert (await ask(gate, provider="nowhere", model="gpt-4.1")).status_code == 404
    assert (await ask(gate, provider="nowhere")).status_code == 400
    assert (await ask(gate, model="other/gpt-4.1", provider="")).status_code != 200


@pytest.mark.anyio
async def test_more_tokens_than_allowed_are_400_and_fewer_pass(gate: RunningGate, files: Path) -> None:
    reply = await ask(gate, max_tokens=2001)
    assert (reply.status_code, reply.json()["detail"]) == (400, "Max tokens limit exceeded. Maximum allowed: 2000")
    assert (await ask(gate, max_tokens=2000)).status_code == 200
    write(files, "test_client.json", max_tokens_limit=3)
    await reload(gate)
    assert (await ask(gate)).json()["usage"]["completion_tokens"] <= 3
    assert (await ask(gate, max_tokens=4)).status_code == 400


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("body", "field"),
    [({"prompt": 5}, "prompt"), ({"temperature": 1.5}, "temperature"), ({"max_tokens": 0}, "max_tokens")],
)
async def test_a_field_that_is_wrong_is_named(gate: RunningGate, body: dict[str, Any], field: str) -> None:
    reply = await ask(gate, **body)
    assert reply.status_code == 400 and f"`{field}`" in reply.json()["detail"]


@pytest.mark.anyio
async def test_the_files_limits_are_kept(gate: RunningGate, files: Path) -> None:
    write(files, "limited.json", client_id="limited", rate_limit={"requests_per_minute": 2, "tokens_per_day": 100000})
    write(files, "small.json", client_id="small", rate_limit={"tokens_per_day": 60})
    await reload(gate)
    limited = MINE | {"client_id": "limited"}
    assert [(await ask(gate, limited)).status_code for _ in range(3)] == [200, 200, 429]
    refused = await ask(gate, limited)
    assert int(refused.headers["retry-after"]) > 0 and "requests per minute" in refused.json()["detail"]
    assert (await reload(gate, limited)).status_code == 200  # it is no call
    small = MINE | {"client_id": "small"}
    replies = [(await ask(gate, small, prompt="one two three " * 5)).status_code for _ in range(4)]
    assert replies[0] == 200 and replies[-1] == 429


@pytest.mark.anyio
async def test_only_the_files_endpoints_may_be_used(gate: RunningGate, files: Path) -> None:
    chat = {"model": "builtin/echo", "messages": [{"role": "user", "content": "hi"}]}
    async with anonymous(gate, MINE) as http:
        for method, path, body in (
            ("POST", "/v1/chat/completions", chat),
            ("GET", "/v1/models", None),
            ("GET", "/v1/usage", None),
            ("POST", "/v1/responses", {"model": "builtin/echo", "input": "hi"}),
            ("GET", "/admin/keys", None),
        ):
            reply = await http.request(method, path, json=body)
            assert reply.status_code == 403, path
        write(files, "test_client.json", allowed_endpoints=["/v1/chat/*"])
        assert (await reload(gate)).status_code == 200
        assert (await http.post("/v1/chat/completions", json=chat)).status_code == 200
    assert (await ask(gate)).status_code == 403
    refused = await reload(gate)
    assert refused.status_code == 403 and "/api/v1/clients/reload" in refused.json()["detail"]


@pytest.mark.anyio
@pytest.mark.parametrize(
    "headers",
    [
        {"client_id": "test_client", "client_secret": "Password"},
        {"client_id": "test_client"},
        {"client_id": "nobody", "client_secret": "password"},
        {"client_id": "test_client' OR 1=1 --", "client_secret": "password"},
        {"client_id": "%", "client_secret": "password"},
        {"client_id": "", "client_secret": ""},
        {"client_secret": "password"},
        {},
        {"client_id": "test_client", "client_secret": FILE["client_secret_hash"]},
    ],
)
async def test_who_does_not_prove_to_be_a_client_is_401(gate: RunningGate, headers: dict[str, str]) -> None:
    for reply in (await ask(gate, headers), await reload(gate, headers)):
        assert reply.status_code == 401 and isinstance(reply.json()["detail"], str)


@pytest.mark.anyio
async def test_reload_takes_over_what_is_good_and_names_what_is_not(gate: RunningGate, files: Path) -> None:
    write(files, "second.json", client_id="second", client_secret_hash=hash_secret(b"pass"))
    write(files, "typo.json", client_id="typo", allowed_provider=["builtin"])
    (files / "broken.json").write_text('{"client_id": ', encoding="utf-8")
    for method in ("GET", "POST"):
        reply = (await reload(gate, method=method)).json()
        assert (reply["message"], reply["count"]) == ("Successfully reloaded 2 client configurations", 2)
        assert sorted(each["file"] for each in reply["failed"]) == ["broken.json", "typo.json"]
        assert "allowed_provider" in next(each["error"] for each in reply["failed"] if each["file"] == "typo.json")
    assert (await ask(gate, {"client_id": "second", "client_secret": "pass"})).status_code == 200
    (files / "second.json").write_text("now it is bad", encoding="utf-8")
    assert (await reload(gate)).json()["count"] == 2
    assert (await ask(gate, {"client_id": "second", "client_secret": "pass"})).status_code == 200
    (files / "second.json").unlink()
    assert (await reload(gate)).json()["count"] == 1
    assert (await ask(gate, {"client_id": "second", "client_secret": "pass"})).status_code == 401


@pytest.mark.anyio
async def test_no_request_sees_an_empty_table_while_files_are_read(gate: RunningGate) -> None:
    async def reloads() -> None:
        for _ in range(20):
            assert (await reload(gate, {"authorization": gate.http.headers["authorization"]})).status_code == 200

    reading = asyncio.ensure_future(reloads())
    seen: set[int] = set()
    while not reading.done():
        seen.add((await ask(gate)).status_code)
    await reading
    assert seen <= {200, 429} and 200 in seen


@pytest.mark.anyio
async def test_keys_may_reload_only_with_admin(gate: RunningGate) -> None:
    key = {"authorization": f"Bearer {await gate.key('plain')}"}
    assert (await reload(gate, key)).status_code == 403
    assert (await reload(gate, {"authorization": gate.http.headers["authorization"]})).status_code == 200
    assert (await ask(gate, key, provider="builtin", model="echo")).status_code == 200
    assert (await ask(gate, key)).status_code == 200


@pytest.mark.anyio
async def test_a_clients_calls_are_in_the_ledger_under_it(gate: RunningGate) -> None:
    await ask(gate)
    await gate.app.writer.committed()
    rows = await gate.usage(group_by="key")
    assert any(row["key_id"] == "client-file:test_client" for row in rows), rows
    for said in ("test_client", "client-file:test_client"):
        rows = await gate.usage(group_by="client", client=said)
        assert [(row["client_id"], row["client"]) for row in rows] == [("client-file:test_client", "test_client")]


@pytest.mark.anyio
async def test_neither_a_batch_nor_an_explanation_leads_around_the_endpoints(gate: RunningGate) -> None:
    policy = {"endpoints": ["/v1/files*", "/v1/batches*", "/v1/explain", "/v1/embeddings"]}
    secret = (await gate.http.post("/admin/keys", json={"name": "k", "policy": policy})).json()["key"]
    line = {"custom_id": "1", "method": "POST", "url": "/v1/chat/completions", "body": {"model": "builtin/echo", "messages": []}}
    async with anonymous(gate, {"authorization": f"Bearer {secret}"}) as http:
        file = {"file": ("lines.jsonl", json.dumps(line).encode())}
        kept = (await http.post("/v1/files", data={"purpose": "batch"}, files=file)).json()["id"]
        wanted = {"input_file_id": kept, "completion_window": "24h", "endpoint": "/v1/chat/completions"}
        reply = await http.post("/v1/batches", json=wanted)
        assert reply.status_code == 403 and "/v1/chat/completions" in reply.text
        asked = {"model": "builtin/echo", "messages": [{"role": "user", "content": "hi"}]}
        told = (await http.post("/v1/explain", json=asked)).json()
        assert told["denial"]["code"] == "policy_denied" and "/v1/chat/completions" in told["denial"]["message"]
        told = (await http.post("/v1/explain", json={"operation": "embed", "model": "builtin/embed", "input": "hi"})).json()
        assert told["verdict"] == "allowed"


@pytest.mark.anyio
async def test_a_network_that_is_not_the_callers_is_refused(gate: RunningGate) -> None:
    for networks, status in ((["10.0.0.0/8"], 403), (["127.0.0.0/8"], 200)):
        policy = {"networks": networks}
        secret = (await gate.http.post("/admin/keys", json={"name": "k", "policy": policy})).json()["key"]
        reply = await ask(gate, {"authorization": f"Bearer {secret}"}, provider="builtin", model="echo")
        assert reply.status_code == status and (status == 200 or "127.0.0.1" in reply.json()["detail"])


@pytest.mark.anyio
@pytest.mark.parametrize("account", ["client:stated", "client-file:stated"])
async def test_a_client_in_a_file_has_a_statement(gate: RunningGate, files: Path, account: str) -> None:
    write(files, "stated.json", client_id="stated")
    assert (await gate.http.post("/api/v1/clients/reload")).status_code == 200
    assert (await ask(gate, {**MINE, "client_id": "stated"}, provider="builtin", model="echo")).status_code == 200
    month = time.strftime("%Y-%m", time.gmtime())
    reply = await gate.http.get(f"/admin/statements/{account}", params={"month": month})
    assert reply.status_code == 200, reply.text
    assert (reply.json()["account"], reply.json()["name"]) == ("client-file:stated", "stated")
    assert reply.json()["total"]["calls"] >= 1
    assert (await gate.http.get(f"/admin/statements/{account}s", params={"month": month})).status_code == 404
