"""`/v1/responses` through a running gate, over every kind of provider."""

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from aldgate.testing.upstream import Reply, faults
from tests.surfaces.responses.lab import MODELS, SAID, ResponsesLab, call_delta, chat_stream, events, responses_lab, texts

PNG = "data:image/png;base64,iVBORw0KGgo="
LOOK = {"type": "function", "name": "look", "parameters": {"type": "object", "properties": {"at": {"type": "string"}}}}
CODEX: dict[str, Any] = {
    "instructions": "You are a coding agent.",
    "tools": [
        {**LOOK, "name": "exec_command", "strict": False},
        {**LOOK, "name": "update_plan", "strict": False},
        {**LOOK, "name": "view_image", "strict": False},
        {"type": "custom", "name": "apply_patch", "description": "Edit files.", "format": {"type": "grammar", "syntax": "lark"}},
        {"type": "namespace", "name": "mcp__docs", "description": "Docs", "tools": [{**LOOK, "name": "search"}]},
        {"type": "web_search", "external_web_access": True},
        {"type": "local_shell"},
        {"type": "image_generation", "output_format": "png"},
        {"type": "tool_search"},
    ],
    "tool_choice": "auto",
    "parallel_tool_calls": False,
    "reasoning": {"effort": "medium", "summary": "auto"},
    "store": False,
    "stream": True,
    "include": ["reasoning.encrypted_content"],
    "prompt_cache_key": "0199-a",
    "text": {"verbosity": "medium"},
    "client_metadata": {"x-codex-installation-id": "0b1"},
}


@pytest.fixture
async def here(tmp_path: Path) -> AsyncIterator[ResponsesLab]:
    async with responses_lab(tmp_path) as lab:
        yield lab


@pytest.mark.parametrize("model", MODELS)
async def test_a_whole_answer(here: ResponsesLab, model: str):
    response = await here.make(model, "Hi there", metadata={"a": "b"})
    (message,) = response["output"]
    text = "Hi there" if model == "builtin/echo" else SAID
    assert (message["type"], message["role"], message["content"][0]["text"]) == ("message", "assistant", text)
    assert (response["object"], response["status"], response["metadata"]) == ("response", "completed", {"a": "b"})
    required = {"id", "created_at", "model", "tools", "tool_choice", "parallel_tool_calls", "error", "incomplete_details"}
    assert required <= response.keys()
    assert response["usage"].keys() >= {"input_tokens_details", "output_tokens_details", "total_tokens"}


@pytest.mark.parametrize("model", MODELS)
async def test_a_streamed_answer(here: ResponsesLab, model: str):
    told = await here.stream(model, [{"role": "user", "content": "Hi there"}])
    assert texts(told) == ("Hi there" if model == "builtin/echo" else SAID)
    kinds = [event["type"].removeprefix("response.") for event in told]
    assert kinds[:4] == ["created", "in_progress", "output_item.added", "content_part.added"]
    assert kinds[-4:] == ["output_text.done", "content_part.done", "output_item.done", "completed"]
    assert told[-1]["response"]["usage"]["input_tokens"] > 0
    assert told[-1]["response"]["output"] == [told[-2]["item"]]


@pytest.mark.parametrize("model", MODELS[:3])
async def test_what_the_provider_reports_is_what_the_caller_and_the_ledger_see(here: ResponsesLab, model: str):
    here.upstream.reply = Reply(prompt_tokens=100, completion_tokens=7)
    key = await here.gate.key()
    whole = await here.make(model, "Hi", key=key)
    told = await here.stream(model, "Hi", key=key)
    for usage in (whole["usage"], told[-1]["response"]["usage"]):
        assert (usage["input_tokens"], usage["output_tokens"], usage["total_tokens"]) == (100, 7, 107)
    (row,) = await here.gate.usage(key)
    assert (row["calls"], row["prompt_tokens"], row["completion_tokens"]) == (2, 200, 14)


@pytest.mark.parametrize("model", MODELS[:3])
async def test_an_answer_cut_by_the_callers_cap_is_incomplete(here: ResponsesLab, model: str):
    response = await here.make(model, "Hi", max_output_tokens=2)
    assert (response["status"], response["incomplete_details"]) == ("incomplete", {"reason": "max_output_tokens"})
    told = await here.stream(model, "Hi", max_output_tokens=2)
    assert told[-1]["type"] == "response.incomplete"


