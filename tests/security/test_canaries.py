"""Secrets that can be recognised are put wherever secrets go, and then looked for wherever they must not come out."""

from __future__ import annotations

import json
import logging
import re
import secrets
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

import pytest

from aldgate.testing.upstream import FakeUpstream, faults
from aldgate.testing.upstream.plays import Step
from aldgate.testing.upstream.wire import whole
from tests.databases import KIND
from tests.regressions.house import asking
from tests.support import RunningGate, anonymous, lab, running_gate

pytestmark = pytest.mark.anyio
FACES = ("chat", "messages", "responses", "gemini", "ollama")


@dataclass
class Aftermath:
    """Where secrets were put, by their names, and all that the gate let out or wrote down."""

    canaries: dict[str, str] = field(default_factory=dict)
    logs: str = ""
    errors: str = ""
    audit: str = ""
    metrics: str = ""
    ledger: str = ""
    disk: dict[str, bytes] = field(default_factory=dict)
    faults: int = 0

    def found_in(self, text: str) -> list[str]:
        return [name for name, secret in self.canaries.items() if secret in text]


def canary(name: str) -> str:
    return f"cnry-{name}-{secrets.token_hex(16)}"


async def lived(gate: RunningGate, upstream: FakeUpstream, seen: Aftermath) -> None:
    """All that people do with secrets, and much that goes wrong with them."""
    put, errors = seen.canaries, []

    async def ask(method: str, path: str, headers: dict[str, str] | None = None, **more: Any) -> Any:
        reply = await gate.http.request(method, path, headers=headers, **more)
        if reply.status_code >= 400:
            errors.append(f"{reply.text} {dict(reply.headers)}")
        return reply

    put["password"], put["another password"] = canary("password"), canary("another")
    put["wrong password"], put["users credential"] = canary("wrong"), canary("brought")
    put["client secret"], put["prompt"], put["unknown key"] = canary("client"), canary("prompt"), canary("unknown")
    put["caller key"] = (await ask("POST", "/admin/keys", json={"name": "app"})).json()["key"]
    listed = (await ask("GET", "/admin/keys")).json()["keys"][0]
    put["caller key, rotated"] = (await ask("POST", f"/admin/keys/{listed['id']}/rotate", json={"overlap": "1h"})).json()["key"]
    await ask("POST", "/admin/clients", json={"name": "shop", "secret": put["client secret"]})
    await ask("POST", "/admin/users", json={"name": "ada", "password": put["password"]})
    login = await ask("POST", "/v1/users/login", json={"username": "ada", "password": put["password"]})
    put["session token"] = login.json()["token"]
    await ask("POST", "/v1/users/login", json={"username": "ada", "password": put["wrong password"]})
    me = {"authorization": f"Bearer {put['session token']}"}
    await ask("PUT", "/v1/provider-credentials/lab", me, json={"api_key": put["users credential"]})
    put["token of a user"] = (await ask("POST", "/v1/users/tokens", me, json={"name": "mine"})).json()["token"]
    invited = (await ask("POST", "/admin/users/invites", json={"role": "member"})).json()
    put["invite"] = invited["invite_token"]
    await ask("POST", "/admin/users/ada/reset", json={"password": put["another password"]})
    credentials = [
        {"authorization": f"Bearer {put['caller key']}"},
        {"x-api-key": put["token of a user"]},
        {"client_id": "shop", "client_secret": put["client secret"]},
        {"x-session-token": put["session token"]},
        {"x-api-key": put["unknown key"]},
        {"authorization": f"Basic {put['unknown key']}"},
        {"client_id": "shop", "client_secret": put["unknown key"]},
    ]
    bad = [faults.status(401), faults.status(500), faults.status(429), echoing(put), faults.die_mid_stream(after=1)]
    for face in FACES:
        path, body = asking(face, "lab/gpt-4.1", stream=False)
        said = with_prompt(face, body, put["prompt"])
        for headers in credentials:
            await ask("POST", path, headers, json=said)
        for step in bad:
            upstream.script(*[step] * 3)
            await ask("POST", path, credentials[0], json=said)
            upstream.script()
        await ask("POST", path, credentials[0], content=put["prompt"].encode(), params={"api_key": put["unknown key"]})
        await ask("POST", path, credentials[0], json={**said, "model": "nobody/none"})
    await ask("DELETE", f"/admin/keys/{put['caller key']}")
    await ask("DELETE", f"/auth/keys/{put['caller key, rotated']}")
    await ask("POST", "/admin/keys", content=put["prompt"].encode())
    async with anonymous(gate, {"authorization": f"Bearer {put['unknown key']}"}) as http:
        for path in ("/admin/keys", f"/{put['unknown key']}", "/v1/models"):
            await http.get(path)
    await gate.app.writer.committed()
    seen.errors = "\n".join(errors)
    seen.audit = (await ask("GET", "/admin/audit", params={"limit": "1000"})).text
    seen.metrics = (await ask("GET", "/metrics")).text
    seen.ledger = (await ask("GET", "/admin/ledger", params={"limit": "1000"})).text


