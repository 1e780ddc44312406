"""`POST /v1/explain` and `x-aldgate-explain`, through a running gate: every face, every reason, and nothing that changes."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from aldgate.testing.upstream import FakeUpstream
from aldgate.testing.upstream.faults import FAULTS
from tests.support import RunningGate, lab, running_gate

pytestmark = pytest.mark.anyio

EXPLAIN = "/v1/explain"
HELLO: dict[str, Any] = {"model": "lab/gpt-4.1", "messages": [{"role": "user", "content": "hello"}]}
CONFIG = """
[aliases]
quick = "builtin/echo"

[prices."lab/gpt-4.1"]
input = 2
output = 8

[prices."claude/claude-sonnet-4-5"]
input = 3
output = 15

[routes.team]
deployments = ["lab/gpt-4.1", "claude/claude-sonnet-4-5"]
fallbacks = ["builtin/echo"]
"""


@pytest.fixture(scope="module")
async def upstream(anyio_backend: str) -> AsyncIterator[FakeUpstream]:
    async with FakeUpstream() as upstream:
        yield upstream


@pytest.fixture(scope="module")
async def gate(upstream: FakeUpstream, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[RunningGate]:
    providers = {
        "lab": lab(upstream.url),
        "away": lab("https://models.example.com", models=["unpriced"]),
        "claude": {"kind": "anthropic", "base_url": upstream.url, "api_key": "env:LAB_KEY", "models": ["claude-sonnet-4-5"]},
    }
    data: Path = tmp_path_factory.mktemp("gate")
    async with running_gate(data, providers=providers, config=CONFIG) as gate:
        yield gate


def bearer(key: str) -> dict[str, str]:
    return {"authorization": f"Bearer {key}"}


async def told(gate: RunningGate, key: str | None = None, **body: Any) -> dict[str, Any]:
    reply = await gate.http.post(EXPLAIN, json=body, headers=bearer(key) if key else {})
    assert reply.status_code == 200, reply.text
    return reply.json()


async def id_of(gate: RunningGate, name: str) -> str:
    keys = (await gate.http.get("/admin/keys")).json()["keys"]
    return next(key["id"] for key in keys if key["name"] == name)


async def test_an_allowed_call_is_shown_whole_and_not_made(gate: RunningGate, upstream: FakeUpstream) -> None:
    key = await gate.key("whole", rpm=60, tpm=1_000_000, concurrency=4, budget="10.00/month", scopes=["chat", "usage"])
    before = len(upstream.requests)
    explained = await told(gate, key, **HELLO, max_tokens=100)
    assert (explained["verdict"], explained["denial"], explained["reasons"]) == ("allowed", None, [])
    assert (
        explained["who"]["name"] == "whole"
        and explained["who"]["scopes"] == ["chat", "usage"]
        and explained["who"]["kind"] == "key"
    )
    limits = {"rpm": 60, "tpm": 1_000_000, "concurrency": 4}
    own = {"scopes": ["chat", "usage"], "limits": limits, "budgets": [{"microusd": 10_000_000, "period": "month"}]}
    (level,) = explained["policy"]["levels"]
    assert explained["policy"]["scopes"] == ["chat", "usage"] and level["kind"] == "key"
    assert level["policy"] | {"scopes": sorted(level["policy"]["scopes"])} == own
    assert explained["model"] == {"asked": "lab/gpt-4.1", "matched": "listed id", "near": []}
    (candidate,) = explained["route"]["candidates"]
    assert (candidate["deployment"], candidate["provider"], candidate["verdict"], candidate["order"]) == (
        "lab/gpt-4.1",
        "lab",
        "ready",
        1,
    )
    assert candidate["price"]["input"] == "2.00" and candidate["price"]["output"] == "8.00"
    assert candidate["translation"] == {"how": "passes through", "dialect": "openai", "left_out": [], "denial": None}
    assert [(limit["what"], limit["left"]) for limit in explained["limits"]] == [
        ("requests per minute", 60),
        ("tokens per minute", 1_000_000),
        ("calls at once", 4),
    ]
    estimate, budget = explained["estimate"], explained["budgets"][0]
    assert estimate["output_tokens"] == estimate["most_output_tokens"] == 100
    assert 0 < estimate["expected"]["microusd"] <= estimate["most"]["microusd"] == budget["needed"]["microusd"]
    assert budget["free"] == budget["limit"] == {"microusd": 10_000_000, "usd": "10.00"}
    assert (budget["spent"]["microusd"], budget["held"]["microusd"], budget["cuts_output"]) == (0, 0, False)
    assert len(upstream.requests) == before and await gate.usage(key) == []


ASKED: list[tuple[str, dict[str, Any], str]] = [
    ("/v1/chat/completions", HELLO, "passes through"),
    ("/v1/messages", {**HELLO, "max_tokens": 5}, "translated"),
    ("/v1/responses", {"model": "lab/gpt-4.1", "input": "hello"}, "translated"),
    ("/v1beta/models/lab/gpt-4.1:generateContent", {"contents": [{"parts": [{"text": "hello"}]}]}, "translated"),
    ("/v1/models/lab/gpt-4.1:streamGenerateContent?alt=sse", {"contents": [{"parts": [{"text": "hello"}]}]}, "translated"),
    ("/api/chat", HELLO, "translated"),
    ("/api/generate", {"model": "lab/gpt-4.1", "prompt": "hello"}, "translated"),
    ("/v1/embeddings", {"model": "builtin/embed", "input": "hello"}, "passes through"),
    ("/v2/rerank", {"model": "builtin/rerank", "query": "a", "documents": ["b"]}, "translated"),
    ("/v1/moderations", {"input": "hello"}, "passes through"),
]


@pytest.mark.parametrize(("path", "body", "how"), ASKED)
async def test_every_face_is_explained(gate: RunningGate, path: str, body: dict[str, Any], how: str) -> None:
    explained = await told(gate, path=path, body=body)
    assert explained["verdict"] == "allowed", explained["reasons"]
    first = explained["route"]["candidates"][0]
    assert (first["order"], first["translation"]["how"]) == (1, how)


@pytest.mark.parametrize(
    ("operation", "body"),
    [
        ("complete", {"model": "builtin/echo", "prompt": "hello"}),
        ("embed", {"model": "builtin/embed", "input": "hello"}),
        ("rerank", {"model": "builtin/rerank", "query": "a", "documents": ["b"]}),
        ("moderate", {"input": "hello"}),
    ],
)
async def test_an_operation_stands_for_its_path(gate: RunningGate, operation: str, body: dict[str, Any]) -> None:
    explained = await told(gate, operation=operation, **body)
    assert (explained["verdict"], explained["operation"]) == ("allowed", operation), explained["reasons"]


@pytest.mark.parametrize(
    ("name", "matched", "deployment"),
    [
        ("gpt-4.1", "bare name", "lab/gpt-4.1"),
        ("quick", "alias", "builtin/echo"),
        ("team", "route", "lab/gpt-4.1"),
        ("lab:gpt-4.1", "provider:model", "lab/gpt-4.1"),
        ("default", "standing name", "lab/gpt-4.1"),
    ],
)
async def test_the_rule_that_a_name_matched_is_shown(gate: RunningGate, name: str, matched: str, deployment: str) -> None:
    explained = await told(gate, **(HELLO | {"model": name}))
    assert explained["model"]["matched"] == matched
    assert explained["route"]["candidates"][0]["deployment"] == deployment


async def test_a_route_shows_its_fallbacks_and_who_is_asked_after_whom(gate: RunningGate) -> None:
    explained = await told(gate, **(HELLO | {"model": "team"}))
    route = explained["route"]
    assert [(each["deployment"], each["order"], each["for"]) for each in route["candidates"]] == [
        ("lab/gpt-4.1", 1, ["it is number 1 of the list"]),
        ("claude/claude-sonnet-4-5", 2, ["it is number 2 of the list"]),
    ]
    (fallback,) = route["fallbacks"]
    assert fallback["after"] == "failed" and fallback["candidates"][0]["order"] == 3
    assert [each["translation"]["dialect"] for each in route["candidates"]] == ["openai", "anthropic"]


REFUSED: list[tuple[dict[str, Any], str, dict[str, Any], int, str]] = [
    ({"scopes": ["embed"]}, "/v1/chat/completions", HELLO, 403, "scope_denied"),
    ({}, "/v1/chat/completions", HELLO | {"model": "gpt-4.2"}, 404, "model_not_found"),
    ({}, "/v1/embeddings", {"model": "builtin/echo", "input": "x"}, 400, "invalid_request"),
    ({}, "/v1/chat/completions", {"model": "lab/gpt-4.1"}, 400, "invalid_request"),
    ({"budget": "1.00/day"}, "/v1/chat/completions", HELLO | {"model": "away/unpriced"}, 403, "price_unknown"),
    ({"budget": "0.000001/day"}, "/v1/messages", HELLO | {"max_tokens": 1_000}, 402, "budget_exceeded"),
    (
        {},
        "/v1/messages",
        {**HELLO, "max_tokens": 5, "mcp_servers": [{"type": "url", "url": "https://example.com", "name": "x"}]},
        400,
        "invalid_request",
    ),
]


@pytest.mark.parametrize(("policy", "path", "body", "status", "code"), REFUSED)
async def test_a_refusal_is_the_one_that_the_call_gets(
    gate: RunningGate, policy: dict[str, Any], path: str, body: dict[str, Any], status: int, code: str
) -> None:
    key = await gate.key("refused", **policy)
    explained = await told(gate, key, path=path, body=body)
    assert explained["verdict"] == "denied" and explained["denial"] == explained["reasons"][0]
    assert (explained["denial"]["status"], explained["denial"]["code"]) == (status, code)
    reply = await gate.http.post(path, json=body, headers={**bearer(key), "x-aldgate-explain": "1"})
    assert reply.status_code == status and reply.headers["x-aldgate-decision"] == "denied"
    beside = reply.json()["aldgate"]
    assert explained["denial"]["message"] == reply.json()["error"]["message"]
    assert beside["verdict"] == "denied" and beside["denial"] == explained["denial"]
    assert beside["who"]["name"] == "refused"
    assert "aldgate" not in (await gate.http.post(path, json=body, headers=bearer(key))).json()


async def test_names_that_were_perhaps_meant_are_shown(gate: RunningGate) -> None:
    explained = await told(gate, **(HELLO | {"model": "lab/gpt-4.2"}))
    assert explained["model"] == {"asked": "lab/gpt-4.2", "matched": None, "near": explained["model"]["near"]}
    assert "lab/gpt-4.1" in explained["model"]["near"] and explained["route"] is None


async def test_who_cannot_do_it_is_shown_with_the_reason(gate: RunningGate) -> None:
    explained = await told(gate, operation="embed", model="builtin/echo", input="x")
    (candidate,) = explained["route"]["candidates"]
    assert (candidate["verdict"], candidate["order"], candidate["translation"]) == ("out", None, None)
    assert candidate["against"] == ["it cannot embed; it can chat, complete"]


async def test_all_reasons_are_given_and_the_first_is_the_callers(gate: RunningGate) -> None:
    key = await gate.key("poor", scopes=["embed"], budget="1.00/day")
    explained = await told(gate, key, **(HELLO | {"model": "away/unpriced"}))
    assert [reason["code"] for reason in explained["reasons"]] == ["scope_denied", "price_unknown"]
    assert explained["route"]["candidates"][0]["against"] == ["nobody knows its price, and there is a budget"]


async def test_spent_limits_say_when_they_are_there_again(gate: RunningGate) -> None:
    key = await gate.key("spent", rpm=1)
    assert (await gate.http.post("/v1/chat/completions", json=HELLO, headers=bearer(key))).status_code == 200
    explained = await told(gate, key, **HELLO)
    assert explained["denial"]["code"] == "rate_limit_exceeded" and 50 < explained["denial"]["retry_after_s"] <= 60
    (limit,) = explained["limits"]
    assert limit["left"] == 0 and 50 < limit["reset_s"] <= 60


async def test_a_good_answer_says_in_short_what_was_decided(gate: RunningGate) -> None:
    asking = {"x-aldgate-explain": "1"}
    reply = await gate.http.post("/v1/chat/completions", json=HELLO, headers=asking)
    assert reply.headers["x-aldgate-decision"] == "allowed; model=lab/gpt-4.1"
    assert "aldgate" not in reply.json()
    streamed = await gate.http.post("/v1/chat/completions", json=HELLO | {"stream": True}, headers=asking)
    assert streamed.headers["x-aldgate-decision"] == "allowed; model=lab/gpt-4.1"
    plain = await gate.http.post("/v1/chat/completions", json=HELLO)
    assert "x-aldgate-decision" not in plain.headers


async def test_an_admin_explains_for_any_key_and_a_key_for_itself(gate: RunningGate) -> None:
    key = await gate.key("other", scopes=["embed"])
    other = await id_of(gate, "other")
    explained = await told(gate, **HELLO, key_id=other)
    assert explained["who"]["id"] == other and explained["denial"]["code"] == "scope_denied"
    assert (await told(gate, key, **HELLO, key_id=other))["who"]["id"] == other
    reply = await gate.http.post(EXPLAIN, json={**HELLO, "key_id": "admin"}, headers=bearer(key))
    assert (reply.status_code, reply.json()["error"]["code"]) == (403, "scope_denied")
    reply = await gate.http.post(EXPLAIN, json={**HELLO, "key_id": "key-nobody"})
    assert (reply.status_code, reply.json()["error"]["code"]) == (404, "not_found")


async def test_a_revoked_key_is_explained_to_an_admin(gate: RunningGate) -> None:
    await gate.key("gone")
    gone = await id_of(gate, "gone")
    await gate.http.delete(f"/admin/keys/{gone}")
    explained = await told(gate, **HELLO, key_id=gone)
    assert (explained["denial"]["code"], explained["denial"]["status"], explained["who"]["name"]) == (
        "revoked_api_key",
        401,
        "gone",
    )


@pytest.mark.parametrize(
    ("body", "param"),
    [
        (b"[]", None),
        (b'{"operation": "paint"}', "operation"),
        (b'{"operation": "music"}', "operation"),
        (b'{"path": "/v1/messages"}', "body"),
        (b'{"path": "/v1/models", "body": {}}', "path"),
        (b'{"path": "/v1beta/models/x:countTokens", "body": {}}', "path"),
        (b'{"path": "http://[/v1/messages", "body": {}}', "path"),
        (b'{"operation": "chat", "\xff": 1}', None),
    ],
)
async def test_what_is_no_call_cannot_be_explained(gate: RunningGate, body: bytes, param: str | None) -> None:
    reply = await gate.http.post(EXPLAIN, content=body)
    assert (reply.status_code, reply.json()["error"]["param"]) == (400, param)


async def test_nobody_explains_without_a_key(gate: RunningGate) -> None:
    reply = await gate.http.post(EXPLAIN, json=HELLO, headers=bearer("agk-nobody"))
    assert (reply.status_code, reply.json()["error"]["code"]) == (401, "invalid_api_key")


async def test_a_response_that_is_continued_is_explained_with_all_before_it(gate: RunningGate) -> None:
    key = await gate.key("talker")
    first = await gate.http.post("/v1/responses", json={"model": "builtin/echo", "input": "x" * 4_000}, headers=bearer(key))
    asked = {"model": "builtin/echo", "input": "y", "previous_response_id": first.json()["id"]}
    explained = await told(gate, key, path="/v1/responses", body=asked)
    assert explained["estimate"]["input_tokens"] > 1_000
    foreign = await told(gate, path="/v1/responses", body=asked)
    assert foreign["denial"]["code"] == "previous_response_not_found"


@pytest.mark.parametrize("path", [path for path, _, _ in ASKED if path != "/v1/moderations"])
async def test_a_refusal_carries_its_explanation_in_every_dialect(gate: RunningGate, path: str) -> None:
    body = next(body for other, body, _ in ASKED if other == path)
    key = await gate.key("barred", scopes=["moderate"])
    refused = await gate.http.post(path, json=body, headers={**bearer(key), "x-aldgate-explain": "1"})
    plain = await gate.http.post(path, json=body, headers=bearer(key))
    beside = refused.json()
    assert refused.status_code == plain.status_code == 403 and beside.pop("aldgate")["denial"]["code"] == "scope_denied"
    assert beside.keys() == plain.json().keys()  # nothing else is different for whoever looks past it


async def test_a_failure_of_a_provider_is_not_explained(gate: RunningGate, upstream: FakeUpstream) -> None:
    upstream.script(FAULTS["status_503"]())
    reply = await gate.http.post("/v1/chat/completions", json=HELLO, headers={"x-aldgate-explain": "1"})
    assert reply.status_code == 503 and "aldgate" not in reply.json() and "x-aldgate-decision" not in reply.headers


async def test_a_guardrail_that_would_refuse_is_told_with_the_level_that_has_it(gate: RunningGate) -> None:
    fruit = {"kind": "words", "words": ["banana"], "name": "fruit"}
    judge = {"kind": "webhook", "url": "http://127.0.0.1:9/"}
    made = await gate.http.post("/admin/teams", json={"name": "kitchen", "policy": {"guardrails": [fruit, judge]}})
    key = await gate.key(owner=made.json()["id"], policy={"guardrails": [fruit, {"kind": "size", "most_characters": 12}]})
    for said, because in (
        ("A banana!", "The guardrail `fruit` of team `kitchen` found a word that is not allowed in the request."),
        ("Thirteen char", "The guardrail `size` of key `test` found more than 12 characters in the request."),
    ):
        body = {"model": "builtin/echo", "messages": [{"role": "user", "content": said}]}
        explained = await told(gate, key, **body)
        denial = {"code": "content_blocked", "status": 400, "message": because, "param": None, "retry_after_s": None}
        assert (explained["verdict"], explained["denial"]) == ("denied", denial)
    passing = {"model": "builtin/echo", "messages": [{"role": "user", "content": "A pear"}]}
    assert (await told(gate, key, **passing))["verdict"] == "allowed", "whoever else would judge is not asked"
    headers = {**bearer(key), "x-aldgate-explain": "1"}
    body = {"model": "builtin/echo", "messages": [{"role": "user", "content": "A banana!"}]}
    refused = (await gate.http.post("/v1/chat/completions", json=body, headers=headers)).json()
    assert refused["aldgate"]["denial"]["message"] == refused["error"]["message"]
    assert "of team `kitchen`" in refused["error"]["message"]