async def test_bytes_pass_to_a_provider_that_speaks_responses(here: ResponsesLab):
    body = b'{"model" : "native/gpt-4.1", "input":"Hi",  "unheard_of": {"x":1.50}, "store":false}'
    reply = await here.gate.http.post("/v1/responses", content=body, headers={"content-type": "application/json"})
    assert reply.status_code == 200
    assert here.upstream.requests[-1].path == "/v1/responses"
    assert here.upstream.requests[-1].body == body.replace(b'"model" : "native/gpt-4.1"', b'"model":"gpt-4.1"')
    assert reply.json()["output"][0]["phase"] == "final_answer"


@pytest.mark.parametrize("model", MODELS)
async def test_a_kept_response_is_found_at_once_and_by_its_owner_alone(here: ResponsesLab, model: str):
    mine, other = await here.gate.key(), await here.gate.key()
    made = await here.make(model, "Hi", key=mine)
    told = await here.stream(model, "Hi again", key=mine)
    for response in (made, told[-1]["response"]):
        path = f"/v1/responses/{response['id']}"
        for method, where in (("GET", path), ("GET", f"{path}/input_items"), ("POST", f"{path}/cancel"), ("DELETE", path)):
            refused = await here.gate.http.request(method, where, headers={"authorization": f"Bearer {other}"})
            assert (refused.status_code, refused.json()["error"]["code"]) == (404, "not_found")
        owner = {"authorization": f"Bearer {mine}"}
        assert (await here.gate.http.get(path, headers=owner)).json() == response
        deleted = await here.gate.http.delete(path, headers=owner)
        assert deleted.json() == {"id": response["id"], "object": "response", "deleted": True}
        assert (await here.gate.http.get(path, headers=owner)).status_code == 404


async def test_others_cannot_continue_what_is_not_theirs(here: ResponsesLab):
    made = await here.make("lab/gpt-4.1", "Hi", key=await here.gate.key())
    refused = await here.post("lab/gpt-4.1", "And?", key=await here.gate.key(), previous_response_id=made["id"])
    error = refused.json()["error"]
    assert (refused.status_code, error["code"], error["param"]) == (400, "previous_response_not_found", "previous_response_id")


async def test_what_is_not_to_be_stored_is_not(here: ResponsesLab):
    made = await here.make("lab/gpt-4.1", "Hi", store=False)
    assert made["store"] is False
    assert (await here.gate.http.get(f"/v1/responses/{made['id']}")).status_code == 404


@pytest.mark.parametrize("model", MODELS)
async def test_a_response_is_continued_without_its_instructions(here: ResponsesLab, model: str):
    first = await here.make("lab/gpt-4.1", "One", instructions="Be brief")
    second = await here.make(model, "Two", previous_response_id=first["id"])
    assert second["previous_response_id"] == first["id"]
    told = await here.stream(model, "Three", previous_response_id=second["id"])
    assert {event["response"]["previous_response_id"] for event in told if "response" in event} == {second["id"]}
    if model != "builtin/echo":
        sent = json.dumps(here.sent())
        assert [sent.count(word) for word in ("One", "Two", "Three", SAID)] == [1, 1, 1, 2]
        assert "Be brief" not in sent and "previous_response_id" not in sent


async def test_a_chain_with_a_link_deleted_cannot_be_continued(here: ResponsesLab):
    first = await here.make("lab/gpt-4.1", "One")
    second = await here.make("lab/gpt-4.1", "Two", previous_response_id=first["id"])
    await here.gate.http.delete(f"/v1/responses/{first['id']}")
    refused = await here.post("lab/gpt-4.1", "Three", previous_response_id=second["id"])
    assert refused.json()["error"]["code"] == "previous_response_not_found"


async def test_items_are_taken_by_reference(here: ResponsesLab):
    first = await here.make("lab/gpt-4.1", "One")
    reference = {"type": "item_reference", "id": first["output"][0]["id"]}
    await here.make("lab/gpt-4.1", [{"role": "user", "content": "One"}, reference, {"role": "user", "content": "Two"}])
    assert [message["content"] for message in here.sent()["messages"]] == ["One", SAID, "Two"]
    missing = {"type": "item_reference", "id": "msg_0123456789abcdef01234567_0"}
    assert (await here.post("lab/gpt-4.1", [missing])).status_code == 400