def with_prompt(face: str, body: dict[str, Any], prompt: str) -> dict[str, Any]:
    said = json.loads(json.dumps(body).replace("Hello", prompt))
    return {**said, "store": False} if face == "responses" else said


def echoing(put: dict[str, str]) -> Step:
    """A provider that shows in its error what it was asked with."""
    told = f'{{"error":{{"message":"bad key {put["provider key"]}","type":"invalid_request_error","code":"invalid_api_key"}}}}'
    return Step("echoing", lambda _: iter([whole(told.encode(), status=401)]))


@pytest.fixture(scope="module")
async def seen(anyio_backend: str, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Aftermath]:
    data = tmp_path_factory.mktemp("gate")
    seen = Aftermath()
    put = seen.canaries
    put["provider key"], put["webhook secret"], put["alert secret"] = canary("provider"), canary("webhook"), canary("alert")
    put["static key"] = canary("static")
    lines: list[str] = []
    handler = logging.Handler(logging.DEBUG)
    # As `configure_logging` has it: other packages' talk is not logged at any setting.
    handler.addFilter(lambda record: record.name.startswith("aldgate") or record.levelno >= logging.WARNING)

    def keep(record: logging.LogRecord) -> None:
        trace = logging.Formatter().formatException(record.exc_info) if record.exc_info else ""
        lines.append(f"{record.getMessage()} {vars(record)} {trace}")

    handler.emit = keep
    root, ours = logging.getLogger(), logging.getLogger("aldgate")
    levels = root.level, ours.level
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    ours.setLevel(logging.DEBUG)
    environment = {
        "LAB_KEY": put["provider key"],
        "ALDGATE_GUARDRAILS_WEBHOOK_SECRET": put["webhook secret"],
        "ALDGATE_BUDGETS_ALERT_SECRET": put["alert secret"],
        "LLM_API_API_KEY": put["static key"],
    }
    try:
        async with FakeUpstream() as upstream:
            async with running_gate(data, providers={"lab": lab(upstream.url)}, environment=environment) as gate:
                put["admin key"] = gate.http.headers["authorization"].removeprefix("Bearer ")
                await lived(gate, upstream, seen)
                seen.disk = {path.name: path.read_bytes() for path in data.rglob("*") if path.is_file()}
    finally:
        root.removeHandler(handler)
        root.setLevel(levels[0])
        ours.setLevel(levels[1])
    seen.logs = "\n".join(lines)
    yield seen


async def test_key_leaks_there_is_something_to_leak(seen: Aftermath) -> None:
    """Each of the places was written to, and each canary was made."""
    assert len(seen.canaries) >= 15 and all(len(secret) >= 32 for secret in seen.canaries.values())
    assert seen.logs and seen.errors.count("\n") > 50 and "key.create" in seen.audit and "lab" in seen.metrics
    assert "gpt-4.1" in seen.ledger and (KIND != "sqlite" or {"aldgate.db", "aldgate.db-wal"} <= set(seen.disk))


@pytest.mark.parametrize("place", ["logs", "errors", "audit", "metrics", "ledger"])
async def test_key_leaks_no_secret_is_told(seen: Aftermath, place: str) -> None:
    """Logs at DEBUG with every field and traceback, errors with their headers, audit rows, metrics, the ledger hold none."""
    text = getattr(seen, place)
    assert seen.found_in(text) == [], [line[:400] for line in text.splitlines() if seen.found_in(line)][:4]
    for name, secret in seen.canaries.items():
        assert not re.findall(re.escape(secret[:24]), text), f"much of the {name} is in the {place}"


async def test_key_leaks_no_secret_is_on_the_disk(seen: Aftermath) -> None:
    """Neither the database's file nor what is beside it holds one, deleted pages and the write-ahead log included."""
    found = [
        (file, name) for file, data in seen.disk.items() for name, secret in seen.canaries.items() if secret.encode() in data
    ]
    assert found == []


async def test_envoy_2508_no_debug_line_has_credentials_or_prompts(seen: Aftermath) -> None:
    """The most talkative level says neither what was asked nor with what."""
    assert not [name for name in ("prompt", "provider key", "caller key", "password") if seen.canaries[name] in seen.logs]
    assert "authorization: bearer" not in seen.logs.lower()
