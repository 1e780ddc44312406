"""What other gateways got wrong about Ollama, each with a test that fails if we do the same."""

import json
from typing import Any

import pytest

from aldgate.core.calls import Peek
from aldgate.core.conversation import Conversation, Message, ToolCall
from aldgate.core.errors import InvalidRequest
from aldgate.core.events import fold
from aldgate.core.prices import FREE
from aldgate.core.routes import Deployment
from aldgate.core.usage import Usage
from aldgate.dialects.ollama.dialect import Ollama
from aldgate.dialects.openai.encoder import ChatEncoder
from aldgate.providers.prices import PriceBook

DEPLOYMENT = Deployment("ollama/qwen3", "ollama", "qwen3", FREE, "file")


def lines(*messages: dict[str, Any]) -> bytes:
    said = [{"model": "m", "message": {"role": "assistant", "content": "", **message}, "done": False} for message in messages]
    last = {"model": "m", "message": {"role": "assistant", "content": ""}, "done": True, "done_reason": "stop", "eval_count": 1}
    return b"".join(json.dumps(each).encode() + b"\n" for each in (*said, last))


def call(**arguments: Any) -> dict[str, Any]:
    return {"function": {"index": 0, "name": "look", "arguments": arguments}}


def as_openai(stream: bytes) -> list[dict[str, Any]]:
    decoder, encoder = Ollama().decoder(), ChatEncoder("req-1", "m", wants_usage=False)
    text = b"".join(encoder.feed(decoder.feed(stream[start : start + 9])) for start in range(0, len(stream), 9)) + encoder.end()
    return [json.loads(frame[6:]) for frame in text.decode().strip().split("\n\n")[:-1]]


def test_a2_calls_of_one_index_stay_apart_with_text_arguments_and_end_in_tool_calls() -> None:
    """Each call has an index and one constant id, its arguments are JSON text, and the answer ends with `tool_calls`."""
    chunks = as_openai(lines({"tool_calls": [call(city="Rome")]}, {"tool_calls": [call(city="Oslo"), call()]}))
    pieces = [piece for chunk in chunks for piece in chunk["choices"][0]["delta"].get("tool_calls", ())]
    assert [piece["index"] for piece in pieces if "id" in piece] == [0, 1, 2]
    assert len({piece["id"] for piece in pieces if "id" in piece}) == 3
    arguments = ["".join(p["function"]["arguments"] for p in pieces if p["index"] == index) for index in range(3)]
    assert list(map(json.loads, arguments)) == [{"city": "Rome"}, {"city": "Oslo"}, {}]
    assert chunks[-1]["choices"][0]["finish_reason"] == "tool_calls"


def test_a2_a_history_with_broken_arguments_is_refused_as_the_callers_and_not_a_500_later() -> None:
    """Arguments that are no JSON object name their call in a 400."""
    asked = Conversation("openai", [Message("assistant", [ToolCall("c7", "look", '{"city": "Ro')])])
    with pytest.raises(InvalidRequest, match="c7"):
        Ollama().build(asked, DEPLOYMENT, stream=False, warnings=[])


def test_s15_a_tool_call_in_a_stream_is_no_text() -> None:
    """A streamed call is a call; no text says it once more."""
    answer = fold(Ollama().decoder().feed(lines({"tool_calls": [call(city="Rome")]})))
    assert [type(part) for part in answer.parts] == [ToolCall]


def test_usage_of_a_stream_is_never_all_zeros() -> None:
    """What the last line counts is what is reported, also where older servers leave out a remembered prompt."""
    assert fold(Ollama().decoder().feed(lines({"content": "x"}))).usage == Usage(0, 1)


def test_the_bound_on_output_reaches_ollama() -> None:
    """`max_tokens` becomes `num_predict`, translated and passed through."""
    asked = Conversation("openai", [Message("user", [])], max_output_tokens=7)
    assert json.loads(Ollama().build(asked, DEPLOYMENT, stream=False, warnings=[]))["options"] == {"num_predict": 7}
    sent = json.loads(Ollama().outgoing("chat", Peek(b'{"model":"m"}', "m"), DEPLOYMENT, cap=7, warnings=[]))
    assert sent == {"model": "qwen3", "options": {"num_predict": 7}}


def test_a_long_prompt_is_never_cut_in_silence() -> None:
    """Translated chats ask the server to refuse a prompt that is longer than its context."""
    body = Ollama().build(Conversation("openai", [Message("user", [])]), DEPLOYMENT, stream=False, warnings=[])
    assert json.loads(body)["truncate"] is False


@pytest.mark.parametrize(("catalogue", "model"), [("openai", "text-embedding-3-small"), ("cohere", "embed-v4.0")])
def test_f6_embedding_models_have_a_price(catalogue: str, model: str) -> None:
    """A million tokens through an embedding model that is sold cost something."""
    price = PriceBook(catalogue, is_free=False).price(model)
    assert price is not None and price.cost(Usage(1_000_000)) > 0


def test_moderation_is_free_at_openai_and_so_open_to_keys_with_a_budget() -> None:
    """No price at all would close it to them."""
    assert PriceBook("openai", is_free=False).price("omni-moderation-latest") is FREE
