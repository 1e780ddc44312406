"""Calls that become jobs, over a running gate and a fake provider."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx2
import pytest

from aldgate.core.jobs import JobFilter
from aldgate.testing.upstream import FakeUpstream, Valve, faults
from tests.support import RunningGate, lab, running_gate

pytestmark = pytest.mark.anyio
CHAT = "/v1/chat/completions"
ASKED = {"model": "gpt-4.1", "messages": [{"role": "user", "content": "hello"}]}
LATER = {"prefer": "respond-async"}
PRICES = '[prices."lab/gpt-4.1"]\ninput = 1.0\noutput = 2.0\n'


@pytest.fixture
async def upstream() -> AsyncIterator[FakeUpstream]:
    async with FakeUpstream() as upstream:
        yield upstream


@asynccontextmanager
async def running(data: Path, upstream: FakeUpstream) -> AsyncIterator[RunningGate]:
    async with running_gate(data, providers={"lab": lab(upstream.url)}, config=PRICES) as gate:
        yield gate


@pytest.fixture
async def gate(tmp_path: Path, upstream: FakeUpstream) -> AsyncIterator[RunningGate]:
    async with running(tmp_path, upstream) as gate:
        yield gate


async def ask(gate: RunningGate, key: str, body: dict[str, Any], path: str = CHAT, **headers: str) -> httpx2.Response:
    return await gate.http.post(path, json=body, headers={"authorization": f"Bearer {key}", **headers})


async def ended(gate: RunningGate, job: str, key: str | None = None) -> dict[str, Any]:
    headers = {"authorization": f"Bearer {key}"} if key else {}
    reply = await gate.http.get(f"/v1/jobs/{job}", params={"wait": 30}, headers=headers)
    assert reply.status_code == 200, reply.text
    return reply.json()


@pytest.mark.parametrize(("more", "headers"), [({"background": True}, {}), ({}, LATER), ({"background": False}, LATER)])
async def test_a_chat_becomes_a_job_whose_result_is_the_completion(
    gate: RunningGate, upstream: FakeUpstream, more: dict[str, Any], headers: dict[str, str]
) -> None:
    key, other = await gate.key(), await gate.key("other")
    begun = await ask(gate, key, ASKED | more, **headers)
    assert begun.status_code == 202 and begun.headers["location"] == f"/v1/jobs/{begun.json()['id']}", begun.text
    assert begun.json()["state"] == "queued" and begun.json()["operation"] == "chat"
    done = await ended(gate, begun.json()["id"], key)
    assert done["state"] == "succeeded" and done["result"]["object"] == "chat.completion"
    assert done["result"]["choices"][0]["message"]["content"]
    assert "background" not in json.loads(upstream.requests[-1].body)
    assert (await gate.http.get(begun.headers["location"], headers={"authorization": f"Bearer {other}"})).status_code == 404
    (row,) = await gate.usage(key)
    assert row["calls"] == 1 and row["cost_microusd"] == done["cost_microusd"] > 0
    (line,) = (await gate.http.get("/admin/ledger")).json()["data"]
    assert line["call_id"] == done["call_id"] == "req-" + done["id"].removeprefix("job-")


async def test_who_does_not_ask_for_a_job_gets_an_answer(gate: RunningGate) -> None:
    key = await gate.key()
    for body in (ASKED, ASKED | {"background": False}, ASKED | {"background": None}):
        reply = await ask(gate, key, body, prefer="wait=5")
        assert reply.status_code == 200 and reply.json()["object"] == "chat.completion", reply.text
    assert (await gate.http.get("/v1/jobs")).json()["data"] == []


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/v1/completions", {"model": "gpt-4.1", "prompt": "hello"}),
        ("/v1/embeddings", {"model": "builtin/embed", "input": "hello"}),
    ],
)
async def test_other_calls_become_jobs_too(gate: RunningGate, path: str, body: dict[str, Any]) -> None:
    key = await gate.key()
    begun = await ask(gate, key, body, path, **LATER)
    assert begun.status_code == 202, begun.text
    done = await ended(gate, begun.json()["id"])
    assert done["state"] == "succeeded", done
    assert done["result"]["object"] in ("text_completion", "list")


async def test_what_may_not_be_called_becomes_no_job(gate: RunningGate, upstream: FakeUpstream) -> None:
    images = await gate.key(scopes=["image"])
    limited = await gate.key("limited", rpm=1)
    key = await gate.key("other")
    assert (await ask(gate, limited, ASKED)).status_code == 200
    for who, body, status, code in (
        (images, ASKED, 403, "scope_denied"),
        (limited, ASKED, 429, "rate_limit_exceeded"),
        (key, ASKED | {"model": "nobody/x"}, 404, "model_not_found"),
        (key, ASKED | {"stream": True}, 400, "invalid_request"),
        (key, {"model": "gpt-4.1"}, 400, "invalid_request"),
    ):
        refused = await ask(gate, who, body, **LATER)
        assert refused.status_code == status and refused.json()["error"]["code"] == code, (body, refused.text)
    assert (await gate.http.get("/v1/jobs")).json()["data"] == []


async def test_a_budget_that_does_not_suffice_ends_the_job(gate: RunningGate, upstream: FakeUpstream) -> None:
    poor = await gate.key(budget="0.000001/total")
    begun = await ask(gate, poor, ASKED | {"max_tokens": 100_000}, **LATER)
    done = await ended(gate, begun.json()["id"]) if begun.status_code == 202 else begun.json()
    assert done["error"]["code"] == "budget_exceeded", done
    assert not upstream.requests


async def test_a_call_waits_for_the_others_of_its_key(gate: RunningGate, upstream: FakeUpstream) -> None:
    key, valve = await gate.key(concurrency=1), Valve()
    upstream.script(faults.hang_before_head(valve=valve))
    first = (await ask(gate, key, ASKED, **LATER)).json()["id"]
    await upstream.saw_requests()
    begun = await ask(gate, key, ASKED, **LATER)
    assert begun.status_code == 202, begun.text
    job = begun.json()
    async with asyncio.timeout(30):
        while "limit of its key" not in (job["waits_for"] or ""):
            job = (await gate.http.get(f"/v1/jobs/{job['id']}")).json()
    assert job["state"] == "queued"
    await gate.http.delete(f"/v1/jobs/{first}")
    assert (await ended(gate, job["id"]))["state"] == "succeeded"


async def test_a_job_is_kept_no_longer_than_a_policy_says(gate: RunningGate) -> None:
    policy = {"retention": "30d"}
    key = (await gate.http.post("/admin/keys", json={"name": "b", "policy": policy})).json()["key"]
    begun = await ask(gate, key, ASKED, **LATER)
    assert begun.status_code == 202, begun.text
    await ended(gate, begun.json()["id"])
    (job,) = await gate.app.jobs.list(JobFilter(), limit=2)
    assert job.extras["retention_s"] == 30 * 86_400


async def test_the_same_idempotency_key_is_the_same_job(gate: RunningGate) -> None:
    key = await gate.key()
    replies = [await ask(gate, key, ASKED, **LATER, **{"idempotency-key": "once"}) for _ in range(2)]
    assert replies[0].json()["id"] == replies[1].json()["id"]
    await ended(gate, replies[0].json()["id"])
    assert sum(row["calls"] for row in await gate.usage(key)) == 1


async def test_what_the_provider_refuses_is_the_jobs_error(gate: RunningGate, upstream: FakeUpstream) -> None:
    key = await gate.key()
    upstream.script(faults.status(400))
    begun = await ask(gate, key, ASKED, **LATER)
    failed = await ended(gate, begun.json()["id"])
    assert failed["state"] == "failed" and failed["error"]["code"] == "context_length_exceeded" and failed["attempts"] == 1
    again = await gate.http.post(f"/v1/jobs/{failed['id']}/retry", headers={"authorization": f"Bearer {key}"})
    assert again.status_code == 202, again.text
    done = await ended(gate, again.json()["id"])
    assert done["state"] == "succeeded" and done["parent"] == failed["id"]


async def test_what_may_have_been_paid_for_is_not_made_again(gate: RunningGate, upstream: FakeUpstream) -> None:
    upstream.script(faults.die_mid_body())
    begun = await ask(gate, await gate.key(), ASKED, **LATER)
    failed = await ended(gate, begun.json()["id"])
    assert failed["state"] == "failed" and failed["attempts"] == 1, failed
    assert len(upstream.requests) == 1


async def test_a_cancelled_call_is_cut_off(gate: RunningGate, upstream: FakeUpstream) -> None:
    valve = Valve()
    upstream.script(faults.hang_before_head(valve=valve))
    begun = await ask(gate, await gate.key(), ASKED, **LATER)
    await upstream.saw_requests()
    await gate.http.delete(begun.headers["location"])
    assert (await ended(gate, begun.json()["id"]))["state"] == "cancelled"
    await upstream.saw_close()


async def test_a_restart_loses_no_call_and_pays_for_none_twice(tmp_path: Path, upstream: FakeUpstream) -> None:
    upstream.script(faults.hang_before_head(valve=Valve()))
    async with running(tmp_path, upstream) as gate:
        key = await gate.key()
        begun = (await ask(gate, key, ASKED, **LATER)).json()["id"]
        await upstream.saw_requests()
    async with running(tmp_path, upstream) as gate:
        lost = await ended(gate, begun)
        assert lost["state"] == "failed" and lost["error"]["code"] == "answer_lost"
        assert len(upstream.requests) == 1
        assert sum(row["calls"] for row in await gate.usage(key)) == 1


async def test_a_key_that_may_only_chat_sees_its_own_jobs(gate: RunningGate) -> None:
    key, usage = await gate.key(scopes=["chat"]), await gate.key("usage", scopes=["usage"])
    job = (await ask(gate, key, ASKED, **LATER)).json()["id"]
    done = await ended(gate, job, key)
    assert (done["state"], done["progress"]["fraction"]) == ("succeeded", 1.0)
    headers = {"authorization": f"Bearer {key}"}
    assert (await gate.http.get(f"/v1/jobs/{job}/events", headers=headers)).text.count("event: state") >= 3
    assert [each["id"] for each in (await gate.http.get("/v1/jobs", headers=headers)).json()["data"]] == [job]
    assert (await gate.http.get("/v1/webhooks/secret", headers=headers)).status_code == 200
    refused = await gate.http.get("/v1/jobs", headers={"authorization": f"Bearer {usage}"})
    assert (refused.status_code, refused.json()["error"]["code"]) == (403, "scope_denied")
