"""Reported bugs of gateways that fail over, each under the letter and number that the list of known failures gives it."""

import asyncio
import json
from pathlib import Path
from typing import Any

import msgspec
import pytest
from tests.gate.fleet import HELLO, TEAM, running_fleet
from tests.support import running_gate

from aldgate.core.errors import UpstreamLimited
from aldgate.dialects.openai.errors import read_error
from aldgate.testing.upstream import FAULTS, Act, FakeUpstream, Step, wire
from aldgate.testing.upstream.replies import STREAM_HEAD

pytestmark = pytest.mark.anyio


async def test_b5_an_overloaded_event_before_any_output_fails_over_like_a_529(tmp_path: Path) -> None:
    """A stream whose first event is an error has not begun: another provider answers, and the caller sees no trace of it."""
    async with running_fleet(tmp_path) as fleet:
        fleet["a"].script(FAULTS["error_first_in_stream"]())
        reply = await fleet.chat(stream=True)
        assert (reply.status_code, reply.headers["x-aldgate-model"]) == (200, "b/gpt-4.1")
        assert [row["error_code"] for row in await fleet.rows()] == ["upstream_overloaded", None]


@pytest.mark.parametrize("begun", [[b": OPENROUTER PROCESSING\n\n"] * 3, [], [b": PROCESSING\n\n"]])
@pytest.mark.parametrize("has_role", [True, False])
async def test_b5_comments_and_an_empty_first_chunk_are_no_output(tmp_path: Path, begun: list[bytes], has_role: bool) -> None:
    """What only keeps the connection awake, or says who will speak, is held back while another provider could answer."""
    role = b'data: {"choices":[{"index":0,"delta":{"role":"assistant","content":""},"finish_reason":null}]}\n\n'
    error = b'data: {"error":{"message":"Overloaded","type":"overloaded_error","code":503}}\n\n'
    apart = [each for event in (*begun, *([role] if has_role else []), error) for each in (wire.chunk(event), Act.TURN)]
    async with running_fleet(tmp_path) as fleet:
        fleet["a"].script(Step("overture", lambda asked: iter([STREAM_HEAD, Act.TURN, *apart, wire.LAST_CHUNK])))
        reply = await fleet.chat(stream=True)
        assert (reply.status_code, reply.headers["x-aldgate-model"]) == (200, "b/gpt-4.1")
        assert "PROCESSING" not in reply.text and "error" not in reply.text and reply.text.endswith("data: [DONE]\n\n")


async def test_b6_a_stream_of_one_error_is_that_error_and_not_a_broken_reply(tmp_path: Path) -> None:
    """What the provider refuses it refuses in a stream too: nobody else is asked, and the caller reads its reason."""
    refusal = b'data: {"error":{"message":"No such tool.","type":"invalid_request_error","code":400}}\n\n'
    head = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ncontent-length: %d\r\n\r\n" % len(refusal)
    asked = 0

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal asked
        asked += 1
        await reader.readuntil(b"\r\n\r\n")
        writer.write(head + refusal)
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    async with server, FakeUpstream() as other:
        port = server.sockets[0].getsockname()[1]
        urls = {"a": f"http://127.0.0.1:{port}/v1", "b": other.url}
        providers: dict[str, dict[str, Any]] = {name: {"base_url": url, "models": ["gpt-4.1"]} for name, url in urls.items()}
        async with running_gate(tmp_path, providers=providers, config=TEAM) as gate:
            reply = await gate.http.post("/v1/chat/completions", json=HELLO | {"stream": True})
    assert reply.status_code == 400 and "No such tool." in reply.text
    assert asked == 1 and other.requests == []


@pytest.mark.parametrize("served", ["a", "b"])
async def test_c7_encrypted_thoughts_go_back_to_who_made_them_or_nowhere(tmp_path: Path, served: str) -> None:
    """A signature that another credential made is a 400 there: the conversation stays where it is, else goes on without it."""
    thought = {"type": "thinking", "thinking": "hm", "signature": "c2VhbGVk", "origin": "openai"}
    first = [{"role": "user", "content": "what is it?"}]
    turns = [*first, {"role": "assistant", "content": "it", "thinking_blocks": [thought]}, {"role": "user", "content": "why?"}]
    async with running_fleet(tmp_path) as fleet:
        if served == "b":
            fleet["a"].script(FAULTS["status_503"]())
        assert (await fleet.chat(messages=first)).headers["x-aldgate-model"] == f"{served}/gpt-4.1"
        assert (await fleet.chat(messages=turns)).headers["x-aldgate-model"] == f"{served}/gpt-4.1"
        assert b"c2VhbGVk" in fleet[served].requests[-1].body
        fleet[served].script(FAULTS["status_503"]())
        other = "a" if served == "b" else "b"
        assert (await fleet.chat(messages=turns)).headers["x-aldgate-model"] == f"{other}/gpt-4.1"
        assert b"c2VhbGVk" not in fleet[other].requests[-1].body
        assert json.loads(fleet[other].requests[-1].body)["messages"][-1] == turns[-1]


