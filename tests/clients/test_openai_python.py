"""What openai-python gets when all goes well, from the builtin models and through a provider."""

import json
import re
from typing import Any

import openai
import pytest
from pydantic import BaseModel

from aldgate.testing.upstream import FakeUpstream, Reply
from tests.clients.conftest import Connect
from tests.clients.openai_python import Sdk
from tests.support import RunningGate

pytestmark = pytest.mark.anyio

ECHO, LAB = "builtin/echo", "lab/gpt-4.1"
SAID = {ECHO: "Hello there, gate!", LAB: "Hello from the fake upstream."}
TOKENS = {ECHO: (3, 3), LAB: (10, 5)}
"""Tokens of the question below, and of its answer."""
QUESTION: list[Any] = [{"role": "user", "content": "Hello there, gate!"}]
WEATHER: Any = {
    "type": "function",
    "function": {
        "name": "weather",
        "description": "The weather of a city.",
        "parameters": {
            "type": "object",
            "properties": {"city": {"type": "string"}, "days": {"type": "integer", "minimum": 1}},
            "required": ["city", "days"],
            "additionalProperties": False,
        },
        "strict": True,
    },
}
CLOCK: Any = {"type": "function", "function": {"name": "clock", "parameters": {"type": "object", "properties": {}}}}
both = pytest.mark.parametrize("model", [ECHO, LAB])


class Task(BaseModel):
    title: str
    steps: list[str]


@both
async def test_a_whole_answer(sdk: Sdk, upstream: FakeUpstream, model: str) -> None:
    answer = await sdk.call(lambda client: client.chat.completions.create(model=model, messages=QUESTION))
    assert isinstance(answer, openai.types.chat.ChatCompletion)
    (choice,) = answer.choices
    assert (choice.message.role, choice.message.content, choice.finish_reason) == ("assistant", SAID[model], "stop")
    prompt, completion = TOKENS[model]
    usage = answer.usage
    assert (usage.prompt_tokens, usage.completion_tokens, usage.total_tokens) == (prompt, completion, prompt + completion)


async def test_a_provider_gets_what_the_sdk_sent(sdk: Sdk, upstream: FakeUpstream) -> None:
    await sdk.call(
        lambda client: client.chat.completions.create(
            model=LAB,
            messages=[{"role": "system", "content": 'Quote "gpt-4.1" ☂'}, *QUESTION],
            tools=[WEATHER],
            temperature=0.5,
            metadata={"model": "not this one"},
            extra_body={"vendor_option": [1.0, None]},
        )
    )
    (request,) = upstream.requests
    assert request.json() == {
        "model": "gpt-4.1",
        "messages": [{"role": "system", "content": 'Quote "gpt-4.1" ☂'}, *QUESTION],
        "tools": [WEATHER],
        "temperature": 0.5,
        "metadata": {"model": "not this one"},
        "vendor_option": [1.0, None],
    }
    assert request.header("authorization").startswith("Bearer sk-lab-")
    assert not [name for name, _ in request.headers if name.lower().startswith("x-stainless")]


@both
@pytest.mark.parametrize("wants_usage", [True, False])
async def test_a_stream(sdk: Sdk, upstream: FakeUpstream, model: str, wants_usage: bool) -> None:
    options: Any = {"stream_options": {"include_usage": True}} if wants_usage else {}
    chunks = await sdk.stream(
        lambda client: client.chat.completions.create(model=model, messages=QUESTION, stream=True, **options)
    )
    assert all(isinstance(chunk, openai.types.chat.ChatCompletionChunk) for chunk in chunks)
    told = [chunk for chunk in chunks if chunk.choices]
    assert told[0].choices[0].delta.role == "assistant"
    assert "".join(chunk.choices[0].delta.content or "" for chunk in told) == SAID[model]
    assert [chunk.choices[0].finish_reason for chunk in told if chunk.choices[0].finish_reason] == ["stop"]
    assert len(told) == len(SAID[model].split()) + 2
    usages = [(chunk.usage.prompt_tokens, chunk.usage.completion_tokens) for chunk in chunks if chunk.usage]
    assert usages == ([TOKENS[model]] if wants_usage else [])
    assert len(chunks) - len(told) == wants_usage


@both
async def test_every_call_is_billed_alike(connect: Connect, gate: RunningGate, upstream: FakeUpstream, model: str) -> None:
    key = await gate.key()
    sdk = await connect(key)
    await sdk.call(lambda client: client.chat.completions.create(model=model, messages=QUESTION))
    await sdk.stream(lambda client: client.chat.completions.create(model=model, messages=QUESTION, stream=True))
    (row,) = await gate.usage(key)
    prompt, completion = TOKENS[model]
    assert (row["calls"], row["prompt_tokens"], row["completion_tokens"]) == (2, 2 * prompt, 2 * completion)


