"""Bugs reported of other gateways' streams: how they fail, what they report, and how soon they pass on what came."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from tests.regressions.house import (
    FACES,
    SAID,
    WIRES,
    House,
    asking,
    chat_frames,
    frames,
    piece,
    running_house,
    streaming,
)

from aldgate.testing.upstream import Reply, Step, Valve, faults, wire
from aldgate.testing.upstream import anthropic as claude
from aldgate.testing.upstream.replies import STREAM_HEAD

pytestmark = pytest.mark.anyio


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    async with running_house(tmp_path, azure={"kind": "azure", "api_version": "2024-10-21"}) as house:
        yield house


def ends_well(face: str, told: list[Any]) -> bool:
    """Whether the stream says in the face's words that the answer is complete."""
    last = told[-1]
    match face:
        case "chat":
            return last == "[DONE]"
        case "messages":
            return last["type"] == "message_stop"
        case "responses":
            return last == "[DONE]" and told[-2]["type"] == "response.completed"
        case "gemini":
            return "error" not in last and bool(last["candidates"][0].get("finishReason"))
        case _:
            return last.get("done") is True


def ends_badly(face: str, told: list[Any]) -> bool:
    """Whether the last word of the stream is an error of the face's."""
    last = told[-1]
    match face:
        case "messages":
            return last["type"] == "error"
        case "responses":
            return any(event != "[DONE]" and event["type"] == "response.failed" for event in told[-2:])
        case _:
            return "error" in last


BREAKS = {
    "reported": lambda: faults.error_in_stream(after=3),
    "reset": lambda: faults.die_mid_stream(after=3),
    "ended": lambda: faults.truncated_stream(after=3),
}


@pytest.mark.parametrize("face", FACES)
@pytest.mark.parametrize("how", BREAKS)
async def test_b1_a_failure_after_the_head_is_told_and_ends_no_stream_well(house: House, face: str, how: str) -> None:
    """What had come is passed on, then an error in the caller's dialect; no clean end follows, and the ledger has an error."""
    house.upstream.script(BREAKS[how]())
    reply = await house.ask(face, "lab/m", stream=True)
    told = frames(reply.text)
    assert reply.status_code == 200 and "Hello" in reply.text
    assert ends_badly(face, told) and not ends_well(face, told)
    if how == "reported":
        assert "The provider failed: The server had an error while processing your request." in json.dumps(told[-2:])
    (row,) = await house.rows()
    assert row["status"] >= 500 and row["error_code"]


@pytest.mark.parametrize("face", FACES)
@pytest.mark.parametrize("provider", WIRES)
async def test_b2_a_stream_cut_off_is_not_closed_well(house: House, face: str, provider: str) -> None:
    """Whatever the provider speaks: without its last word the caller's stream has none either, and ends with an error."""
    house.upstream.script(faults.truncated_stream(after=4))
    told = frames((await house.ask(face, f"{provider}/m", stream=True)).text)
    assert ends_badly(face, told) and not ends_well(face, told)
    (row,) = await house.rows()
    assert row["error_code"] == "upstream_broken"


@pytest.mark.parametrize("face", FACES)
@pytest.mark.parametrize("stream", [False, True])
async def test_b1_a_failure_in_place_of_an_answer_is_no_empty_answer(house: House, face: str, stream: bool) -> None:
    """An error with status 200, or a stream of nothing, is an error with its own status."""
    house.upstream.script(*([faults.empty_stream()] if stream else [faults.error_200()]))
    reply = await house.ask(face, "lab/m", stream=stream)
    assert reply.status_code >= 500 and "error" in reply.json()


@pytest.mark.parametrize("face", FACES)
@pytest.mark.parametrize("provider", WIRES)
async def test_b4_a_good_stream_ends_as_its_own_protocol_does(house: House, face: str, provider: str) -> None:
    """Whatever the provider speaks, the last word is the caller's protocol's, and no other's."""
    told = frames((await house.ask(face, f"{provider}/m", stream=True)).text)
    assert ends_well(face, told)
    assert ("[DONE]" in told) == (face in ("chat", "responses"))