async def test_input_items_are_listed_in_pages(here: ResponsesLab):
    first = await here.make("lab/gpt-4.1", "One")
    second = await here.make(
        "lab/gpt-4.1", [{"role": "user", "content": f"{n}"} for n in range(3)], previous_response_id=first["id"]
    )
    path = f"/v1/responses/{second['id']}/input_items"
    every = (await here.gate.http.get(path, params={"order": "asc"})).json()
    said = [item["content"][0]["text"] for item in every["data"]]
    assert (said, every["has_more"]) == (["One", SAID, "0", "1", "2"], False)
    page = (await here.gate.http.get(path, params={"limit": 2})).json()
    assert ([item["content"][0]["text"] for item in page["data"]], page["has_more"]) == (["2", "1"], True)
    rest = (await here.gate.http.get(path, params={"after": page["last_id"]})).json()
    assert [item["content"][0]["text"] for item in rest["data"]] == ["0", SAID, "One"]
    for wrong in ({"limit": "0x1"}, {"limit": "101"}, {"after": "msg_none"}):
        assert (await here.gate.http.get(path, params=wrong)).status_code == 400


@pytest.mark.parametrize("model", MODELS)
async def test_a_kept_response_is_told_again(here: ResponsesLab, model: str):
    told = await here.stream(model, "Hi")
    path = f"/v1/responses/{told[-1]['response']['id']}"
    again = (await here.gate.http.get(path, params={"stream": "true"})).text
    assert events(again) == told
    rest = (await here.gate.http.get(path, params={"stream": "true", "starting_after": "4"})).text
    assert again.endswith(rest) and events(rest) == told[5:]


async def test_a_whole_response_is_told_as_events(here: ResponsesLab):
    made = await here.make("lab/gpt-4.1", "Hi")
    again = await here.gate.http.get(f"/v1/responses/{made['id']}", params={"stream": "true"})
    assert events(again.text)[-1]["response"] == made


async def test_tokens_are_counted_with_all_that_is_continued(here: ResponsesLab):
    first = await here.make("lab/gpt-4.1", "One " * 400)
    count = "/v1/responses/input_tokens"
    alone = (await here.gate.http.post(count, json={"model": "lab/gpt-4.1", "input": "Hi"})).json()
    after = await here.gate.http.post(count, json={"input": "Hi", "previous_response_id": first["id"]})
    assert alone["object"] == "response.input_tokens"
    assert 0 < alone["input_tokens"] < 100 < 400 < after.json()["input_tokens"]
    assert (await here.gate.http.post(count, json={"model": "none/such", "input": "Hi"})).status_code == 404


async def test_what_is_not_there_is_said_so(here: ResponsesLab):
    made = await here.make("lab/gpt-4.1", "Hi")
    assert (await here.gate.http.post(f"/v1/responses/{made['id']}/cancel")).status_code == 400
    assert (await here.gate.http.get(f"/v1/responses/{made['id']}/nothing")).status_code == 404
    assert (await here.gate.http.post(f"/v1/responses/{made['id']}/nothing")).status_code == 404
    assert (await here.gate.http.put("/v1/responses")).status_code == 405


@pytest.mark.parametrize("model", MODELS)
async def test_what_codex_sends_is_taken_on_every_model(here: ResponsesLab, model: str):
    given = [
        {"type": "message", "role": "developer", "content": [{"type": "input_text", "text": "Rules"}]},
        {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "Hi"}]},
    ]
    reply = await here.post(model, given, **CODEX)
    assert reply.status_code == 200, reply.text
    if model in MODELS[1:3]:
        assert here.sent()["tools"] == CODEX["tools"]
        assert "x-aldgate-warnings" not in reply.headers
    else:
        warned = reply.headers["x-aldgate-warnings"]
        assert all(name in warned for name in ("tools.web_search", "tools.apply_patch.format", "client_metadata"))
    if model == "lab/gpt-4.1":
        names = [tool["function"]["name"] for tool in here.sent()["tools"]]
        assert names == ["exec_command", "update_plan", "view_image", "apply_patch", "mcp__docs__search"]


