"""openai-python over providers of every dialect: tools there and back, objects, and what a limit looks like."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

import pydantic
import pytest
from openai import RateLimitError

from tests.clients.house import MODELS, SAID, House, house
from tests.clients.openai_python import Sdk

pytestmark = [pytest.mark.anyio, pytest.mark.parametrize("model", MODELS)]

SEA: Any = [{"role": "user", "content": "Look at the sea"}]
LOOK: dict[str, Any] = {
    "name": "look",
    "parameters": {"type": "object", "properties": {"at": {"type": "string"}}, "required": ["at"], "additionalProperties": False},
    "strict": True,
}


class Cat(pydantic.BaseModel):
    name: str
    lives: int


@pytest.fixture(scope="module")
async def everything(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[House]:
    async with house(tmp_path_factory.mktemp("house")) as opened:
        yield opened


@pytest.fixture
async def sdk(everything: House, opened: Sdk) -> Sdk:
    return opened.having(base_url=f"{everything.gate.url}/v1", api_key=await everything.gate.key(), max_retries=0)


async def test_a_tool_and_its_result_in_a_chat(sdk: Sdk, model: str) -> None:
    asked: Any = {"model": model, "tools": [{"type": "function", "function": LOOK}]}
    whole = await sdk.call(lambda client: client.chat.completions.create(messages=SEA, **asked))
    _, streamed = await sdk.follow(lambda client: client.chat.completions.stream(messages=SEA, **asked))
    for answer in (whole, streamed):
        [choice] = answer.choices
        [call] = choice.message.tool_calls
        assert (choice.finish_reason, call.function.name) == ("tool_calls", "look")
        assert json.loads(call.function.arguments) == {"at": "sea"}
        said = choice.message.model_dump(include={"role", "content", "tool_calls"})
        turns = [*SEA, said, {"role": "tool", "tool_call_id": call.id, "content": "blue"}]
        last = await sdk.call(lambda client, turns=turns: client.chat.completions.create(messages=turns, **asked))
        assert last.choices[0].message.content == SAID


async def test_a_tool_and_its_result_in_a_response(sdk: Sdk, model: str) -> None:
    asked: Any = {"model": model, "tools": [{"type": "function", **LOOK}]}
    first = await sdk.call(lambda client: client.responses.create(input="Look at the sea", **asked))
    [call] = [item for item in first.output if item.type == "function_call"]
    assert (call.name, json.loads(call.arguments)) == ("look", {"at": "sea"})
    result: Any = [{"type": "function_call_output", "call_id": call.call_id, "output": "blue"}]
    last = await sdk.call(lambda client: client.responses.create(input=result, previous_response_id=first.id, **asked))
    assert last.output_text == SAID
    alone = await sdk.call(
        lambda client: client.responses.create(input=[*SEA, call.model_dump(exclude_none=True), *result], store=False, **asked)
    )
    assert alone.output_text == SAID


async def test_an_object_from_a_chat_and_from_a_response(sdk: Sdk, model: str) -> None:
    tells_of_cats = model.replace("/", "-json/")
    chat = await sdk.call(lambda client: client.chat.completions.parse(model=tells_of_cats, messages=SEA, response_format=Cat))
    response = await sdk.call(lambda client: client.responses.parse(model=tells_of_cats, input="A cat", text_format=Cat))
    assert chat.choices[0].message.parsed == response.output_parsed == Cat(name="Tom", lives=9)


async def test_a_limited_provider_says_how_long(sdk: Sdk, model: str) -> None:
    limited = model.replace("/", "-limited/")
    for ask in (
        lambda client: client.chat.completions.create(model=limited, messages=SEA),
        lambda client: client.responses.create(model=limited, input="Hello"),
    ):
        with pytest.raises(RateLimitError) as raised:
            await sdk.call(ask)
        assert raised.value.response.headers["retry-after"] == "1"
        assert raised.value.code == "upstream_rate_limited"