@both
async def test_several_choices(sdk: Sdk, upstream: FakeUpstream, model: str) -> None:
    answer = await sdk.call(lambda client: client.chat.completions.create(model=model, messages=QUESTION, n=3))
    assert [(choice.index, choice.message.content) for choice in answer.choices] == [(i, SAID[model]) for i in range(3)]
    assert answer.usage.completion_tokens == 3 * TOKENS[model][1]
    chunks = await sdk.stream(lambda client: client.chat.completions.create(model=model, messages=QUESTION, n=3, stream=True))
    told = dict.fromkeys(range(3), "")
    for choice in (choice for chunk in chunks for choice in chunk.choices):
        told[choice.index] += choice.delta.content or ""
    assert set(told.values()) == {SAID[model]}


@both
@pytest.mark.parametrize("cap", ["max_tokens", "max_completion_tokens"])
async def test_a_cap_ends_the_answer(sdk: Sdk, upstream: FakeUpstream, model: str, cap: str) -> None:
    answer = await sdk.call(lambda client: client.chat.completions.create(model=model, messages=QUESTION, **{cap: 2}))
    assert answer.choices[0].message.content.split() == SAID[model].split()[:2]
    assert (answer.choices[0].finish_reason, answer.usage.completion_tokens) == ("length", 2)


@pytest.mark.parametrize("stop", [" there", ["nowhere", " there"]])
async def test_stop_ends_the_answer(sdk: Sdk, stop: Any) -> None:
    answer = await sdk.call(lambda client: client.chat.completions.create(model=ECHO, messages=QUESTION, stop=stop))
    assert (answer.choices[0].message.content, answer.choices[0].finish_reason) == ("Hello", "stop")


@pytest.mark.parametrize(
    ("choice", "reason"),
    [("required", "tool_calls"), ({"type": "function", "function": {"name": "weather"}}, "stop")],
    ids=["required", "named"],
)
async def test_a_tool_call(sdk: Sdk, choice: Any, reason: str) -> None:
    asked: Any = {"model": ECHO, "messages": QUESTION, "tools": [WEATHER, CLOCK], "tool_choice": choice}
    whole = await sdk.call(lambda client: client.chat.completions.create(**asked))
    (call,) = whole.choices[0].message.tool_calls
    assert (call.type, call.function.name, whole.choices[0].finish_reason) == ("function", "weather", reason)
    assert whole.choices[0].message.content is None
    assert json.loads(call.function.arguments) == {"city": "Hello there, gate!", "days": 1}

    chunks = await sdk.stream(lambda client: client.chat.completions.create(**asked, stream=True))
    deltas = [delta for chunk in chunks for delta in chunk.choices[0].delta.tool_calls or ()]
    assert (deltas[0].function.name, len({delta.index for delta in deltas})) == ("weather", 1)
    assert deltas[0].id and not any(delta.id for delta in deltas[1:])
    assert "".join(delta.function.arguments or "" for delta in deltas) == call.function.arguments
    assert len(deltas) > 3


async def test_the_stream_helper_assembles_tool_calls(sdk: Sdk) -> None:
    events, final = await sdk.follow(
        lambda client: client.chat.completions.stream(model=ECHO, messages=QUESTION, tools=[WEATHER], tool_choice="required")
    )
    (done,) = [event for event in events if event.type == "tool_calls.function.arguments.done"]
    assert (done.name, done.parsed_arguments) == ("weather", {"city": "Hello there, gate!", "days": 1})
    assert final.choices[0].message.tool_calls[0].function.parsed_arguments == done.parsed_arguments


@both
async def test_the_stream_helper(sdk: Sdk, upstream: FakeUpstream, model: str) -> None:
    events, final = await sdk.follow(
        lambda client: client.chat.completions.stream(model=model, messages=QUESTION, stream_options={"include_usage": True})
    )
    assert "".join(event.delta for event in events if event.type == "content.delta") == SAID[model]
    assert final.choices[0].message.content == SAID[model]
    assert (final.usage.prompt_tokens, final.usage.completion_tokens) == TOKENS[model]


async def test_structured_output(sdk: Sdk) -> None:
    answer = await sdk.call(lambda client: client.chat.completions.parse(model=ECHO, messages=QUESTION, response_format=Task))
    parsed = answer.choices[0].message.parsed
    assert isinstance(parsed, Task) and parsed.title == "Hello there, gate!"
    events, final = await sdk.follow(
        lambda client: client.chat.completions.stream(model=ECHO, messages=QUESTION, response_format=Task)
    )
    (done,) = [event for event in events if event.type == "content.done"]
    assert done.parsed == final.choices[0].message.parsed == parsed


