"""The good answers, read by the real `openai` client."""

import pytest
from openai import AsyncOpenAI, BadRequestError, InternalServerError, NotFoundError

from aldgate.testing.upstream import Reply, faults

MESSAGES = [{"role": "user", "content": "Hello"}]


@pytest.fixture
async def client(upstream):
    async with AsyncOpenAI(base_url=upstream.url, api_key="sk-test", max_retries=0) as client:
        yield client


async def test_a_whole_chat(client, upstream):
    reply = await client.chat.completions.create(model="gpt-4.1", messages=MESSAGES)
    assert reply.model == "gpt-4.1"
    assert reply.choices[0].message.content == "Hello from the fake upstream."
    assert reply.choices[0].finish_reason == "stop"
    assert (reply.usage.prompt_tokens, reply.usage.completion_tokens, reply.usage.total_tokens) == (10, 5, 15)
    assert upstream.requests[0].header("authorization") == "Bearer sk-test"


@pytest.mark.parametrize("asks", [True, False])
async def test_a_streamed_chat(client, asks):
    options = {"stream_options": {"include_usage": True}} if asks else {}
    stream = await client.chat.completions.create(model="gpt-4.1", messages=MESSAGES, stream=True, **options)
    chunks = [chunk async for chunk in stream]
    said = [chunk.choices[0].delta.content for chunk in chunks if chunk.choices and chunk.choices[0].delta.content]
    assert "".join(said) == "Hello from the fake upstream." and len(said) == 5
    assert [chunk.usage.total_tokens for chunk in chunks if chunk.usage] == ([15] if asks else [])
    assert {chunk.model for chunk in chunks} == {"gpt-4.1"}


async def test_a_cap_cuts_as_a_model_would(client):
    reply = await client.chat.completions.create(model="m", messages=MESSAGES, max_completion_tokens=2)
    assert reply.choices[0].message.content == "Hello from "
    assert (reply.choices[0].finish_reason, reply.usage.completion_tokens) == ("length", 2)


async def test_several_choices_cost_several_times(client):
    stream = await client.chat.completions.create(
        model="m", messages=MESSAGES, n=2, stream=True, stream_options={"include_usage": True}
    )
    chunks = [chunk async for chunk in stream]
    assert {choice.index for chunk in chunks for choice in chunk.choices} == {0, 1}
    assert chunks[-1].usage.completion_tokens == 10


async def test_text_completions(client):
    whole = await client.completions.create(model="m", prompt="Hello")
    assert whole.choices[0].text == "Hello from the fake upstream."
    stream = await client.completions.create(model="m", prompt="Hello", stream=True)
    assert "".join([chunk.choices[0].text async for chunk in stream]) == "Hello from the fake upstream."


@pytest.mark.parametrize("given", ["one", ["one", "two"], [1, 2, 3]])
async def test_embeddings(client, given):
    reply = await client.embeddings.create(model="m", input=given, dimensions=4)
    assert len(reply.data) == (2 if given == ["one", "two"] else 1)
    assert reply.data[0].embedding == [0.0, 0.25, 0.5, 0.75]
    plain = await client.embeddings.create(model="m", input=given, dimensions=4, encoding_format="float")
    assert plain.data[0].embedding == reply.data[0].embedding


async def test_embeddings_of_nothing_are_refused(client):
    with pytest.raises(BadRequestError, match="expected a text or a list of at least one") as refused:
        await client.embeddings.create(model="m", input=[])
    assert refused.value.param == "input"


async def test_models(client, upstream):
    upstream.reply = Reply(models=("a", "b"))
    assert [model.id async for model in client.models.list()] == ["a", "b"]


async def test_an_unknown_path_is_an_openai_error(client):
    with pytest.raises(NotFoundError, match="Unknown request URL"):
        await client.models.retrieve("a")


async def test_an_error_is_an_openai_error(client, upstream):
    upstream.script(faults.status(503))
    with pytest.raises(InternalServerError) as caught:
        await client.chat.completions.create(model="m", messages=MESSAGES)
    assert (caught.value.status_code, caught.value.code) == (503, "service_unavailable")


async def test_figures_are_configurable(client, upstream):
    upstream.reply = Reply(text="x", prompt_tokens=3, completion_tokens=4, body_bytes=800, chunks=7)
    raw = await client.chat.completions.with_raw_response.create(model="m", messages=MESSAGES)
    assert len(raw.content) == 800
    assert raw.parse().usage.total_tokens == 7
    stream = await client.chat.completions.create(model="m", messages=MESSAGES, stream=True)
    assert len([1 async for chunk in stream if chunk.choices[0].delta.content]) == 7


@pytest.mark.parametrize("name", ["crlf_events", "keep_alive_comments", "events_joined", "split_every", "chunk_extensions"])
async def test_unusual_but_lawful_streams_read_the_same(name, client, upstream):
    upstream.script(faults.FAULTS[name]())
    stream = await client.chat.completions.create(model="m", messages=MESSAGES, stream=True)
    said = [chunk.choices[0].delta.content or "" async for chunk in stream]
    assert "".join(said) == "Hello from the fake upstream."
