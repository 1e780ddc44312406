"""openai-python's Responses: made, streamed, parsed, fetched, listed, deleted, and over a WebSocket."""

import asyncio
from typing import Any

import pydantic
import pytest
from openai import AsyncOpenAI, BadRequestError, NotFoundError, omit

from aldgate.testing.upstream import FakeUpstream, Reply, faults
from tests.clients.conftest import Connect
from tests.clients.openai_python import Sdk
from tests.support import RunningGate

pytestmark = pytest.mark.anyio

MODELS = pytest.mark.parametrize("model", ["lab/gpt-4.1", "builtin/echo"])


class Cat(pydantic.BaseModel):
    name: str


async def follow(sdk: Sdk, **asked: Any) -> tuple[list[Any], Any]:
    """The events of the `.stream()` helper, and the response it puts together."""
    if sdk.is_async:
        async with sdk.client.responses.stream(**asked) as stream:
            return [event async for event in stream], await stream.get_final_response()

    def run() -> tuple[list[Any], Any]:
        with sdk.client.responses.stream(**asked) as stream:
            return list(stream), stream.get_final_response()

    return await asyncio.to_thread(run)


@MODELS
async def test_a_response_is_made_and_fetched(sdk: Sdk, upstream: FakeUpstream, model: str) -> None:
    made = await sdk.call(lambda client: client.responses.create(model=model, input="Hello there"))
    assert made.output_text in ("Hello there", "Hello from the fake upstream.")
    assert made.usage.input_tokens_details.cached_tokens == 0
    assert await sdk.call(lambda client: client.responses.retrieve(made.id)) == made


@MODELS
async def test_the_stream_helper_puts_it_together(sdk: Sdk, upstream: FakeUpstream, model: str) -> None:
    events, final = await follow(sdk, model=model, input="Hello there")
    said = [event.delta for event in events if event.type == "response.output_text.delta"]
    assert "".join(said) == final.output_text
    assert events[-1].type == "response.completed"
    assert final.usage.total_tokens > 0


@MODELS
async def test_a_conversation_goes_on_by_its_last_response(sdk: Sdk, upstream: FakeUpstream, model: str) -> None:
    first = await sdk.call(lambda client: client.responses.create(model=model, input="One"))
    second = await sdk.call(lambda client: client.responses.create(model=model, input="Two", previous_response_id=first.id))
    assert second.previous_response_id == first.id
    items = await sdk.call(lambda client: client.responses.input_items.list(second.id, order="asc"))
    assert [item.type for item in items.data] == ["message", "message", "message"]
    assert items.data[0].content[0].text == "One"


async def test_a_response_is_deleted(sdk: Sdk, upstream: FakeUpstream) -> None:
    made = await sdk.call(lambda client: client.responses.create(model="builtin/echo", input="Hi"))
    await sdk.call(lambda client: client.responses.delete(made.id))
    with pytest.raises(NotFoundError):
        await sdk.call(lambda client: client.responses.retrieve(made.id))


async def test_only_background_responses_are_cancelled(sdk: Sdk, upstream: FakeUpstream) -> None:
    made = await sdk.call(lambda client: client.responses.create(model="builtin/echo", input="Hi"))
    with pytest.raises(BadRequestError):
        await sdk.call(lambda client: client.responses.cancel(made.id))


@MODELS
async def test_a_response_runs_in_the_background(sdk: Sdk, upstream: FakeUpstream, model: str) -> None:
    made = await sdk.call(lambda client: client.responses.create(model=model, input="Hello there", background=True))
    assert (made.status, made.background, made.output) == ("queued", True, [])
    async with asyncio.timeout(10):
        while (now := await sdk.call(lambda client: client.responses.retrieve(made.id))).status in ("queued", "in_progress"):
            pass
    assert (now.status, now.background) == ("completed", True)
    assert now.output_text in ("Hello there", "Hello from the fake upstream.")
    assert await sdk.call(lambda client: client.responses.cancel(made.id)) == now


