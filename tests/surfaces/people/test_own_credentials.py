"""Credentials that users bring: whose calls they are used for, who pays, and that nobody sees them."""

import logging
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx2
import pytest

from aldgate.core.principals import OwnCredential
from aldgate.testing.upstream import FakeUpstream, faults
from tests.databases import ask
from tests.support import RunningGate, lab, running_gate

PASSWORD = "correct horse battery"
HELLO = {"model": "gpt-4.1", "messages": [{"role": "user", "content": "hello"}]}
MINE, THEIRS = "sk-canary-of-ada-0001", "sk-canary-of-bert-0002"
PRICED = '[prices."gpt-4.1"]\ninput = 1.0\noutput = 1.0\n'


def bearer(secret: str) -> dict[str, str]:
    return {"authorization": f"Bearer {secret}"}


@pytest.fixture
async def upstream() -> AsyncIterator[FakeUpstream]:
    async with FakeUpstream() as upstream:
        yield upstream


@pytest.fixture
async def gate(upstream: FakeUpstream, tmp_path: Path) -> AsyncIterator[RunningGate]:
    """A provider with a credential of the gate's (`lab`) and one without (`bare`)."""
    other = upstream.url.replace("127.0.0.1", "localhost")
    providers = {"lab": lab(upstream.url), "bare": {"kind": "openai", "base_url": other, "models": ["gpt-bare"]}}
    async with running_gate(tmp_path, providers=providers, config=PRICED) as gate:
        yield gate


async def user(gate: RunningGate, name: str) -> str:
    assert (await gate.http.post("/admin/users", json={"name": name, "password": PASSWORD})).status_code == 201
    return (await gate.http.post("/v1/users/login", json={"username": name, "password": PASSWORD})).json()["token"]


async def bring(gate: RunningGate, token: str, api_key: str, provider: str = "lab") -> httpx2.Response:
    path = f"/v1/provider-credentials/{provider}"
    return await gate.http.put(path, json={"api_key": api_key}, headers=bearer(token))


async def call(gate: RunningGate, secret: str, **more: Any) -> httpx2.Response:
    return await gate.http.post("/v1/chat/completions", json={**HELLO, **more}, headers=bearer(secret))


def sent_with(upstream: FakeUpstream) -> str:
    return (upstream.requests[-1].header("authorization") or "").removeprefix("Bearer ")


@pytest.mark.anyio
async def test_a_users_calls_are_made_with_their_own_credential_and_nobody_elses(
    gate: RunningGate, upstream: FakeUpstream
) -> None:
    ada, bert, cora = [await user(gate, name) for name in ("ada", "bert", "cora")]
    key = (await gate.http.post("/v1/users/tokens", headers=bearer(ada))).json()["token"]
    assert (await bring(gate, ada, MINE)).status_code == (await bring(gate, bert, THEIRS)).status_code == 200
    for secret, expected in ((ada, MINE), (bert, THEIRS), (key, MINE), (ada, MINE)):
        for stream in (False, True):
            assert (await call(gate, secret, stream=stream)).status_code == 200
            assert sent_with(upstream) == expected
    for secret in (cora, await gate.key()):
        assert (await call(gate, secret)).status_code == 200
        assert sent_with(upstream).startswith("sk-lab-")
    assert (await gate.http.delete("/v1/provider-credentials/lab", headers=bearer(ada))).json() == {"deleted": True}
    assert (await call(gate, ada)).status_code == 200 and sent_with(upstream).startswith("sk-lab-")
    assert (await gate.http.delete("/v1/provider-credentials/lab", headers=bearer(ada))).status_code == 404


@pytest.mark.anyio
async def test_no_connection_carries_two_credentials(gate: RunningGate, upstream: FakeUpstream) -> None:
    ada, bert = await user(gate, "ada"), await user(gate, "bert")
    await bring(gate, ada, MINE)
    await bring(gate, bert, THEIRS)
    before = upstream.connections
    for _ in range(3):
        for secret in (ada, bert):
            assert (await call(gate, secret)).status_code == 200
    assert upstream.connections == before + 2
    await bring(gate, ada, MINE + "-newer")
    await call(gate, ada)
    assert upstream.connections == before + 3 and sent_with(upstream) == MINE + "-newer"


