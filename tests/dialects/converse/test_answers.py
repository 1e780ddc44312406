import json
from typing import Any

import pytest

from aldgate.core.conversation import Answer, Media, Opaque, Reasoning, Text, ToolCall
from aldgate.core.errors import UpstreamInvalid
from aldgate.core.events import fold
from aldgate.core.usage import Usage
from aldgate.dialects.converse.answers import read_answer
from tests.dialects.converse.streams import USAGE, call, decoded, delta, event, stream, text

SERVER_TOOL = {"searchResult": {"source": "s", "title": "t", "content": []}}


def whole(*content: dict[str, Any], stop: str = "end_turn", **more: Any) -> bytes:
    message = {"role": "assistant", "content": content}
    return json.dumps({"output": {"message": message}, "stopReason": stop, "usage": USAGE, "metrics": {}, **more}).encode()


CONTENT: list[dict[str, Any]] = [
    {"reasoningContent": {"reasoningText": {"text": "Let me see.", "signature": "c2ln"}}},
    {"text": "Hello"},
    {"toolUse": {"toolUseId": "t1", "name": "look", "input": {"a": 1}}},
    {"toolUse": {"toolUseId": "t2", "name": "go", "input": {}}},
]
PARTS = [
    Reasoning("Let me see.", "c2ln", origin="anthropic"),
    Text("Hello"),
    ToolCall("t1", "look", '{"a":1}'),
    ToolCall("t2", "go", "{}"),
]


def test_a_whole_answer_says_what_its_stream_says() -> None:
    read = read_answer(whole(*CONTENT, stop="tool_use"))
    assert read == Answer(PARTS, "tool_calls", Usage(10, 5))  # type: ignore[arg-type]
    signed = [
        delta(0, reasoningContent={"text": "Let me see."}),
        delta(0, reasoningContent={"signature": "c2ln"}),
        event("contentBlockStop", contentBlockIndex=0),
    ]
    frames = stream(signed, text(1, "Hello"), call(2, "t1", "look", '{"a":1}'), call(3, "t2", "go", "{}"), stop="tool_use")
    assert fold(decoded(frames)) == read


def test_every_block_is_kept() -> None:
    cited = {"citationsContent": {"content": [{"text": "So "}, {"text": "it is."}], "citations": [{}]}}
    blocks = [
        {"reasoningContent": {"redactedContent": "ZW5j"}},
        {"reasoningContent": {"reasoningText": {"text": "Hm."}}},
        cited,
        {"image": {"format": "png", "source": {"bytes": "iVBO"}}},
        {"text": ""},
        SERVER_TOOL,
    ]
    assert read_answer(whole(*blocks)).parts == [
        Reasoning(redacted="ZW5j", origin="anthropic"),
        Reasoning("Hm."),
        Text("So it is."),
        Media("image", "image/png", "iVBO"),
        Opaque("converse", "searchResult", SERVER_TOOL),
    ]


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b"{}",
        b'{"message":"Hi"}',
        whole(stop="malformed_model_output"),
        whole({"toolUse": {"name": "x"}}),
        whole({"image": {"format": "png"}}),
        whole({"reasoningContent": {"reasoningText": "x"}}),
        b"\xff" + whole(),
        b"[" * 100_000,
    ],
)
def test_what_is_no_answer_is_invalid(body: bytes) -> None:
    with pytest.raises(UpstreamInvalid):
        read_answer(body)


def test_usage_may_be_missing() -> None:
    assert read_answer(whole(usage=None)).usage is None