async def test_custom_and_namespaced_tools_come_back_as_the_caller_knows_them(here: ResponsesLab):
    here.upstream.script(
        chat_stream(
            call_delta(0, "c1", "apply_patch", '{"input": "*** Be'),
            call_delta(0, arguments='gin"}'),
            call_delta(1, "c2", "mcp__docs__search", "{}"),
            finish="tool_calls",
        )
    )
    told = (await here.post("lab/gpt-4.1", "Hi", **CODEX)).text
    patch, search = json.loads(told.split("data: ")[-2].split("\n")[0])["response"]["output"]
    assert (patch["type"], patch["name"], patch["input"]) == ("custom_tool_call", "apply_patch", "*** Begin")
    assert (search["type"], search["name"], search["namespace"]) == ("function_call", "search", "mcp__docs")
    assert 'event: response.custom_tool_call_input.done\ndata: {"type":"response.custom_tool_call_input.done"' in told
    answered = [
        {"role": "user", "content": "Hi"},
        patch,
        search,
        {"type": "custom_tool_call_output", "call_id": "c1", "output": "Done"},
        {"type": "function_call_output", "call_id": "c2", "output": [{"type": "input_text", "text": "Found"}]},
    ]
    await here.post("lab/gpt-4.1", answered, **CODEX)
    _, user, turn, *outputs = here.sent()["messages"]
    assert [call["function"] for call in turn["tool_calls"]] == [
        {"name": "apply_patch", "arguments": '{"input":"*** Begin"}'},
        {"name": "mcp__docs__search", "arguments": "{}"},
    ]
    assert [(message["role"], message["tool_call_id"], message["content"]) for message in outputs] == [
        ("tool", "c1", "Done"),
        ("tool", "c2", "Found"),
    ]


async def test_an_idempotency_key_makes_one_response(here: ResponsesLab):
    asked = {"model": "lab/gpt-4.1", "input": "Hi"}
    replies = [await here.gate.http.post("/v1/responses", json=asked, headers={"idempotency-key": "k"}) for _ in range(2)]
    assert replies[0].content == replies[1].content
    assert len(here.upstream.requests) == 1
    assert (await here.gate.http.get(f"/v1/responses/{replies[1].json()['id']}")).status_code == 200


async def test_what_is_continued_is_held_from_the_budget_too(here: ResponsesLab):
    key, long = await here.gate.key(budget="0.30/month"), "One " * 25_000  # at two dollars a million, at most 0.20
    first = await here.make("lab/gpt-4.1", long, key=key, max_output_tokens=9)
    assert (await here.post("lab/gpt-4.1", long, key=key, max_output_tokens=9)).status_code == 200
    refused = await here.post("lab/gpt-4.1", long, key=key, max_output_tokens=9, previous_response_id=first["id"])
    assert (refused.status_code, refused.json()["error"]["code"]) == (402, "budget_exceeded")


async def test_an_older_gateways_word_for_the_input_is_taken(here: ResponsesLab):
    asked = {"model": "native/gpt-4.1", "messages": [{"role": "user", "content": "Hi"}]}
    assert (await here.gate.http.post("/v1/responses", json=asked)).status_code == 200
    assert here.sent()["input"] == asked["messages"]


@pytest.mark.parametrize("model", MODELS[:3])
async def test_a_failure_after_the_beginning_ends_in_response_failed(here: ResponsesLab, model: str):
    here.upstream.script(faults.die_mid_stream(after=6))
    told = await here.stream(model, "Hi")
    failed = told[-1]
    assert failed["type"] == "response.failed"
    assert failed["response"]["status"] == "failed"
    assert failed["response"]["error"]["type"] == "upstream_broken"
    assert failed["response"]["id"] == told[0]["response"]["id"]
    assert [event["sequence_number"] for event in told] == list(range(len(told)))
    assert not [event for event in told if event["type"] == "error"]