@pytest.mark.anyio
async def test_what_a_user_pays_for_costs_no_budget_and_is_in_the_ledger(gate: RunningGate, tmp_path: Path) -> None:
    ada = await user(gate, "ada")
    made = await gate.http.post("/v1/users/tokens", json={"name": "k"}, headers=bearer(ada))
    policy = '{"scopes":["chat"],"budgets":[{"microusd":1,"period":"total"}]}'  # nothing at all may be spent
    ask(tmp_path, "UPDATE keys SET policy = :policy WHERE id = :key", policy=policy, key=made.json()["info"]["id"])
    key = made.json()["token"]
    assert (await call(gate, key)).status_code == 402
    await bring(gate, ada, MINE)
    assert (await call(gate, key)).status_code == 200
    await gate.app.writer.committed()
    (row,) = ask(tmp_path, "SELECT cost_microusd, price_version, output_tokens FROM ledger")
    assert (row["cost_microusd"], row["price_version"]) == (0, "own") and row["output_tokens"] > 0


@pytest.mark.anyio
async def test_a_bad_credential_of_one_user_is_nobody_elses_trouble(gate: RunningGate, upstream: FakeUpstream) -> None:
    ada, bert = await user(gate, "ada"), await user(gate, "bert")
    await bring(gate, ada, MINE)
    for step in (faults.status(401), faults.status(429), faults.status(402)) * 4:
        upstream.script(step)
        refused = await call(gate, ada)
        assert refused.status_code in (429, 502) and "Your own credential for `lab`" in refused.text
        assert MINE not in refused.text
    upstream.requests.clear()
    assert (await call(gate, bert)).status_code == 200 and sent_with(upstream).startswith("sk-lab-")
    upstreams = (await gate.http.get("/health/upstreams")).json()["upstreams"]
    assert upstreams["lab"]["ok"] is True


@pytest.mark.anyio
async def test_a_credential_can_be_tested_for_nothing(gate: RunningGate, upstream: FakeUpstream) -> None:
    ada = await user(gate, "ada")
    path = "/v1/provider-credentials/lab/test"
    assert (await gate.http.post(path, headers=bearer(ada))).status_code == 404
    await bring(gate, ada, MINE)
    assert (await gate.http.post(path, headers=bearer(ada))).json() == {"provider": "lab", "ok": True, "error": None}
    assert (upstream.requests[-1].method, upstream.requests[-1].path, sent_with(upstream)) == ("GET", "/v1/models", MINE)
    upstream.script(faults.status(401))
    reply = (await gate.http.post(path, headers=bearer(ada))).json()
    assert (reply["ok"], reply["error"]["code"]) == (False, "upstream_auth") and MINE not in str(reply)


@pytest.mark.anyio
async def test_who_asks_sees_what_they_have_where(gate: RunningGate) -> None:
    async def shown(secret: str) -> dict[str, tuple[bool, str, bool]]:
        listed = (await gate.http.get("/v1/providers", headers=bearer(secret))).json()["providers"]
        return {each["name"]: (each["configured"], each["source"], each["can_call"]) for each in listed}

    ada, key = await user(gate, "ada"), await gate.key(scopes=["models"])
    gateways = (True, "gateway", True)
    assert await shown(ada) == {"builtin": gateways, "lab": gateways, "bare": gateways}, "loopback servers want no key"
    await bring(gate, ada, MINE)
    assert (await shown(ada))["lab"] == (True, "own", True)
    assert (await shown(key))["lab"] == (True, "gateway", False)