@pytest.mark.parametrize("stream", [False, True])
async def test_d1_usage_is_asked_for_whether_or_not_the_caller_does(house: House, stream: bool) -> None:
    """A provider reports a stream's usage only when asked: no call is a row of zeros."""
    await house.ask("chat", "lab/m", stream=stream)
    (row,) = await house.rows()
    assert (row["input_tokens"], row["output_tokens"], row["usage_source"]) == (10, 5, "reported")
    assert ("stream_options" in house.sent()) == stream


async def test_d2_providers_that_report_anyway_are_not_asked_and_nobody_gets_a_chunk_unasked(tmp_path: Path) -> None:
    """Mistral refuses `stream_options`; and a chunk of usage that the gate asked for itself is taken out again."""
    async with running_house(tmp_path, strict={"kind": "mistral"}) as house:
        asked = {"stream_options": {"include_usage": True}}
        assert (await house.ask("chat", "strict/m", stream=True, **asked)).status_code == 200
        assert "stream_options" not in house.sent()
        told = frames((await house.ask("chat", "lab/m", stream=True)).text)
        assert house.sent()["stream_options"] == {"include_usage": True}
        assert all(event == "[DONE]" or (event["choices"] and not event.get("usage")) for event in told)


@pytest.mark.parametrize("provider", WIRES)
@pytest.mark.parametrize("wanted", [True, False, None])
async def test_d3_a_caller_gets_the_usage_chunk_if_and_only_if_it_asked(house: House, provider: str, wanted: bool | None) -> None:
    """An explicit `false` is a no, and so is silence; a `true` is answered by every provider."""
    more = {} if wanted is None else {"stream_options": {"include_usage": wanted}}
    told = frames((await house.ask("chat", f"{provider}/m", stream=True, **more)).text)
    reported = [event["usage"] for event in told[:-1] if event.get("usage")]
    assert [usage["total_tokens"] for usage in reported] == ([15] if wanted else [])
    (row,) = await house.rows()
    assert (row["input_tokens"], row["output_tokens"]) == (10, 5)


async def test_d4_text_completions_keep_their_stream_options(house: House) -> None:
    """`/v1/completions` has usage chunks as chat has, and fields that nobody here knows go on."""
    asked = {"model": "lab/m", "prompt": "Hello", "stream": True, "stream_options": {"include_usage": True}, "x_own": 1}
    told = frames((await house.gate.http.post("/v1/completions", json=asked)).text)
    assert told[-2]["usage"]["total_tokens"] == 15
    assert (house.sent()["stream_options"], house.sent()["x_own"]) == ({"include_usage": True}, 1)


@pytest.mark.parametrize("face", ["chat", "messages", "responses"])
@pytest.mark.parametrize("choices", [[{"index": 0, "delta": {}}], [{"delta": {}}], [], None])
async def test_d5_usage_counts_beside_any_last_choice(house: House, face: str, choices: list[Any] | None) -> None:
    """Some servers put it on a chunk with an empty delta, some on one without choices."""
    usage = {"prompt_tokens": 31, "completion_tokens": 7}
    last = {"id": "c", "model": "m", "usage": usage} | ({} if choices is None else {"choices": choices})
    event = wire.chunk(b"data: " + json.dumps(last).encode() + b"\n\n")
    house.upstream.script(streaming(*chat_frames({"role": "assistant"}, {"content": "Hi"}), event))
    assert (await house.ask(face, "lab/m", stream=True)).status_code == 200
    (row,) = await house.rows()
    assert (row["input_tokens"], row["output_tokens"]) == (31, 7)


@pytest.mark.parametrize("stream", [False, True])
async def test_d7_cache_tokens_are_split_for_callers_of_messages(house: House, stream: bool) -> None:
    """What was read and written of a cache reaches a caller of Messages from Claude, and what was read from others."""
    marked = [{"type": "text", "text": "S", "cache_control": {"type": "ephemeral"}}]
    reply = await house.ask("messages", "claude/m", stream=stream, system=marked)
    usage = frames(reply.text)[0]["message"]["usage"] if stream else reply.json()["usage"]
    assert (usage["input_tokens"], usage["cache_read_input_tokens"]) == (10, claude.CACHED)
    assert usage["cache_creation_input_tokens"] == claude.WRITTEN + claude.KEPT
    (row,) = await house.rows()
    assert (row["cached_tokens"], row["cache_write_tokens"]) == (claude.CACHED, claude.WRITTEN + claude.KEPT)