async def test_c7_thoughts_of_nobody_known_are_left_out(tmp_path: Path) -> None:
    """After a restart nobody knows whose they are, and a refused call helps nobody."""
    call = {"id": "call_1", "type": "function", "function": {"name": "look", "arguments": "{}"}}
    call["extra_content"] = {"google": {"thought_signature": "c2VhbGVk"}}
    turns = [
        {"role": "user", "content": "look"},
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "call_1", "content": "seen"},
    ]
    async with running_fleet(tmp_path) as fleet:
        assert (await fleet.chat(messages=turns)).status_code == 200
        sent = json.loads(fleet["a"].requests[-1].body)["messages"]
        assert b"c2VhbGVk" not in fleet["a"].requests[-1].body and sent[1]["tool_calls"][0]["id"] == "call_1"


@pytest.mark.parametrize(("asked", "sent"), [("lab/lab/small", "lab/small"), ("lab:openai/gpt-4.1", "openai/gpt-4.1")])
async def test_e4_a_providers_name_is_taken_off_once(tmp_path: Path, asked: str, sent: str) -> None:
    """A model whose own name begins as a provider's does keeps it."""
    async with FakeUpstream() as upstream:
        async with running_gate(tmp_path, providers={"lab": {"base_url": upstream.url}}) as gate:
            assert (await gate.http.post("/v1/chat/completions", json=HELLO | {"model": asked})).status_code == 200
            assert json.loads(upstream.requests[-1].body)["model"] == sent


async def test_e5_the_model_that_answers_is_shown_and_is_the_one_that_is_paid_for(tmp_path: Path) -> None:
    """After a fallback the answer says who gave it, and the bill has that one's price."""
    async with running_fleet(tmp_path, TEAM + 'fallbacks = ["c/gpt-4.1"]\n') as fleet:
        for name in "ab":
            fleet[name].script(FAULTS["status_503"]())
        reply = await fleet.chat()
        usage = reply.json()["usage"]
        assert reply.headers["x-aldgate-model"] == "c/gpt-4.1"
        final = (await fleet.rows())[-1]
        assert (final["model"], final["requested_model"]) == ("c/gpt-4.1", "team")
        assert final["cost_microusd"] == 4 * (usage["prompt_tokens"] + usage["completion_tokens"])


@pytest.mark.parametrize("status", [500, 503])
@pytest.mark.parametrize("inner", [{"code": 429}, {"code": "rate_limit_exceeded"}, {"type": "rate_limit_error"}])
async def test_g5_a_limit_inside_a_server_error_is_a_limit(status: int, inner: dict[str, Any]) -> None:
    """A proxy's 500 around a provider's 429: to wait helps, and the credential is spared meanwhile."""
    body = msgspec.json.encode({"error": {"message": "slow down", **inner}})
    error = read_error(status, body, 3)
    assert isinstance(error, UpstreamLimited) and (error.status, error.retry_after_s) == (429, 3)


@pytest.mark.parametrize("name", ["hang_before_head", "hang_after_head"])
async def test_i3_nobody_is_asked_for_a_caller_who_left(tmp_path: Path, name: str) -> None:
    """The attempt under way is closed at once, and no other is made."""
    async with running_fleet(tmp_path, TEAM + 'fallbacks = ["c/gpt-4.1"]\n') as fleet:
        fleet["a"].script(FAULTS[name]())
        call = asyncio.create_task(fleet.chat())
        await fleet["a"].saw_requests()
        call.cancel()
        async with asyncio.timeout(5):
            await fleet["a"].saw_close()
            while fleet.gate.app.gate.under_way:
                await asyncio.sleep(0)
        assert fleet.asked() == {"a": 1, "b": 0, "c": 0}
        (row,) = await fleet.rows()
        assert (row["error_code"], row["is_final"], row["attempt"]) == ("client_gone", 1, 1)
        assert fleet.busy == 0