@pytest.mark.anyio
async def test_other_gateways_words_for_it_work(gate: RunningGate) -> None:
    ada, bert = await user(gate, "ada"), await user(gate, "bert")
    wanted = {"provider": "lab", "credential_type": "api_key", "api_key": MINE}
    reply = await gate.http.post("/v1/users/provider-keys", json=wanted, headers=bearer(ada))
    made = reply.json()
    assert reply.status_code == 201 and made["masked_key"] == "...0001" and made["credential_type"] == "api_key"
    assert (await gate.http.get("/v1/users/provider-keys", headers=bearer(ada))).json() == [made]
    assert (await gate.http.get("/v1/provider-credentials", headers=bearer(bert))).json() == []
    for bad in (
        {"provider": "nowhere"},
        {"provider": "builtin"},
        {"endpoint": "https://evil.example.com"},
        {"credential_type": "endpoint_key"},
        {"api_key": "has a space"},
        {"api_key": "line\r\nx-evil: 1"},
        {"api_key": None},
        {"user": "somebody"},
    ):
        reply = await gate.http.post("/v1/users/provider-keys", json={**wanted, **bad}, headers=bearer(ada))
        assert reply.status_code == 400, bad
    assert (await gate.http.put("/v1/provider-credentials/lab", json={"api_key": MINE})).status_code == 403
    assert (await gate.http.delete("/v1/users/provider-keys/lab", headers=bearer(ada))).json() == {"deleted": True}


@pytest.mark.anyio
async def test_a_credential_is_nowhere_to_be_read(
    gate: RunningGate, upstream: FakeUpstream, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.DEBUG):
        ada = await user(gate, "ada")
        answers = [await bring(gate, ada, MINE), await call(gate, ada)]
        for path in ("/v1/provider-credentials", "/v1/users/me", "/v1/providers", "/admin/users", "/metrics"):
            secret = ada if path.startswith("/v1") else None
            answers.append(await gate.http.get(path, headers=bearer(secret) if secret else None))
        upstream.script(faults.status(401))
        answers.append(await call(gate, ada))
        await gate.app.writer.committed()
    assert all(MINE not in answer.text for answer in answers)
    assert MINE not in caplog.text and ada not in caplog.text and PASSWORD not in caplog.text
    kept = b"".join(path.read_bytes() for path in tmp_path.rglob("aldgate.db*"))
    assert MINE.encode() not in kept and ada.encode() not in kept and PASSWORD.encode() not in kept
    assert MINE not in repr(OwnCredential("own-1", MINE))


@pytest.mark.anyio
async def test_a_new_encryption_key_takes_over_what_the_old_ones_sealed(upstream: FakeUpstream, tmp_path: Path) -> None:
    old, new = "old-key-" + "0123456789" * 3, "new-key-" + "9876543210" * 3
    providers = {"lab": lab(upstream.url)}

    async def first() -> str:
        async with running_gate(tmp_path, providers=providers) as gate:
            ada = await user(gate, "ada")
            await bring(gate, ada, MINE)
            return ada

    async def uses(ada: str, keys: str, sealed: int, lost: int) -> str:
        async with running_gate(tmp_path, providers=providers, flags={"auth.encryption_key": keys}) as gate:
            reply = (await gate.http.post("/admin/provider-credentials/seal")).json()
            assert reply == {"sealed": sealed, "lost": lost}
            assert (await call(gate, ada)).status_code == 200
            return sent_with(upstream)

    ada = await first()
    assert await uses(ada, old, sealed=1, lost=0) == MINE, "the gate's own key opens what it sealed"
    assert await uses(ada, f"{new} {old}", sealed=1, lost=0) == MINE
    assert await uses(ada, new, sealed=0, lost=0) == MINE
    assert (await uses(ada, old, sealed=0, lost=1)).startswith("sk-lab-"), "without its key it is as if it were not there"


@pytest.mark.anyio
async def test_a_key_with_less_than_its_user_changes_none_of_their_credentials(gate: RunningGate, upstream: FakeUpstream) -> None:
    ada = await user(gate, "ada")
    await bring(gate, ada, MINE)
    lesser = (await gate.http.post("/v1/users/tokens", json={"scopes": ["chat"]}, headers=bearer(ada))).json()["token"]
    full = (await gate.http.post("/v1/users/tokens", headers=bearer(ada))).json()["token"]
    assert (await bring(gate, lesser, THEIRS)).status_code == 403
    gone = await gate.http.delete("/v1/provider-credentials/lab", headers=bearer(lesser))
    assert gone.status_code == 403 and "log in" in gone.text
    assert (await call(gate, lesser)).status_code == 200 and sent_with(upstream) == MINE
    assert (await bring(gate, full, THEIRS)).status_code == 200