async def test_h2_an_anthropic_stream_is_openais_for_openais_callers(house: House) -> None:
    """The first chunk says `role: assistant`, the last has usage in OpenAI's words."""
    told = frames((await house.ask("chat", "claude/m", stream=True, stream_options={"include_usage": True})).text)
    assert told[0]["choices"][0]["delta"]["role"] == "assistant"
    assert sum("role" in choice["delta"] for event in told[:-1] for choice in event["choices"]) == 1
    usage = told[-2]["usage"]
    assert (usage["prompt_tokens"], usage["completion_tokens"], usage["total_tokens"]) == (10, 5, 15)
    assert "input_tokens" not in usage and told[-2]["choices"] == []


@pytest.mark.parametrize("face", FACES)
async def test_h3_what_azures_filter_adds_to_a_stream_breaks_no_client(house: House, face: str) -> None:
    """Chunks without choices, choices without a delta: neither reaches a caller of any dialect."""
    reply = await house.ask(face, "azure/m", stream=True)
    told = frames(reply.text)
    assert ends_well(face, told) and "prompt_filter_results" not in reply.text
    if face == "chat":
        assert all(event["choices"] and "delta" in event["choices"][0] for event in told[:-1])
        assert "".join(event["choices"][0]["delta"].get("content") or "" for event in told[:-1]) == SAID


async def settled(house: House) -> dict[str, Any]:
    """The one row of the ledger, once nothing is under way and the provider saw its connection close."""
    async with asyncio.timeout(5):
        await house.upstream.saw_close()
        while house.gate.app.gate.under_way:
            await asyncio.sleep(0)
    (row,) = await house.rows()
    return row


@pytest.mark.parametrize("face", FACES)
@pytest.mark.parametrize("stream", [False, True])
async def test_i1_a_caller_who_leaves_is_billed_for_what_ran(house: House, face: str, stream: bool) -> None:
    """The provider charges for it, so there is a row with tokens and a cost: the input at least, and what was delivered."""
    house.upstream.script(faults.stall_mid_stream(after=4) if stream else faults.hang_after_head())
    path, body = asking(face, "lab/m", stream=stream)
    if stream:
        async with house.gate.http.stream("POST", path, json=body) as reply:
            async for line in reply.aiter_lines():
                if "from" in line:
                    break
    else:
        call = asyncio.create_task(house.gate.http.post(path, json=body))
        await asyncio.wait_for(house.upstream.saw_requests(), 5)
        call.cancel()
    row = await settled(house)
    assert row["error_code"] == "client_gone" and row["input_tokens"] > 0 and row["cost_microusd"] > 0
    assert (row["output_tokens"] > 0) == stream


@pytest.mark.parametrize("name", ["lab/m", "lab:m", "m"])
async def test_f5_a_stream_that_broke_off_is_priced_however_its_model_was_named(tmp_path: Path, name: str) -> None:
    """A provider's name in front of the model's makes nothing free."""
    async with running_house(tmp_path) as house:
        house.upstream.script(faults.truncated_stream(after=4))
        await house.ask("chat", name, stream=True)
        (row,) = await house.rows()
        assert row["output_tokens"] > 0
        assert row["cost_microusd"] == 2 * row["input_tokens"] + 8 * row["output_tokens"]


# Calls of tools, as they come.


@pytest.mark.parametrize("face", ["chat", "messages", "responses"])
async def test_s15_arguments_pass_on_as_they_come_after_text_too(house: House, face: str) -> None:
    """Each piece of a call's arguments reaches the caller before the provider says the next; none is dropped or bunched."""
    valve = Valve()
    said = [
        {"role": "assistant", "content": "I look."},
        piece(0, "c1"),
        piece(0, arguments='{"at":'),
        piece(0, arguments='"sea"}'),
    ]
    first, *rest = chat_frames(*said, finish=None)
    held = [each for frame in rest for each in (frame, valve)]
    house.upstream.script(streaming(first, *held, *chat_frames(finish="tool_calls")))
    path, body = asking(face, "lab/m", stream=True)
    marks = iter(["look", '{\\"at\\":', '\\"sea\\"}'])
    mark, text = next(marks), ""
    async with asyncio.timeout(10), house.gate.http.stream("POST", path, json=body) as reply:
        async for line in reply.aiter_lines():
            text += line
            if mark and line.startswith("data:") and mark in line:
                valve.turn()
                mark = next(marks, "")
    assert not mark and "I look." in text


