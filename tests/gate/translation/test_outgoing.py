"""A fault of ours in translating is told and logged as ours; how deep a request is nested is for its caller to answer for."""

from pathlib import Path
from typing import Any

import pytest

from aldgate.dialects.openai.dialect import OpenAI
from aldgate.testing.upstream import FakeUpstream
from tests.support import lab, running_gate

pytestmark = pytest.mark.anyio

ASKED = {"model": "lab/gpt-4.1", "max_tokens": 9, "messages": [{"role": "user", "content": "Hello"}]}


class Broken(OpenAI):
    """A dialect that fails at writing a request."""

    def __init__(self, error: type[Exception]) -> None:
        super().__init__()
        self._error = error

    def build(self, *_: Any, **__: Any) -> bytes:
        raise self._error("ours")


@pytest.mark.parametrize("error", [AttributeError, KeyError, TypeError, ValueError])
@pytest.mark.parametrize("stream", [False, True])
async def test_a_fault_in_translating_is_a_500_in_the_log(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, error: type[Exception], stream: bool
) -> None:
    async with FakeUpstream() as upstream, running_gate(tmp_path, providers={"lab": lab(upstream.url)}) as gate:
        key = await gate.key("app", concurrency=1)
        backend: Any = gate.app.roster.backends["lab"]
        upstream.requests.clear()
        backend.dialects = {"openai": Broken(error)}
        for _ in range(2):  # the first gave back its place
            reply = await gate.http.post(
                "/v1/messages", json={**ASKED, "stream": stream}, headers={"authorization": f"Bearer {key}"}
            )
            assert (reply.status_code, reply.json()["error"]["type"]) == (500, "api_error")
            assert "ours" not in reply.text
        assert upstream.requests == []
        (row,) = await gate.usage(key)
        assert (row["calls"], row["errors"]) == (2, 2)
    failed = [record for record in caplog.records if record.message == "a request failed"]
    assert len(failed) == 2 and all(record.exc_info and record.exc_info[0] is error for record in failed)
    caplog.clear()


async def test_a_request_nested_too_deep_is_the_callers(tmp_path: Path) -> None:
    async with FakeUpstream() as upstream, running_gate(tmp_path, providers={"lab": lab(upstream.url)}) as gate:
        backend: Any = gate.app.roster.backends["lab"]
        backend.dialects = {"openai": Broken(RecursionError)}
        reply = await gate.http.post("/v1/messages", json=ASKED)
        assert reply.status_code == 400 and "too deep" in reply.json()["error"]["message"]


MESSAGES = '"messages": [{"role": "user", "content": "Hello"}]'
ENDLESS = ["1e999", "[1e999]", '{"x": 1e999}']


@pytest.mark.parametrize("number", ENDLESS, ids=["plain", "listed", "nested"])
@pytest.mark.parametrize(
    ("path", "members"),
    [
        ("/v1/chat/completions", f'"model": "claude/one", {MESSAGES}, "unheard_of": '),
        ("/v1/responses", '"model": "lab/gpt-4.1", "input": "Hello", "unheard_of": '),
        ("/v1/messages", f'"model": "lab/gpt-4.1", "max_tokens": 9, {MESSAGES}, "unheard_of": '),
        ("/v1/messages/count_tokens", f'"model": "lab/gpt-4.1", {MESSAGES}, "unheard_of": '),
        ("/v1beta/models/lab/gpt-4.1:generateContent", '"contents": [{"parts": [{"text": "Hello"}]}], "labels": '),
        ("/api/chat", f'"model": "lab/gpt-4.1", {MESSAGES}, "unheard_of": '),
        ("/api/generate", '"model": "lab/gpt-4.1", "prompt": "Hello", "unheard_of": '),
        ("/v1/rerank", '"model": "builtin/rerank", "query": "a", "documents": ["a"], "unheard_of": '),
        ("/v1/chat/completions", f'"model": "lab/gpt-4.1", {MESSAGES}, "stream": true, "stream_options": {{"x": 1e999}}, "y": '),
    ],
)
async def test_a_number_that_none_can_hold_is_the_callers(tmp_path: Path, path: str, members: str, number: str) -> None:
    async with FakeUpstream() as upstream:
        claude = lab(upstream.url, kind="anthropic", models=["one"])
        async with running_gate(tmp_path, providers={"lab": lab(upstream.url), "claude": claude}) as gate:
            upstream.requests.clear()
            reply = await gate.http.post(path, content=f"{{{members}{number}}}", headers={"content-type": "application/json"})
            assert (reply.status_code, upstream.requests) == (400, []), reply.text
            assert "out of range" in reply.text


async def test_explain_says_of_such_a_number_what_the_call_would_be_told(tmp_path: Path) -> None:
    async with FakeUpstream() as upstream:
        claude = lab(upstream.url, kind="anthropic", models=["one"])
        async with running_gate(tmp_path, providers={"claude": claude}) as gate:
            body = f'{{"model": "claude/one", {MESSAGES}, "unheard_of": 1e999}}'
            reply = await gate.http.post("/v1/explain", content=body, headers={"content-type": "application/json"})
            assert reply.status_code == 200 and "out of range" in reply.text
