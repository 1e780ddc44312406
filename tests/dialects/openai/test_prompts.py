import json

import pytest

from aldgate.core.conversation import Answer, Text
from aldgate.core.errors import InvalidRequest, UpstreamError
from aldgate.core.events import Finished, TextDelta, UsageReported
from aldgate.core.operations import CompletionRequest, ModerationRequest, Moderations
from aldgate.core.usage import Usage
from aldgate.dialects.openai import prompts


def test_a_completion_is_read_and_written_again() -> None:
    body = {"model": "m", "prompt": ["Once"], "suffix": "end", "max_tokens": 9, "temperature": 0.5, "stop": ["x"], "stream": True}
    asked = prompts.parse_completion(json.dumps(body).encode())
    assert asked == CompletionRequest("openai", "Once", "end", 9, {"temperature": 0.5, "stop": ["x"]})
    built = prompts.build_completion(asked, "other", stream=True)
    assert built == {**body, "model": "other", "prompt": "Once", "stream_options": {"include_usage": True}}


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("prompt", ["a", "b"]),
        ("prompt", [1, 2]),
        ("n", 2),
        ("best_of", 3),
        ("echo", True),
        ("logprobs", 0),
        ("temperature", "hot"),
    ],
)
def test_what_cannot_be_read_is_refused_by_name(field: str, value: object) -> None:
    with pytest.raises(InvalidRequest) as refusal:
        prompts.parse_completion(json.dumps({"model": "m", "prompt": "a", field: value}).encode())
    assert refusal.value.param == field


def test_a_whole_completion_keeps_what_it_says() -> None:
    usage = {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5}
    reply = {"id": "c", "model": "m", "choices": [{"text": "upon a time", "finish_reason": "length"}], "usage": usage}
    answer = prompts.read_completion(json.dumps(reply).encode())
    assert answer == Answer([Text("upon a time")], "length", Usage(3, 2), "c", "m")
    written = json.loads(prompts.write_completion("req-1", "name", answer))
    assert written["choices"] == [{"index": 0, "text": "upon a time", "logprobs": None, "finish_reason": "length"}]
    assert (written["object"], written["model"], written["usage"]["total_tokens"]) == ("text_completion", "name", 5)


@pytest.mark.parametrize(
    "body", [b"", b"[]", b'{"choices": []}', b'{"error": "no"}', b'{"choices": [{"finish_reason": "error"}]}']
)
def test_what_is_no_completion_is_the_providers_fault(body: bytes) -> None:
    with pytest.raises(UpstreamError):
        prompts.read_completion(body)


@pytest.mark.parametrize("wants_usage", [False, True])
def test_a_stream_has_its_pieces_its_end_and_its_usage(wants_usage: bool) -> None:
    encoder = prompts.CompletionEncoder("req-1", "m", wants_usage=wants_usage)
    said = encoder.feed([TextDelta("a"), TextDelta("b"), Finished("length"), UsageReported(Usage(3, 2))]) + encoder.end()
    *chunks, done = [event.removeprefix("data: ") for event in said.decode().strip().split("\n\n")]
    read = [json.loads(chunk) for chunk in chunks]
    assert done == "[DONE]"
    assert [choice["text"] for chunk in read for choice in chunk["choices"]] == ["a", "b", ""]
    assert [choice["finish_reason"] for chunk in read for choice in chunk["choices"]] == [None, None, "length"]
    assert [chunk["usage"]["total_tokens"] for chunk in read if chunk.get("usage")] == [5] * wants_usage


def test_moderations_are_read_and_written_again() -> None:
    one = prompts.parse_moderation(b'{"input": "a"}')
    assert one == ModerationRequest("openai", ["a"], is_list=False)
    assert prompts.build_moderation(one, "m") == {"model": "m", "input": "a"}
    many = prompts.parse_moderation(b'{"input": ["a", {"type": "text", "text": "b"}]}')
    assert prompts.build_moderation(many, "m")["input"] == ["a", {"type": "text", "text": "b"}]
    assert prompts.read_moderations(b'{"results": [1]}') == Moderations({"results": [1]})
    with pytest.raises(InvalidRequest):
        prompts.parse_moderation(b'{"input": [1]}')
    for body in (b"no", b'{"error": {"message": "no"}}'):
        with pytest.raises(UpstreamError):
            prompts.read_moderations(body)