async def test_structured_output_passes_through(sdk: Sdk, upstream: FakeUpstream) -> None:
    wanted = Task(title="Pay the rent", steps=["find the letter", "pay"])
    upstream.reply = Reply(text=wanted.model_dump_json())
    answer = await sdk.call(lambda client: client.chat.completions.parse(model=LAB, messages=QUESTION, response_format=Task))
    assert answer.choices[0].message.parsed == wanted
    assert upstream.requests[0].json()["response_format"]["json_schema"]["name"] == "Task"


@both
async def test_completions(sdk: Sdk, upstream: FakeUpstream, model: str) -> None:
    asked = {"model": model, "prompt": "Hello there, gate!", "max_tokens": 50}
    answer = await sdk.call(lambda client: client.completions.create(**asked))
    assert isinstance(answer, openai.types.Completion)
    assert (answer.choices[0].text, answer.choices[0].finish_reason) == (SAID[model], "stop")
    assert (answer.usage.prompt_tokens, answer.usage.completion_tokens) == TOKENS[model]
    chunks = await sdk.stream(
        lambda client: client.completions.create(**asked, stream=True, stream_options={"include_usage": True})
    )
    assert "".join(choice.text for chunk in chunks for choice in chunk.choices) == SAID[model]
    assert (chunks[-1].choices, chunks[-1].usage.completion_tokens) == ([], TOKENS[model][1])


@pytest.mark.parametrize(("model", "size"), [("builtin/embed", 256), ("lab/gpt-4.1", 8)])
async def test_embeddings(sdk: Sdk, upstream: FakeUpstream, model: str, size: int) -> None:
    texts = ["The quick brown fox", "jumps over"]

    async def embedded(**options: Any) -> list[list[float]]:
        answer = await sdk.call(lambda client: client.embeddings.create(model=model, input=texts, **options))
        assert [item.index for item in answer.data] == [0, 1]
        assert answer.usage.prompt_tokens == answer.usage.total_tokens > 0
        return [item.embedding for item in answer.data]

    packed = await embedded()  # the SDK asks for base64 by itself, and unpacks it
    assert [len(vector) for vector in packed] == [size, size]
    assert await embedded(encoding_format="float") == packed
    assert [len(vector) for vector in await embedded(dimensions=4)] == [4, 4]


async def test_models(sdk: Sdk) -> None:
    listed = await sdk.stream(lambda client: client.models.list())
    assert [model.id for model in listed][:5] == [LAB, ECHO, "builtin/embed", "builtin/rerank", "builtin/moderate"]
    for name in (LAB, ECHO):
        model = await sdk.call(lambda client, name=name: client.models.retrieve(name))
        assert (model.id, model.object, model.owned_by) == (name, "model", name.partition("/")[0])
        assert model.created > 1_700_000_000


@both
async def test_headers_of_an_answer(connect: Connect, gate: RunningGate, upstream: FakeUpstream, model: str) -> None:
    sdk = await connect(await gate.key(rpm=6, tpd=10_000))  # what comes back slowly can be looked at
    raw = await sdk.call(lambda client: client.chat.completions.with_raw_response.create(model=model, messages=QUESTION))
    assert raw.headers["x-request-id"].startswith("req-") and raw.request_id == raw.headers["x-request-id"]
    assert (raw.headers["x-ratelimit-limit-requests"], raw.headers["x-ratelimit-remaining-requests"]) == ("6", "5")
    assert re.fullmatch(r"\d{1,2}(\.\d+)?s", raw.headers["x-ratelimit-reset-requests"])
    assert raw.headers["x-ratelimit-limit-tokens"] == "10000"
    assert raw.headers["x-ratelimit-remaining-tokens"] == str(10_000 - sum(TOKENS[model]))
    assert re.fullmatch(r"(\dm)?\d{1,2}(\.\d+)?s", raw.headers["x-ratelimit-reset-tokens"])
    assert raw.parse().choices[0].message.content == SAID[model]
    listed = await sdk.call(lambda client: client.models.with_raw_response.list())
    assert listed.headers["x-request-id"].startswith("req-")


async def test_the_key_may_come_as_x_api_key(connect: Connect, gate: RunningGate) -> None:
    sdk = await connect("agk-nobody", default_headers={"X-API-Key": await gate.key()})
    asked: Any = {"model": ECHO, "messages": QUESTION}
    answer = await sdk.call(lambda client: client.chat.completions.create(**asked, extra_headers={"Authorization": openai.omit}))
    assert answer.choices[0].message.content == SAID[ECHO]
    with pytest.raises(openai.AuthenticationError):  # where both are sent, `Authorization` decides
        await sdk.call(lambda client: client.chat.completions.create(**asked))
