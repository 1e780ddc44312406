"""`/v1/responses/compact` through a running gate: by the provider where it has that, else by a summary of the gate's own."""

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx2
import pytest

from aldgate.dialects.responses.compaction import COMPACTION
from aldgate.dialects.responses.dialect import RESPONSES
from aldgate.providers.openai import OpenAICompatible
from aldgate.providers.prices import PriceBook
from aldgate.testing.upstream import Reply, Step, faults, wire
from tests.surfaces.responses.lab import MODELS, ResponsesLab, responses_lab

TALK: list[dict[str, Any]] = [
    {"role": "developer", "content": "Be brief."},
    {"role": "user", "content": "What is in a.txt?"},
    {"type": "function_call", "call_id": "c1", "name": "read", "arguments": '{"path":"a.txt"}'},
    {"type": "function_call_output", "call_id": "c1", "output": "The answer is 42."},
    {"role": "assistant", "content": "It says 42."},
    {"role": "user", "content": "Thank you."},
]
SUMMARY = "The file a.txt says that the answer is 42."


@pytest.fixture
async def here(tmp_path: Path) -> AsyncIterator[ResponsesLab]:
    async with responses_lab(tmp_path) as lab:
        yield lab


async def compact(here: ResponsesLab, model: str, given: Any, *, key: str | None = None, **more: Any) -> httpx2.Response:
    headers = {"authorization": f"Bearer {key}"} if key else {}
    asked = {"model": model, "input": given, **more}
    return await here.gate.http.post("/v1/responses/compact", json=asked, headers=headers)


@pytest.mark.parametrize("model", MODELS[:3])
async def test_a_summary_takes_the_place_of_all_but_the_users_messages(here: ResponsesLab, model: str):
    here.upstream.reply = Reply(text=SUMMARY)
    key = await here.gate.key()
    reply = await compact(here, model, TALK, key=key, instructions="You are a librarian.")
    assert reply.status_code == 200, reply.text
    asked = json.dumps(here.sent())
    for said in ("You are a librarian.", "Be brief.", "What is in a.txt?", "a.txt", "The answer is 42.", "It says 42."):
        assert said in asked
    compacted = reply.json()
    assert (compacted["object"], compacted["usage"]["input_tokens"]) == ("response.compaction", 10)
    *users, item = compacted["output"]
    assert [each["content"][0]["text"] for each in users] == ["What is in a.txt?", "Thank you."]
    assert (item["type"], sorted(item)) == ("compaction", ["encrypted_content", "id", "type"])
    (row,) = await here.gate.usage(key)
    assert (row["calls"], row["prompt_tokens"]) == (1, 10)


@pytest.mark.parametrize("model", MODELS)
async def test_the_conversation_goes_on_from_it_on_any_model(here: ResponsesLab, model: str):
    here.upstream.reply = Reply(text=SUMMARY)
    window = (await compact(here, "lab/gpt-4.1", TALK)).json()["output"]
    response = await here.make(model, [*window, {"role": "user", "content": "And now?"}])
    if model == "builtin/echo":
        return
    assert SUMMARY in json.dumps(here.sent()) and "encrypted_content" not in json.dumps(here.sent())
    again = await compact(here, model, [*window, *response["output"]])
    assert again.status_code == 200
    assert SUMMARY in json.dumps(here.sent())


async def test_what_a_kept_response_continues_is_compacted(here: ResponsesLab):
    first = await here.make("lab/gpt-4.1", "My name is Ada.")
    reply = await compact(here, "lab/gpt-4.1", "Hello?", previous_response_id=first["id"])
    assert [each["content"][0]["text"] for each in reply.json()["output"][:-1]] == ["My name is Ada.", "Hello?"]
    assert "My name is Ada." in json.dumps(here.sent())


async def test_a_provider_that_compacts_gets_the_callers_bytes(here: ResponsesLab):
    backend = here.gate.app.roster.backends["native"]
    assert isinstance(backend, OpenAICompatible)
    compacting = OpenAICompatible(
        "native",
        pool=backend.pools[0],  # pyright: ignore[reportArgumentType]
        base_path="/v1",
        api_key="k",
        models=("gpt-4.1",),
        origin="file",
        prices=PriceBook("openai", is_free=True),
        dialects=(RESPONSES, COMPACTION),
    )
    here.gate.app.gate.backends = {**here.gate.app.gate.backends, "native": compacting}
    item = {"id": "cmp_1", "type": "compaction", "encrypted_content": "gAAAA"}
    usage = {"input_tokens": 100, "output_tokens": 7, "total_tokens": 107}
    said = {"id": "resp_9", "object": "response.compaction", "created_at": 1, "output": [item], "usage": usage}
    here.upstream.script(Step("compacted", lambda asked: iter([wire.whole(json.dumps(said).encode())])))
    key = await here.gate.key()
    reply = await compact(here, "native/gpt-4.1", TALK, key=key, unheard_of=1)
    assert reply.json() == said
    assert here.upstream.requests[-1].path == "/v1/responses/compact"
    assert (here.sent()["model"], here.sent()["unheard_of"]) == ("gpt-4.1", 1)
    (row,) = await here.gate.usage(key)
    assert (row["prompt_tokens"], row["completion_tokens"]) == (100, 7)
    await here.make("native/gpt-4.1", [item, {"role": "user", "content": "Hi"}])
    assert here.sent()["input"][0] == item


async def test_what_cannot_be_compacted_is_refused(here: ResponsesLab):
    streamed = await compact(here, "lab/gpt-4.1", TALK, stream=True)
    assert (streamed.status_code, streamed.json()["error"]["param"]) == (400, "stream")
    foreign = await compact(here, "lab/gpt-4.1", [{"type": "compaction", "encrypted_content": "gAAAA"}])
    assert (foreign.status_code, foreign.json()["error"]["param"]) == (400, "input[0]")
    damaged = await compact(here, "lab/gpt-4.1", [{"type": "compaction", "encrypted_content": "aldgate-1.?"}])
    assert (damaged.status_code, damaged.json()["error"]["param"]) == (400, "input")
    assert not here.upstream.requests
    here.upstream.reply = Reply(text="")
    empty = await compact(here, "lab/gpt-4.1", TALK)
    assert (empty.status_code, empty.json()["error"]["code"]) == (502, "upstream_invalid")
    here.upstream.script(faults.status(429))
    assert (await compact(here, "lab/gpt-4.1", TALK)).status_code == 429