@pytest.mark.parametrize("face", ["chat", "messages", "responses"])
async def test_s15_parallel_calls_stay_apart(house: House, face: str) -> None:
    """Two calls whose pieces come in turns are two calls, each with all of its own arguments."""
    said = [piece(0, "c1"), piece(1, "c2"), piece(0, arguments='{"a"'), piece(1, arguments='{"b"')]
    said += [piece(0, arguments=":1}"), piece(1, arguments=":2}")]
    house.upstream.script(streaming(*chat_frames(*said, finish="tool_calls")))
    told = frames((await house.ask(face, "lab/m", stream=True)).text)
    assert called(face, told) == ['{"a":1}', '{"b":2}']


def called(face: str, told: list[Any]) -> list[str]:
    """The arguments of each call in a stream."""
    arguments: dict[int, str] = {}
    for event in told:
        if face == "chat" and event != "[DONE]":
            for call in event["choices"][0]["delta"].get("tool_calls", ()) if event["choices"] else ():
                arguments[call["index"]] = arguments.get(call["index"], "") + call["function"].get("arguments", "")
        elif face == "messages" and event.get("delta", {}).get("type") == "input_json_delta":
            arguments[event["index"]] = arguments.get(event["index"], "") + event["delta"]["partial_json"]
        elif face == "responses" and event != "[DONE]" and event["type"] == "response.function_call_arguments.delta":
            arguments[event["output_index"]] = arguments.get(event["output_index"], "") + event["delta"]
    return list(arguments.values())


@pytest.mark.parametrize("face", FACES)
@pytest.mark.parametrize("provider", [*WIRES, "builtin"])
async def test_s16_every_face_streams_from_every_provider(house: House, face: str, provider: str) -> None:
    """With the libraries that are installed, a streamed call is answered 200, word by word."""
    reply = await house.ask(face, "builtin/echo" if provider == "builtin" else f"{provider}/m", stream=True)
    assert reply.status_code == 200, reply.text
    words = ["Hello"] if provider == "builtin" else ["Hello", "fake"]
    assert all(word in reply.text for word in words) and ends_well(face, frames(reply.text))


async def test_s17_a_callers_heavy_request_freezes_nobody_elses_stream(tmp_path: Path) -> None:
    """Megabytes translated for one caller hold up the event loop, and so everybody's streams, for less than a second."""
    async with running_house(tmp_path, reply=Reply(body_bytes=4_000_000)) as house:
        path, body = asking("messages", "lab/m", stream=False)
        body["messages"] = [{"role": "user", "content": [{"type": "text", "text": "a " * 1_500_000}]}]
        work = asyncio.create_task(house.gate.http.post(path, json=body))
        longest, before = 0.0, time.perf_counter()
        while not work.done():
            await asyncio.sleep(0)
            now = time.perf_counter()
            longest, before = max(longest, now - before), now
        assert (await work).status_code == 200 and longest < 1.0


async def test_s17_a_stream_is_no_slower_for_the_caller_than_from_the_provider(house: House) -> None:
    """A word reaches the caller while the provider still waits to say the next: nothing is gathered or paced."""
    valve = Valve()
    pieces = [
        each
        for frame in chat_frames(*({"content": f"w{number}"} for number in range(20)), finish=None)
        for each in (frame, valve)
    ]
    house.upstream.script(Step("paced", lambda asked: iter([STREAM_HEAD, *pieces, *chat_frames(), wire.LAST_CHUNK])))
    path, body = asking("chat", "lab/m", stream=True)
    seen = 0
    async with asyncio.timeout(10), house.gate.http.stream("POST", path, json=body) as reply:
        async for line in reply.aiter_lines():
            if f'"w{seen}"' in line:
                seen += 1
                valve.turn()
    assert seen == 20
