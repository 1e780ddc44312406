"""Guardrails over every face and every provider: what a provider sees, what callers get, and what is billed."""

from __future__ import annotations

import json

import httpx2
import pytest

from aldgate.core.guardrails.kinds import Guardrail, Pii, Words
from aldgate.testing.upstream.said import Called, Said, saying
from tests.contract.faces import FACES
from tests.contract.house import House
from tests.contract.neutral import Ask, Call, Object, Turn
from tests.contract.providers import EMBED, PROVIDERS, RERANK
from tests.guarded import guarded_key

pytestmark = pytest.mark.anyio

STREAM = pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
PAIRS = [pytest.param(face, provider, id=f"{face}-{provider}") for face in FACES for provider in PROVIDERS]
EVERY = pytest.mark.parametrize(("face", "provider"), PAIRS)
REDACTS = Pii(applies_to="input")
MAIL = "bob@example.com"
HISTORY = (
    Turn("user", f"I am {MAIL}."),
    Turn("assistant", "", calls=(Call("call_1a2b3c4d5", "look", {"city": MAIL}),)),
    Turn("tool", results=(("call_1a2b3c4d5", f"{MAIL} lives there; so does eve@example.org."),)),
)


async def ask(house: House, key: str, face: str, provider: str, asked: Ask, *, stream: bool) -> httpx2.Response:
    path, body = house.request(face, provider, asked, stream=stream)
    return await post(house, key, path, body)


async def post(house: House, key: str, path: str, body: Object) -> httpx2.Response:
    headers = {**house.HEADERS, "authorization": f"Bearer {key}"}
    return await house.gate.http.post(path, json=body, headers=headers)


async def keyed(house: House, *guardrails: Guardrail) -> str:
    return await guarded_key(house.gate, *guardrails)


@STREAM
@EVERY
async def test_a_provider_sees_placeholders_and_the_caller_what_they_stand_for(
    house: House, face: str, provider: str, stream: bool
) -> None:
    house.upstream.script(saying(Said(text="Write to [EMAIL_1] and [EMAIL_2] , not to [EMAIL_9].")))
    key = await keyed(house, REDACTS)
    asked = Ask(system=f"Help {MAIL}.", turns=HISTORY, tools=("look",))
    reply = await ask(house, key, face, provider, asked, stream=stream)
    assert reply.status_code == 200, reply.text
    sent = house.upstream.requests[-1].body.decode()
    assert MAIL not in sent and "eve@example.org" not in sent
    assert sent.count("[EMAIL_1]") == 4 and sent.count("[EMAIL_2]") == 1
    answer = house.answer(face, reply, stream=stream)
    assert answer.text == f"Write to {MAIL} and eve@example.org , not to [EMAIL_9]."


@STREAM
@EVERY
async def test_the_arguments_of_a_call_are_restored(house: House, face: str, provider: str, stream: bool) -> None:
    called = Called("call_1a2b3c4d5", "look", '{"city":"[EMAIL_1]"}')
    house.upstream.script(saying(Said(calls=(called,), finish="tool_calls")))
    key = await keyed(house, REDACTS)
    reply = await ask(house, key, face, provider, Ask(turns=(Turn("user", MAIL),), tools=("look",)), stream=stream)
    assert reply.status_code == 200, reply.text
    assert [call.arguments for call in house.answer(face, reply, stream=stream).calls] == [{"city": MAIL}]


@STREAM
@EVERY
async def test_a_blocked_request_reaches_nobody_and_costs_nothing(house: House, face: str, provider: str, stream: bool) -> None:
    key = await keyed(house, Words(words=("banana",), name="fruit", applies_to="input"))
    reply = await ask(house, key, face, provider, Ask(turns=(Turn("user", "A banana!"),)), stream=stream)
    assert reply.status_code == 400 and not house.upstream.requests
    assert (
        FACES[face].fault(reply.json()).message
        == "The guardrail `fruit` of key `test` found a word that is not allowed in the request."
    )
    row = await house.row(reply.headers["x-request-id"])
    assert (row["status"], row["error_code"], row["input_tokens"], row["cost_microusd"]) == (400, "content_blocked", 0, 0)