@pytest.mark.parametrize("model", MODELS[:3])
async def test_a_failure_before_the_beginning_is_a_plain_error(here: ResponsesLab, model: str):
    here.upstream.script(faults.status(429))
    refused = await here.post(model, "Hi", stream=True)
    assert (refused.status_code, refused.json()["error"]["code"]) == (429, "upstream_rate_limited")


@pytest.mark.parametrize(
    ("asked", "param"),
    [
        ({"input": []}, "input"),
        ({"input": [{"type": "compaction", "encrypted_content": "x"}]}, "input[0]"),
        ({"input": [{"type": "function_call", "name": "x", "arguments": "{}"}]}, "input[0].call_id"),
        ({"input": [{"role": "critic", "content": "x"}]}, "input[0].role"),
        ({"input": "Hi", "conversation": "conv_1"}, "conversation"),
        ({"input": "Hi", "prompt": {"id": "pmpt_1"}}, "prompt"),
        ({"input": "Hi", "top_logprobs": 2}, "top_logprobs"),
        ({"input": "Hi", "tools": [LOOK], "tool_choice": {"type": "function", "name": "other"}}, "tool_choice"),
        ({"input": "Hi", "tools": [{"type": "web_search"}], "tool_choice": {"type": "web_search"}}, "tool_choice"),
        ({"input": "Hi", "tools": [LOOK, LOOK]}, "tools"),
        ({"input": "Hi", "max_output_tokens": 0}, "max_output_tokens"),
        ({"input": 5}, "input"),
    ],
)
async def test_what_cannot_be_said_to_the_model_is_refused_by_name(here: ResponsesLab, asked: dict[str, Any], param: str):
    refused = await here.gate.http.post("/v1/responses", json={"model": "lab/gpt-4.1", **asked})
    assert (refused.status_code, refused.json()["error"]["param"]) == (400, param), refused.text


async def test_every_part_of_a_request_reaches_a_chat_provider(here: ResponsesLab):
    given = [
        {"role": "user", "content": [{"type": "input_text", "text": "Look"}, {"type": "input_image", "image_url": PNG}]},
        {"type": "reasoning", "id": "rs_1", "summary": [{"type": "summary_text", "text": "Hm"}], "encrypted_content": "gAAA"},
        {"type": "function_call", "call_id": "c1", "name": "look", "arguments": '{"at":"it"}'},
        {"type": "function_call_output", "call_id": "c1", "output": "A cat"},
    ]
    schema = {"type": "object", "properties": {}, "additionalProperties": False}
    await here.make(
        "lab/gpt-4.1",
        given,
        tools=[LOOK],
        tool_choice={"type": "allowed_tools", "mode": "required", "tools": [{"type": "function", "name": "look"}]},
        text={"format": {"type": "json_schema", "name": "cat", "schema": schema, "strict": True}},
        reasoning={"effort": "low"},
        temperature=0.5,
    )
    sent = here.sent()
    assert [message["role"] for message in sent["messages"]] == ["user", "assistant", "tool"]
    assert sent["messages"][0]["content"][1]["image_url"]["url"] == PNG
    assert sent["response_format"]["json_schema"] == {"name": "cat", "schema": schema, "strict": True}
    assert (sent["reasoning_effort"], sent["temperature"], sent["tool_choice"]["type"]) == ("low", 0.5, "allowed_tools")


async def test_referring_to_one_item_many_times_is_bounded_before_it_is_written_out(tmp_path: Path):
    async with responses_lab(tmp_path, flags={"server.max_body_bytes": "100000"}) as lab:
        made = await lab.make("builtin/echo", "a" * 50_000)
        reference = {"type": "item_reference", "id": made["output"][0]["id"]}
        asked = {"role": "user", "content": "And?"}
        assert (await lab.post("builtin/echo", [reference, asked])).status_code == 200
        reply = await lab.post("builtin/echo", [reference] * 1_000 + [asked])
        assert (reply.status_code, reply.json()["error"]["code"]) == (413, "body_too_large")


async def test_a_request_cannot_make_the_gate_look_for_thousands_of_responses(tmp_path: Path):
    async with responses_lab(tmp_path) as lab:
        reply = await lab.post("builtin/echo", [{"type": "item_reference", "id": f"msg_{n:024x}_0"} for n in range(5_000)])
        assert (reply.status_code, "more than 100 responses" in reply.text) == (400, True)
