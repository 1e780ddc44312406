"""Callers of every dialect who send what no client of theirs would."""

import asyncio
import json
import time
from collections.abc import AsyncIterator
from typing import Any

import pytest

from aldgate.core.calls import Named
from aldgate.core.errors import UpstreamInvalid
from aldgate.core.events import ArgumentsDelta, Finished, TextDelta, ToolCallStarted
from aldgate.core.guardrails.kinds import Words
from aldgate.core.policies import Policy
from aldgate.dialects.gemini.dialect import GEMINI
from aldgate.dialects.ollama.dialect import OLLAMA
from aldgate.dialects.responses.dialect import RESPONSES
from aldgate.gate.translation import translation
from aldgate.testing.upstream import faults
from tests.faults.lab import Lab, running_lab, within
from tests.faults.test_hogs import longest_turn_s
from tests.policies import key_with

MANY = 4_000_000
FACES: dict[str, tuple[str, dict[str, Any]]] = {
    "chat": ("/v1/chat/completions", {"model": "builtin/echo", "messages": [{"role": "user", "content": "x"}]}),
    "responses": ("/v1/responses", {"model": "builtin/echo", "input": "x"}),
    "input_tokens": ("/v1/responses/input_tokens", {"model": "builtin/echo", "input": "x"}),
    "messages": ("/v1/messages", {"model": "builtin/echo", "max_tokens": 9, "messages": [{"role": "user", "content": "x"}]}),
    "count_tokens": ("/v1/messages/count_tokens", {"model": "builtin/echo", "messages": [{"role": "user", "content": "x"}]}),
    "generateContent": ("/v1beta/models/builtin/echo:generateContent", {"contents": [{"parts": [{"text": "x"}]}]}),
    "countTokens": ("/v1beta/models/builtin/echo:countTokens", {"contents": [{"parts": [{"text": "x"}]}]}),
    "embedContent": ("/v1beta/models/builtin/embed:embedContent", {"content": {"parts": [{"text": "x"}]}}),
    "ollama": ("/api/chat", {"model": "builtin/echo", "messages": [{"role": "user", "content": "x"}], "stream": False}),
    "generate": ("/api/generate", {"model": "builtin/echo", "prompt": "x", "stream": False}),
    "rerank": ("/v1/rerank", {"model": "builtin/rerank", "query": "x", "documents": ["x"]}),
}


@pytest.fixture(scope="module")
async def lab(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Lab]:
    async with running_lab(tmp_path_factory.mktemp("gate")) as lab:
        yield lab


async def post(lab: Lab, path: str, body: bytes) -> Any:
    return await lab.gate.http.post(path, content=body, headers={"content-type": "application/json"})


@pytest.mark.parametrize("face", FACES)
@pytest.mark.parametrize(
    "values", [b"[" + b"1," * MANY + b"1]", b"[" + b'"",' * MANY + b'""]', b"{" + b'"":1,' * MANY + b'"":1}']
)
async def test_a_body_of_countless_members_is_refused_before_it_is_read(lab: Lab, face: str, values: bytes) -> None:
    path, said = FACES[face]
    work = asyncio.ensure_future(post(lab, path, json.dumps(said).encode()[:-1] + b',"tools":' + values + b"}"))
    assert await longest_turn_s(work) < 0.5
    reply = work.result()
    assert (reply.status_code, "more than 500000 values" in reply.text) == (400, True)


@pytest.mark.parametrize("face", FACES)
@pytest.mark.parametrize("is_guarded", [False, True])
@pytest.mark.parametrize(
    "member",
    [b'"x":1e400', b'"x":[-1e999]', b'"max_tokens":1e400', b'"tools":{"a":1e999}', b'"options":1e999']
    + [b'"%b":%b1%b' % (name, b'{"a":' * 900, b"}" * 900) for name in (b"x", b"tools", b"options", b"generationConfig")],
)
async def test_whatever_a_member_holds_the_caller_gets_an_answer(lab: Lab, face: str, is_guarded: bool, member: bytes) -> None:
    """Numbers that no float holds, and depth, also on the way through guardrails, which read a request as a whole."""
    path, said = FACES[face]
    headers = {"content-type": "application/json"}
    if is_guarded:
        secret = await key_with(lab.gate, Policy(guardrails=(Words(words=("banana",)),)))
        headers["authorization"] = f"Bearer {secret}"
    reply = await lab.gate.http.post(path, content=json.dumps(said).encode()[:-1] + b"," + member + b"}", headers=headers)
    assert reply.status_code in (200, 400), reply.text


async def test_a_count_without_a_model_may_be_nested_too_deep(lab: Lab) -> None:
    reply = await post(lab, "/v1/responses/input_tokens", b'{"a":' * 3_000)
    assert reply.status_code == 400 and "nested too deep" in reply.text