@STREAM
@EVERY
async def test_a_blocked_answer_is_billed_and_ends_with_an_error(house: House, face: str, provider: str, stream: bool) -> None:
    house.upstream.script(saying(Said(text="One two three banana four", output_tokens=9)))
    key = await keyed(house, Words(words=("banana",), applies_to="output"))
    reply = await ask(house, key, face, provider, Ask(), stream=stream)
    message = "The guardrail `words` of key `test` found a word that is not allowed in the answer."
    if stream and reply.status_code == 200:
        answer = house.answer(face, reply, stream=True)
        assert (answer.failure, answer.ended) == (message, False)
        assert "One two three banana four".startswith(answer.text.rstrip()) and "banana" not in answer.text
    else:
        assert reply.status_code == 400
        assert FACES[face].fault(reply.json()).message == message
    row = await house.row(reply.headers["x-request-id"])
    assert (row["status"], row["error_code"]) == (400, "content_blocked")
    assert row["input_tokens"] and row["output_tokens"]


@STREAM
@pytest.mark.parametrize("face", FACES)
async def test_what_an_answer_says_by_itself_is_masked(house: House, face: str, stream: bool) -> None:
    house.upstream.script(saying(Said(text=f"Ask {MAIL} , or 10.1.2.3 .")))
    key = await keyed(house, Pii(action="mask"))
    reply = await ask(house, key, face, "openai-compatible", Ask(), stream=stream)
    assert house.answer(face, reply, stream=stream).text == "Ask ***@*******.*** , or **.*.*.* ."


@pytest.mark.parametrize("provider", EMBED)
@pytest.mark.parametrize(
    ("path", "field"), [("/v1/embeddings", "input"), ("/api/embed", "input"), ("/v1beta/models/{}:embedContent", "content")]
)
async def test_embedded_texts_are_redacted(house: House, path: str, field: str, provider: str) -> None:
    key, model = await keyed(house, REDACTS), f"{provider}/{EMBED[provider]}"
    content = {"parts": [{"text": f"I am {MAIL}"}]} if field == "content" else [f"I am {MAIL}"]
    reply = await post(house, key, path.format(model), {"model": model, field: content})
    assert reply.status_code == 200, reply.text
    assert "I am [EMAIL_1]" in house.upstream.requests[-1].body.decode()


@pytest.mark.parametrize("provider", RERANK)
async def test_ranked_texts_are_redacted_and_come_back_as_they_were(house: House, provider: str) -> None:
    body = {"query": MAIL, "documents": [f"for {MAIL}", "other"], "return_documents": True}
    reply = await post(house, await keyed(house, REDACTS), "/v1/rerank", {"model": f"{provider}/{RERANK[provider]}", **body})
    assert reply.status_code == 200, reply.text
    sent = json.loads(house.upstream.requests[-1].body)
    assert (sent["query"], sent["documents"]) == ("[EMAIL_1]", ["for [EMAIL_1]", "other"])
    assert {result["document"]["text"] for result in reply.json()["results"]} == {f"for {MAIL}", "other"}


@pytest.mark.parametrize("field", ["input", "token ids"])
async def test_token_ids_are_refused(house: House, field: str) -> None:
    model = f"openai-compatible/{EMBED['openai-compatible']}"
    reply = await post(house, await keyed(house, REDACTS), "/v1/embeddings", {"model": model, "input": [[1, 2]]})
    assert reply.status_code == 400 and not house.upstream.requests
    assert "token ids" in reply.json()["error"]["message"]


@pytest.mark.parametrize(("field", "value"), [("n", 2), ("logprobs", True)])
async def test_what_cannot_be_looked_at_is_refused(house: House, field: str, value: object) -> None:
    path, body = house.request("openai", "openai-compatible", Ask(), stream=False)
    reply = await post(house, await keyed(house, REDACTS), path, {**body, field: value})
    assert reply.status_code == 400 and not house.upstream.requests
    assert reply.json()["error"]["param"] == field


async def test_anthropics_callers_count_without_showing_the_provider(house: House) -> None:
    _, body = house.request("anthropic", "anthropic", Ask(turns=(Turn("user", MAIL),)), stream=False)
    body.pop("max_tokens", None)
    reply = await post(house, await keyed(house, REDACTS), "/v1/messages/count_tokens", body)
    assert reply.status_code == 200 and reply.json()["input_tokens"] > 0
    assert not house.upstream.requests
