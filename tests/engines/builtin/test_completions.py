from typing import Any

import pytest
from openai.types import Completion

from aldgate.core.errors import InvalidRequest

from .conftest import NAME, Ask

pytestmark = pytest.mark.anyio

LONG = " ".join(["word"] * 40)


async def test_reply(ask: Ask) -> None:
    reply = await ask("complete", {"prompt": "Say it"})
    assert reply.pop("created") > 1_700_000_000
    usage = reply.pop("usage")
    assert (usage["prompt_tokens"], usage["completion_tokens"], usage["total_tokens"]) == (2, 2, 4)
    assert usage["prompt_tokens_details"]["cached_tokens"] == usage["completion_tokens_details"]["reasoning_tokens"] == 0
    assert reply == {
        "id": f"cmpl-{NAME}",
        "object": "text_completion",
        "model": "builtin/echo",
        "choices": [{"index": 0, "text": "Say it", "logprobs": None, "finish_reason": "stop"}],
    }


@pytest.mark.parametrize(
    ("body", "texts", "prompt_tokens"),
    [
        ({"prompt": ""}, [""], 0),
        ({"prompt": LONG}, [LONG], 40),
        ({"prompt": ["a", "b c"]}, ["a", "b c"], 3),
        ({"prompt": ["a", "b c"], "n": 2}, ["a", "a", "b c", "b c"], 3),
        ({"prompt": [11, 22, 33]}, ["11 22 33"], 3),
        ({"prompt": [[11, 22], [33]]}, ["11 22", "33"], 3),
        ({"prompt": "a b c", "max_tokens": 2}, ["a b"], 3),
        ({"prompt": "a b c", "stop": [" c"]}, ["a b"], 3),
        ({"prompt": "a", "echo": True, "suffix": "z", "best_of": 2, "logprobs": 1}, ["a"], 1),
    ],
)
async def test_each_prompt_comes_back(ask: Ask, body: dict[str, Any], texts: list[str], prompt_tokens: int) -> None:
    reply = await ask("complete", body)
    Completion.model_validate(reply)
    assert [choice["text"] for choice in reply["choices"]] == texts
    assert [choice["index"] for choice in reply["choices"]] == list(range(len(texts)))
    assert reply["usage"]["prompt_tokens"] == prompt_tokens


@pytest.mark.parametrize("include_usage", [True, False])
@pytest.mark.parametrize(
    "body", [{"prompt": "one two  three\n"}, {"prompt": ["a b", ""], "n": 2}, {"prompt": "a b c", "max_tokens": 1}]
)
async def test_stream_is_the_whole_in_pieces(ask: Ask, body: dict[str, Any], include_usage: bool) -> None:
    whole = await ask("complete", body)
    events = await ask("complete", body | {"stream": True, "stream_options": {"include_usage": include_usage}})
    if include_usage:
        last = events.pop()
        assert (last["choices"], last["usage"]) == ([], whole["usage"])
    assert all(event.get("usage", "absent") == (None if include_usage else "absent") for event in events)
    for choice in whole["choices"]:
        parts = [part for event in events for part in event["choices"] if part["index"] == choice["index"]]
        assert "".join(part["text"] for part in parts) == choice["text"]
        assert [part["finish_reason"] for part in parts] == [None] * (len(parts) - 1) + [choice["finish_reason"]]
    assert {(event["id"], event["object"]) for event in events} == {(whole["id"], "text_completion")}


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({}, "prompt"),
        ({"prompt": []}, "prompt"),
        ({"prompt": [[]]}, "prompt"),
        ({"prompt": ["a", 1]}, "prompt"),
        ({"prompt": [1, [2]]}, "prompt"),
        ({"prompt": [1.5]}, "prompt[0]"),
        ({"prompt": {"a": 1}}, "prompt"),
        ({"prompt": "a", "max_tokens": 0}, "max_tokens"),
        ({"prompt": "a", "n": 129}, "n"),
        ({"prompt": ["a"] * 17, "n": 128}, "n"),
        ({"prompt": "a", "stop": list("abcde")}, "stop"),
        ({"prompt": "a", "stream_options": {}}, "stream_options"),
    ],
)
async def test_wrong_requests_name_the_field(ask: Ask, body: dict[str, Any], param: str) -> None:
    with pytest.raises(InvalidRequest) as raised:
        await ask("complete", body)
    assert raised.value.param == param