@pytest.mark.parametrize("face", FACES)
@pytest.mark.parametrize("depth", [100, 450, 900, 5_000, 500_000])
async def test_however_deep_a_body_is_nested_the_caller_gets_an_answer(lab: Lab, face: str, depth: int) -> None:
    path, said = FACES[face]
    deep = b'{"a":[' * depth + b"1" + b"]}" * depth
    reply = await post(
        lab, path, json.dumps(said).encode()[:-1] + b',"x":%b,"tools":[{"name":"f","input_schema":%b}]}' % (deep, deep)
    )
    assert reply.status_code in (200, 400), reply.text


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/v1/responses", {"model": "gpt-4.1", "input": [{"type": [1], "role": "user", "content": "x"}]}),
        ("/v1/responses", {"model": "gpt-4.1", "input": [{"type": "reasoning", "encrypted_content": True}]}),
        (
            "/v1/messages",
            {
                "model": "gpt-4.1",
                "max_tokens": 9,
                "messages": [
                    {"role": "assistant", "content": [{"type": "tool_use", "id": "t", "name": "f", "input": {}}]},
                    {
                        "role": "user",
                        "content": [
                            {
                                "type": "tool_result",
                                "tool_use_id": "t",
                                "content": [{"type": "text", "text": "x"}, {"type": "text", "text": {"a": 1}}],
                            }
                        ],
                    },
                ],
            },
        ),
        (
            "/v1beta/models/gpt-4.1:generateContent",
            {"contents": [{"parts": [{"text": "x"}]}], "generationConfig": {"stopSequences": 5}},
        ),
        ("/v1beta/models/gpt-4.1:countTokens", {"generateContentRequest": 5}),
        ("/v1beta/models/gpt-4.1:countTokens", {"generateContentRequest": [{"contents": 5}]}),
    ],
)
async def test_values_of_the_wrong_type_are_the_callers_fault(lab: Lab, path: str, body: Any) -> None:
    reply = await post(lab, path, json.dumps(body).encode())
    assert reply.status_code == 400, reply.text
    await lab.is_quiet()


async def test_numbers_of_thousands_of_digits_are_refused(lab: Lab) -> None:
    made = await post(lab, FACES["responses"][0], json.dumps(FACES["responses"][1]).encode())
    kept = f"/v1/responses/{made.json()['id']}"
    digits = "9" * 5_000
    for path, headers in [
        (f"{kept}?stream=true&starting_after={digits}", {}),
        (f"{kept}/input_items?limit={digits}", {}),
        (f"{kept}/input_items?limit=\u0663", {}),
        (f"/v1/models?limit={digits}", {"anthropic-version": "2023-06-01"}),
        (f"/v1beta/models?pageSize={digits}", {}),
    ]:
        reply = await lab.gate.http.get(path, headers=headers)
        assert reply.status_code == 400, (path[:60], reply.text)


def test_arguments_of_a_call_that_is_not_open_are_the_providers_fault() -> None:
    seen = RESPONSES.peek("chat", b'{"model":"m","input":"x","stream":true}')
    encoder = RESPONSES.encoder("req-0123", seen, RESPONSES.parse("chat", seen))
    encoder.feed([ToolCallStarted(0, "c", "f"), ArgumentsDelta(0, "{"), TextDelta("Well")])
    with pytest.raises(UpstreamInvalid):
        encoder.feed([ArgumentsDelta(0, "}")])
    event = b'data: {"type":"response.function_call_arguments.delta","output_index":3,"delta":"{}"}\n\n'
    with pytest.raises(UpstreamInvalid):
        RESPONSES.decoder().feed(event)


@pytest.mark.parametrize("path", ["/v1/responses", "/v1/messages", "/api/chat"])
async def test_a_translated_stream_that_does_not_end_is_cut(lab: Lab, path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(translation, "MOST_STREAMED_BYTES", 1_000_000)
    lab.upstream.script(faults.endless_stream())
    asked = {"model": "gpt-4.1", "stream": True, "max_tokens": 9, "messages": [{"role": "user", "content": "x"}]}
    reply = await within(30, post(lab, path, json.dumps(asked).encode()))
    assert "The provider sent a stream that does not end." in reply.text
    await lab.is_quiet()


def test_arguments_in_countless_pieces_are_not_copied_for_each() -> None:
    for face in (RESPONSES, GEMINI, OLLAMA):
        seen = peeked(face)
        encoder = face.encoder("req-0123", seen, face.parse("chat", seen))
        encoder.feed([ToolCallStarted(0, "c", "f"), ArgumentsDelta(0, '{"a":"')])
        began = time.process_time()
        for _ in range(100):
            encoder.feed([ArgumentsDelta(0, "x" * 100)] * 1_000)
        encoder.feed([ArgumentsDelta(0, '"}'), Finished("tool_calls")])
        assert time.process_time() - began < 2
        assert b"xxx" in encoder.end() or face is OLLAMA


def peeked(face: Any) -> Any:
    path, said = FACES[{"responses": "responses", "gemini": "generateContent", "ollama": "ollama"}[face.name]]
    return face.peek("chat", json.dumps({**said, "stream": True}).encode(), Named(path.partition("models/")[2], stream=True))