async def test_a_response_in_the_background_is_cancelled(sdk: Sdk, upstream: FakeUpstream) -> None:
    upstream.script(faults.hang_before_head())
    made = await sdk.call(lambda client: client.responses.create(model="lab/gpt-4.1", input="Hi", background=True))
    cancelled = await sdk.call(lambda client: client.responses.cancel(made.id))
    assert (cancelled.id, cancelled.status) == (made.id, "cancelled")
    assert await sdk.call(lambda client: client.responses.retrieve(made.id)) == cancelled


@MODELS
async def test_a_stream_in_the_background_is_picked_up_again(sdk: Sdk, upstream: FakeUpstream, model: str) -> None:
    events, final = await follow(sdk, model=model, input="Hello there", background=True)
    rest, again = await follow(sdk, response_id=final.id, starting_after=4)
    assert again == final
    kinds = [event.type for event in events if event.sequence_number > 4]
    assert [event.type for event in rest] == kinds


@MODELS
async def test_a_conversation_is_compacted(sdk: Sdk, upstream: FakeUpstream, model: str) -> None:
    said = [{"role": "user", "content": "My name is Ada."}, {"role": "assistant", "content": "Hello Ada."}]
    compacted = await sdk.call(lambda client: client.responses.compact(model=model, input=said))
    *users, item = compacted.output
    assert (compacted.object, item.type) == ("response.compaction", "compaction")
    assert [each.content[0].text for each in users] == ["My name is Ada."]
    window = [each.to_dict(warnings=False) for each in compacted.output]
    asked = [*window, {"role": "user", "content": "Who am I?"}]
    response = await sdk.call(lambda client: client.responses.create(model=model, input=asked))
    assert response.status == "completed"


async def test_anothers_response_is_not_found(connect: Connect, upstream: FakeUpstream) -> None:
    mine, other = await connect(), await connect()
    made = await mine.call(lambda client: client.responses.create(model="builtin/echo", input="Hi"))
    with pytest.raises(NotFoundError):
        await other.call(lambda client: client.responses.retrieve(made.id))


async def test_an_answer_is_parsed_into_a_model(sdk: Sdk, upstream: FakeUpstream) -> None:
    upstream.reply = Reply(text='{"name":"Tom"}')
    asked = {"model": "lab/gpt-4.1", "input": "A cat", "text_format": Cat}
    parsed = await sdk.call(lambda client: client.responses.parse(**asked))
    assert parsed.output_parsed == Cat(name="Tom")
    wanted = upstream.requests[-1].json()["response_format"]
    assert (wanted["type"], wanted["json_schema"]["strict"]) == ("json_schema", True)


async def test_a_kept_response_is_streamed_again(sdk: Sdk, upstream: FakeUpstream) -> None:
    made = await sdk.call(lambda client: client.responses.create(model="lab/gpt-4.1", input="Hi"))
    events = await sdk.stream(lambda client: client.responses.retrieve(made.id, stream=True))
    assert events[-1].response == made
    rest = await sdk.stream(lambda client: client.responses.retrieve(made.id, stream=True, starting_after=3))
    assert [event.sequence_number for event in rest] == [event.sequence_number for event in events[4:]]


async def test_tokens_are_counted(sdk: Sdk, upstream: FakeUpstream) -> None:
    counted = await sdk.call(lambda client: client.responses.input_tokens.count(model="lab/gpt-4.1", input="Hello there"))
    assert counted.input_tokens > 0


async def test_a_socket_takes_one_response_after_the_other(gate: RunningGate, upstream: FakeUpstream) -> None:
    client = AsyncOpenAI(base_url=f"{gate.url}/v1", api_key=await gate.key())
    async with client, client.responses.connect() as connection:
        previous: Any = omit
        for text in ("One", "Two"):
            await connection.response.create(model="lab/gpt-4.1", input=text, store=False, previous_response_id=previous)
            previous = await last_id(connection)
        await connection.response.create(model="none/such", input="Three")
        async for event in connection:
            assert (event.type, event.status, event.error.code) == ("error", 404, "model_not_found")
            break
    assert [message["content"] for message in upstream.requests[-1].json()["messages"]][::2] == ["One", "Two"]


async def last_id(connection: Any) -> str:
    """The id of the response that is coming, once it is complete."""
    async for event in connection:
        if event.type == "response.completed":
            return event.response.id
    raise AssertionError("the socket closed before the response was complete")
