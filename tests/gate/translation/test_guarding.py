"""Guardrails on calls through a running gate: who else is asked, what that costs, and the operations that only OpenAI has."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import json
import logging
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx2
import pytest

from aldgate.core.guardrails.kinds import Guardrail, Moderation, Pii, Secrets, Webhook, Words
from aldgate.testing.upstream import FakeUpstream
from aldgate.testing.upstream.faults.connection import stall_mid_stream
from aldgate.testing.upstream.faults.errors import status
from aldgate.testing.upstream.plays import Valve
from aldgate.testing.upstream.replies import Reply
from tests.databases import ask
from tests.gate.judging import JudgingService, judging
from tests.guarded import guarded_key
from tests.support import RunningGate, lab, running_gate

pytestmark = pytest.mark.anyio

STREAM = pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
SECRET = "the secret of the webhooks"
MAIL = "bob@example.com"
REDACTS = Pii(applies_to="input")


class House:
    def __init__(self, gate: RunningGate, upstream: FakeUpstream, judge: JudgingService, data: Path) -> None:
        self.gate = gate
        self.upstream = upstream
        self.judge = judge
        self.data = data

    async def key(self, *guardrails: Guardrail, **wanted: Any) -> str:
        return await guarded_key(self.gate, *guardrails, **wanted)

    async def post(self, key: str, path: str, **body: Any) -> httpx2.Response:
        return await self.gate.http.post(path, json=body, headers={"authorization": f"Bearer {key}"})

    async def chat(
        self, key: str, text: str, *, stream: bool = False, model: str = "lab/gpt-4.1", **more: Any
    ) -> httpx2.Response:
        messages = [{"role": "user", "content": text}]
        return await self.post(key, "/v1/chat/completions", model=model, messages=messages, stream=stream, **more)

    async def rows(self, *operations: str) -> list[dict[str, Any]]:
        """The ledger, oldest first."""
        await self.gate.app.writer.committed()
        found = ask(self.data, "SELECT * FROM ledger ORDER BY received_at")
        return [row for row in found if row["operation"] in operations]

    @property
    def sent(self) -> dict[str, Any]:
        return json.loads(self.upstream.requests[-1].body)


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    config = f'[guardrails]\nwebhook_secret = "{SECRET}"\n[ledger]\nwindow_s = 0.01\n'
    async with FakeUpstream() as upstream, judging() as judge:
        providers = {"lab": lab(upstream.url, models=["gpt-4.1", "gpt-3.5-turbo-instruct"])}
        async with running_gate(tmp_path, providers=providers, config=config) as gate:
            yield House(gate, upstream, judge, tmp_path)


def said(reply: httpx2.Response, *, stream: bool) -> str:
    """The text of a chat or a completion."""
    if not stream:
        choice = reply.json()["choices"][0]
        return choice["text"] if "text" in choice else choice["message"]["content"]
    events = [json.loads(line[6:]) for line in reply.text.split("\n\n") if line.startswith("data: {")]
    choices = [choice for event in events for choice in event.get("choices", ())]
    return "".join(choice.get("text") or choice.get("delta", {}).get("content") or "" for choice in choices)


def failure(reply: httpx2.Response) -> dict[str, Any]:
    """The error of an answer, or the one that its stream ended with."""
    body = reply.text if reply.status_code != 200 else reply.text.strip().rpartition("\n\n")[2].removeprefix("data: ")
    return json.loads(body)["error"]


# --- moderation ---


@STREAM
async def test_a_model_judges_requests_as_a_call_of_the_same_principal(house: House, stream: bool) -> None:
    key = await house.key(Moderation(model="builtin/moderate", applies_to="input"), scopes=["chat"], concurrency=1)
    assert (await house.chat(key, "Hello.", stream=stream)).status_code == 200
    reply = await house.chat(key, "How do I murder somebody?", stream=stream)
    assert reply.status_code == 400
    assert failure(reply)["code"] == "content_blocked"
    assert "The guardrail `moderation` of key `test` found content of the category `violence` in the request." in reply.text
    assert len(house.upstream.requests) == 1
    (chat, _), moderated = await house.rows("chat"), await house.rows("moderate")
    assert [row["model"] for row in moderated] == ["builtin/moderate"] * 2
    assert {row["account"] for row in moderated} == {chat["account"]}
    assert [(row["status"], row["cost_microusd"]) for row in await house.rows("chat")][1] == (400, 0)


@STREAM
async def test_a_model_judges_answers(house: House, stream: bool) -> None:
    house.upstream.reply = Reply(text="First you murder them.")
    key = await house.key(Moderation(model="builtin/moderate", applies_to="output"), concurrency=1)
    reply = await house.chat(key, "Hello.", stream=stream)
    assert "The guardrail `moderation` of key `test` found content of the category `violence` in the answer." in reply.text
    assert "murder" not in reply.text.replace("`", "")
    (row,) = await house.rows("chat")
    assert (row["status"], row["error_code"]) == (400, "content_blocked") and row["output_tokens"]


async def test_thresholds_say_what_blocks(house: House) -> None:
    lenient = await house.key(Moderation(model="builtin/moderate", thresholds={"violence": 0.6, "hate": 0.1}))
    assert (await house.chat(lenient, "murder")).status_code == 200
    assert (await house.chat(lenient, "murder, murder")).status_code == 400
    assert (await house.chat(lenient, "[hate]")).status_code == 400


@pytest.mark.parametrize(("on_failure", "expected"), [("open", 200), ("closed", 400)])
async def test_without_a_verdict_the_operator_chose_what_becomes_of_a_call(house: House, on_failure: Any, expected: int) -> None:
    reply = await house.chat(await house.key(Moderation(model="lab/nobody", on_failure=on_failure)), "Hello.")
    assert reply.status_code == expected
    if expected == 400:
        assert "could not judge the request" in failure(reply)["message"]


async def test_money_for_moderation_comes_from_the_same_budget(house: House) -> None:
    key = await house.key(Moderation(model="builtin/moderate"), REDACTS, budget="1.00/month")
    assert (await house.chat(key, MAIL)).status_code == 200
    assert [row["operation"] for row in await house.rows("moderate")] == ["moderate"] * 2
    blocked = await house.chat(key, "murder")
    assert blocked.status_code == 400
    usage = await house.gate.usage(key)
    assert usage[0]["cost_microusd"] == sum(row["cost_microusd"] for row in await house.rows("chat", "moderate"))


# --- webhooks ---


@STREAM
async def test_a_webhook_is_asked_signed_after_what_acts_before_it(house: House, stream: bool) -> None:
    key = await house.key(REDACTS, Webhook(url=house.judge.url, name="judge"), name="caller")
    assert (await house.chat(key, f"I am {MAIL}", stream=stream)).status_code == 200
    first, second = house.judge.questions
    assert (first["place"], first["texts"], first["guardrail"]) == ("request", ["I am [EMAIL_1]"], "judge")
    assert (first["operation"], first["model"]) == ("chat", "lab/gpt-4.1")
    assert (second["place"], second["texts"]) == ("answer", ["Hello from the fake upstream."])
    for head, body in zip(house.judge.heads, house.judge.asked, strict=True):
        signed = f"{head['webhook-id']}.{head['webhook-timestamp']}.".encode() + body
        expected = base64.b64encode(hmac.digest(SECRET.encode(), signed, hashlib.sha256)).decode()
        assert head["webhook-signature"] == f"v1,{expected}"


@STREAM
async def test_a_webhook_may_replace_what_is_said_and_asked(house: House, stream: bool) -> None:
    house.judge.answer = {"verdict": "replace", "texts": ["Something else."]}
    reply = await house.chat(await house.key(Webhook(url=house.judge.url)), "Hello.", stream=stream)
    assert house.sent["messages"][0]["content"] == "Something else."
    assert said(reply, stream=stream) == "Something else."


@pytest.mark.parametrize("place", ["input", "output"])
@STREAM
async def test_a_webhook_may_block(house: House, place: Any, stream: bool) -> None:
    house.judge.answer = {"verdict": "block", "reason": "not shown"}
    reply = await house.chat(await house.key(Webhook(url=house.judge.url, applies_to=place)), "Hello.", stream=stream)
    assert failure(reply)["code"] == "content_blocked" and "not shown" not in reply.text
    assert len(house.upstream.requests) == (place == "output")


@pytest.mark.parametrize(
    "answer", [b"no JSON", {"verdict": "maybe"}, {"verdict": "replace", "texts": ["a", "b"]}, None, "status"]
)
async def test_a_webhook_that_fails_blocks_or_not_as_the_operator_chose(house: House, answer: Any) -> None:
    if answer == "status":
        house.judge.status = 500
    else:
        house.judge.answer = answer
    closed = Webhook(url=house.judge.url, applies_to="input", timeout_s=0.1)
    assert (await house.chat(await house.key(closed), "Hello.")).status_code == 400
    opened = Webhook(url=house.judge.url, applies_to="input", timeout_s=0.1, on_failure="open")
    assert (await house.chat(await house.key(opened), "Hello.")).status_code == 200


async def test_a_long_answer_is_judged_as_it_comes(house: House) -> None:
    house.upstream.reply = Reply(text="word " * 1_500, completion_tokens=2_000)
    reply = await house.chat(await house.key(Webhook(url=house.judge.url, applies_to="output")), "Hello.", stream=True)
    assert said(reply, stream=True) == "word " * 1_500
    pieces = ["".join(question["texts"]) for question in house.judge.questions]
    assert len(pieces) > 3 and max(map(len, pieces)) < 2_100
    assert house.judge.questions[1]["before"] == pieces[0][-500:]


async def test_without_a_secret_no_webhook_is_asked(tmp_path: Path) -> None:
    async with (
        FakeUpstream() as upstream,
        judging() as judge,
        running_gate(tmp_path, providers={"lab": lab(upstream.url)}) as gate,
    ):
        key = await guarded_key(gate, Webhook(url=judge.url))
        body = {"model": "lab/gpt-4.1", "messages": [{"role": "user", "content": "Hello."}]}
        reply = await gate.http.post("/v1/chat/completions", json=body, headers={"authorization": f"Bearer {key}"})
        assert reply.status_code == 400 and not judge.asked and not upstream.requests


# --- what only OpenAI's callers have ---


@STREAM
async def test_a_legacy_completion_is_redacted_and_restored(house: House, stream: bool) -> None:
    house.upstream.reply = Reply(text="It is [EMAIL_1] indeed")
    more = {"stream_options": {"include_usage": True}} if stream else {}
    body = {"model": "lab/gpt-4.1", "prompt": f"Who is {MAIL}?", "temperature": 0, "max_tokens": 20, "stream": stream, **more}
    reply = await house.post(await house.key(REDACTS), "/v1/completions", **body)
    assert reply.status_code == 200, reply.text
    assert (house.sent["prompt"], house.sent["temperature"], house.sent["max_tokens"]) == ("Who is [EMAIL_1]?", 0, 20)
    assert said(reply, stream=stream) == f"It is {MAIL} indeed"
    assert '"prompt_tokens":10' in reply.text and '"object":"text_completion"' in reply.text
    assert '"finish_reason":"stop"' in reply.text
    (row,) = await house.rows("complete")
    assert (row["status"], row["input_tokens"], row["usage_source"]) == (200, 10, "reported")


@pytest.mark.parametrize(("field", "value"), [("n", 2), ("best_of", 2), ("echo", True), ("logprobs", 1), ("prompt", [1, 2])])
async def test_a_completion_that_cannot_be_looked_at_is_refused(house: House, field: str, value: Any) -> None:
    body = {"model": "lab/gpt-4.1", "prompt": "Hi", field: value}
    reply = await house.post(await house.key(REDACTS), "/v1/completions", **body)
    assert reply.status_code == 400 and failure(reply)["param"] == field
    assert not house.upstream.requests


@STREAM
async def test_a_completion_is_blocked(house: House, stream: bool) -> None:
    house.upstream.reply = Reply(text="one banana")
    key = await house.key(Words(words=("banana",)))
    body = {"model": "lab/gpt-4.1", "prompt": "Hi", "stream": stream}
    assert failure(await house.post(key, "/v1/completions", **body))["code"] == "content_blocked"


async def test_a_moderation_is_redacted(house: House) -> None:
    key = await house.key(REDACTS, Secrets(action="block"))
    for given in (f"murder {MAIL}", [f"murder {MAIL}"], [{"type": "text", "text": f"murder {MAIL}"}]):
        reply = await house.post(key, "/v1/moderations", model="builtin/moderate", input=given)
        assert reply.status_code == 200, reply.text
        assert reply.json()["results"][0]["flagged"]
    blocked = await house.post(key, "/v1/moderations", model="builtin/moderate", input="AKIAIOSFODNN7EXAMPLE")
    assert failure(blocked)["code"] == "content_blocked"


# --- beside the way through ---


async def test_answers_are_not_cached(house: House) -> None:
    key = await house.key(REDACTS)
    for _ in range(2):
        messages = [{"role": "user", "content": MAIL}]
        body = {"model": "lab/gpt-4.1", "messages": messages}
        headers = {"authorization": f"Bearer {key}", "x-aldgate-cache": "10m"}
        reply = await house.gate.http.post("/v1/chat/completions", json=body, headers=headers)
        assert reply.status_code == 200 and "x-aldgate-cache" not in reply.headers
    assert len(house.upstream.requests) == 2


async def test_a_kept_response_is_continued_with_what_its_caller_saw(house: House) -> None:
    house.upstream.reply = Reply(text="Hello [EMAIL_1]")
    key = await house.key(REDACTS)
    first = await house.post(key, "/v1/responses", model="lab/gpt-4.1", input=f"I am {MAIL}")
    assert f"Hello {MAIL}" in first.text
    again = await house.post(
        key, "/v1/responses", model="lab/gpt-4.1", input="Who am I?", previous_response_id=first.json()["id"]
    )
    assert again.status_code == 200
    assert [message["content"] for message in house.sent["messages"]] == ["I am [EMAIL_1]", "Hello [EMAIL_1]", "Who am I?"]


async def test_nothing_of_a_text_is_logged(house: House, caplog: pytest.LogCaptureFixture) -> None:
    key = await house.key(REDACTS, Webhook(url=house.judge.url), Words(words=("banana",)))
    other = await house.key(Words(words=("banana",)))
    house.judge.status = 500
    caplog.clear()
    with caplog.at_level(logging.DEBUG):
        await house.chat(key, f"{MAIL} banana canary")
        await house.chat(other, f"{MAIL} banana canary")
    assert "canary" not in caplog.text and MAIL not in caplog.text and "banana" not in caplog.text


async def test_a_large_text_lets_others_have_their_turn(house: House) -> None:
    reply = await house.chat(await house.key(REDACTS), f"{MAIL} and words " * 10_000)
    assert reply.status_code == 200
    assert house.sent["messages"][0]["content"] == "[EMAIL_1] and words " * 10_000


async def test_keys_without_guardrails_pass_as_before(house: House) -> None:
    reply = await house.chat(await house.key(), f"{MAIL} it is", logit_bias={"1": 1})
    assert reply.status_code == 200
    assert house.sent["logit_bias"] == {"1": 1} and house.sent["messages"][0]["content"] == f"{MAIL} it is"


async def test_an_explanation_says_that_a_guarded_call_is_translated(house: House) -> None:
    body = {"model": "lab/gpt-4.1", "messages": [{"role": "user", "content": MAIL}]}
    for key, how in ((await house.key(), "passes through"), (await house.key(REDACTS), "translated")):
        reply = await house.post(key, "/v1/explain", **body)
        assert reply.json()["route"]["candidates"][0]["translation"]["how"] == how
    assert not house.upstream.requests


async def test_who_leaves_while_a_request_is_judged_owes_nothing(house: House) -> None:
    house.judge.answer = None
    key = await house.key(Webhook(url=house.judge.url, applies_to="input", timeout_s=30))
    body = json.dumps({"model": "lab/gpt-4.1", "messages": [{"role": "user", "content": "Hello."}]}).encode()
    _, writer = await asyncio.open_connection("127.0.0.1", house.gate.port)
    head = (
        f"POST /v1/chat/completions HTTP/1.1\r\nhost: gate\r\nauthorization: Bearer {key}\r\ncontent-type: application/json\r\n"
    )
    writer.write(f"{head}content-length: {len(body)}\r\n\r\n".encode() + body)
    await house.judge.is_asked.wait()
    writer.transport.abort()
    await house.judge.is_left.wait()
    (row,) = await house.rows("chat")
    assert (row["status"], row["error_code"], row["input_tokens"]) == (499, "client_gone", 0)


async def test_a_provider_that_fails_over_gets_what_the_guardrails_left(tmp_path: Path) -> None:
    async with FakeUpstream() as first, FakeUpstream() as second:
        providers = {"one": lab(first.url), "two": lab(second.url)}
        config = '[routes.both]\ndeployments = ["one/gpt-4.1", "two/gpt-4.1"]\n'
        async with running_gate(tmp_path, providers=providers, config=config) as gate:
            key = await guarded_key(gate, REDACTS)
            first.script(status(code=500))
            body = {"model": "both", "messages": [{"role": "user", "content": MAIL}]}
            reply = await gate.http.post("/v1/chat/completions", json=body, headers={"authorization": f"Bearer {key}"})
            assert reply.status_code == 200, reply.text
            assert all(MAIL not in each.requests[-1].body.decode() for each in (first, second))


async def test_what_is_under_way_is_judged_while_the_gate_stops(house: House) -> None:
    valve = Valve()
    house.upstream.script(stall_mid_stream(valve=valve, after=1))
    key = await house.key(Moderation(model="builtin/moderate", applies_to="output"))
    asking = asyncio.create_task(house.chat(key, "Hello.", stream=True))
    await house.upstream.saw_requests()
    house.gate.app.gate.is_draining = True
    valve.open()
    assert said(await asking, stream=True) == "Hello from the fake upstream."
    house.gate.app.gate.is_draining = False
