"""Cohere's v2 wire: what it is asked, and what its answers, whole and streamed, come to."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aldgate.core.conversation import (
    Answer,
    Conversation,
    Media,
    Message,
    Opaque,
    OutputFormat,
    Reasoning,
    Text,
    Thinking,
    Tool,
    ToolCall,
    ToolChoice,
    ToolResult,
)
from aldgate.core.errors import (
    ContextTooLong,
    InvalidRequest,
    UpstreamAuth,
    UpstreamBroken,
    UpstreamError,
    UpstreamInvalid,
    UpstreamLimited,
    UpstreamRejected,
)
from aldgate.core.events import Event, Failed, fold
from aldgate.core.operations import Embeddings, EmbedRequest, Ranked, Ranking, Request, RerankRequest
from aldgate.core.prices import FREE
from aldgate.core.routes import Deployment
from aldgate.core.usage import Usage
from aldgate.dialects.cohere.dialect import Cohere

COHERE = Cohere()
DEPLOYMENT = Deployment("cohere/command", "cohere", "command-a-03-2025", FREE, "file")


def chat(*messages: Message, **more: Any) -> Conversation:
    return Conversation("openai", list(messages) or [Message("user", [Text("hi")])], **more)


def built(asked: Request, *, stream: bool = False) -> tuple[dict[str, Any], list[str]]:
    warnings: list[str] = []
    return json.loads(COHERE.build(asked, DEPLOYMENT, stream=stream, warnings=warnings)), warnings


def sse(kind: str, **more: Any) -> bytes:
    return f"event: {kind}\ndata: {json.dumps({'type': kind, **more})}\n\n".encode()


def said(kind: str, **message: Any) -> bytes:
    return sse(kind, index=0, delta={"message": message})


def ended(reason: str, **delta: Any) -> bytes:
    usage = {"billed_units": {"input_tokens": 7.0, "output_tokens": 5}, "tokens": {"input_tokens": 70, "output_tokens": 9}}
    return sse("message-end", id="m1", delta={"finish_reason": reason, "usage": usage, **delta})


def called(index: int, name: str) -> bytes:
    function = {"name": name, "arguments": ""}
    call = {"id": f"c{index}", "type": "function", "function": function}
    return sse("tool-call-start", index=index, delta={"message": {"tool_calls": call}})


def arguments(index: int, text: str) -> bytes:
    return sse("tool-call-delta", index=index, delta={"message": {"tool_calls": {"function": {"arguments": text}}}})


STREAM = (
    sse("message-start", id="m1", delta={"message": {"role": "assistant", "content": [], "tool_plan": "", "tool_calls": []}})
    + said("tool-plan-delta", tool_plan="I will ")
    + said("tool-plan-delta", tool_plan="look.")
    + called(0, "look")
    + arguments(0, '{"a"')
    + arguments(0, ":1}")
    + sse("tool-call-end", index=0)
    + called(1, "find")
    + sse("tool-call-end", index=1)
    + ended("TOOL_CALL")
)
TALK = (
    sse("message-start", id="m2", delta={"message": {"role": "assistant"}})
    + said("content-start", content={"type": "thinking", "thinking": ""})
    + said("content-delta", content={"thinking": "hm"})
    + sse("content-end", index=0)
    + said("content-start", content={"type": "text", "text": ""})
    + said("content-delta", content={"text": "Hé"})
    + said("content-delta", content={"text": "llo"})
    + sse("citation-start", index=0, delta={"message": {"citations": {"start": 0, "end": 2, "text": "Hé", "sources": []}}})
    + sse("citation-end", index=0)
    + sse("content-end", index=1)
    + ended("MAX_TOKENS")
)


def told(stream: bytes, step: int) -> list[Event]:
    reader = COHERE.decoder()
    events: list[Event] = []
    for start in range(0, len(stream), step):
        events += reader.feed(stream[start : start + step])
    return events + reader.end()


@given(st.sampled_from([STREAM, TALK]), st.integers(1, 200))
def test_where_the_wire_cuts_decides_nothing(stream: bytes, step: int) -> None:
    assert told(stream, step) == told(stream, len(stream))


def test_a_stream_with_calls() -> None:
    assert fold(told(STREAM, 20)) == Answer(
        [Reasoning("I will look."), ToolCall("c0", "look", '{"a":1}'), ToolCall("c1", "find")], "tool_calls", Usage(7, 5), "m1"
    )


def test_a_stream_that_thinks_and_talks() -> None:
    assert fold(told(TALK, 20)) == Answer([Reasoning("hm"), Text("Héllo")], "length", Usage(7, 5), "m2")


@pytest.mark.parametrize("last", [ended("ERROR", error="out of luck"), ended("TIMEOUT"), b'data: {"message":"out of luck"}\n\n'])
def test_a_failure_in_the_stream(last: bytes) -> None:
    assert isinstance(told(said("content-delta", content={"text": "x"}) + last, 30)[-1], Failed)


def test_streams_that_are_none() -> None:
    with pytest.raises(UpstreamBroken):
        told(said("content-delta", content={"text": "x"}), 30)
    with pytest.raises(UpstreamInvalid):
        told(b"data: oops\n\n", 30)


def test_a_whole_answer() -> None:
    function = {"name": "look", "arguments": "{}"}
    message = {
        "role": "assistant",
        "tool_plan": "I will look.",
        "content": [{"type": "thinking", "thinking": "hm"}, {"type": "text", "text": "so"}],
        "tool_calls": [{"id": "c0", "type": "function", "function": function}],
    }
    usage = {"billed_units": {"input_tokens": 3, "output_tokens": 4}}
    body = json.dumps({"id": "m1", "finish_reason": "TOOL_CALL", "message": message, "usage": usage}).encode()
    parts = [Reasoning("I will look."), Reasoning("hm"), Text("so"), ToolCall("c0", "look", "{}")]
    assert COHERE.read("chat", body) == Answer(parts, "tool_calls", Usage(3, 4), "m1")


def test_whole_answers_that_are_none() -> None:
    with pytest.raises(UpstreamError):
        COHERE.read("chat", b'{"id":"m","finish_reason":"ERROR","message":{"role":"assistant"}}')
    with pytest.raises(UpstreamInvalid):
        COHERE.read("chat", b'{"message":"x"}')


def test_a_chat_for_cohere() -> None:
    conversation = chat(
        Message("system", [Text("be brief")]),
        Message("user", [Text("see"), Media("image", "image/png", "iVBO"), Media("image", url="https://x/y.png")]),
        Message("assistant", [Reasoning("I will look"), Text("so"), ToolCall("c1", "look", "")]),
        Message("tool", [ToolResult("c1", [Text("cat")], is_error=True)]),
        Message("assistant", [Text("a cat")]),
        tools=[Tool("look", "Look.", {"type": "object"}, strict=True), Tool("other")],
        tool_choice=ToolChoice("one", ("look",)),
        max_output_tokens=9,
        top_p=0.5,
        top_k=4,
        stop=list("abcdef"),
        output_format=OutputFormat({"type": "object"}),
        thinking=Thinking("low"),
        service_tier="flex",
        others={"store": True},
    )
    sent, warnings = built(conversation, stream=True)
    assert sent == {
        "model": "command-a-03-2025",
        "stream": True,
        "messages": [
            {"role": "system", "content": "be brief"},
            {
                "role": "user",
                "content": [
                    {"type": "text", "text": "see"},
                    {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBO"}},
                    {"type": "image_url", "image_url": {"url": "https://x/y.png"}},
                ],
            },
            {
                "role": "assistant",
                "tool_plan": "I will look",
                "content": "so",
                "tool_calls": [{"id": "c1", "type": "function", "function": {"name": "look", "arguments": "{}"}}],
            },
            {"role": "tool", "tool_call_id": "c1", "content": "Error: cat"},
            {"role": "assistant", "content": "a cat"},
        ],
        "max_tokens": 9,
        "p": 0.5,
        "k": 4,
        "stop_sequences": list("abcde"),
        "response_format": {"type": "json_object", "json_schema": {"type": "object"}},
        "thinking": {"type": "enabled", "token_budget": 2048},
        "tools": [
            {"type": "function", "function": {"name": "look", "description": "Look.", "parameters": {"type": "object"}}},
        ],
        "strict_tools": True,
        "tool_choice": "REQUIRED",
    }
    assert warnings == ["service_tier", "store", "is_error", "stop[5:]"]


@pytest.mark.parametrize(
    ("thinking", "sent"),
    [
        (Thinking("none"), {"type": "disabled"}),
        (Thinking("high"), {"type": "enabled"}),
        (Thinking(budget_tokens=99), {"type": "enabled", "token_budget": 99}),
    ],
)
def test_thinking(thinking: Thinking, sent: dict[str, Any]) -> None:
    assert built(chat(thinking=thinking))[0]["thinking"] == sent


@pytest.mark.parametrize(
    ("conversation", "param"),
    [
        (chat(choices=2), "n"),
        (chat(top_logprobs=3), "logprobs"),
        (chat(tools=[Tool("a", is_custom=True)]), "tools"),
        (chat(Message("user", [Media("audio", "audio/wav", "UklG")])), "messages"),
        (chat(Message("user", [Media("image", file_id="f1")])), "messages"),
        (chat(Message("assistant", [Opaque("anthropic", "server_tool_use", {})])), "messages"),
        (chat(Message("tool", [ToolResult("c", [Media("image", "image/png", "iVBO")])])), "messages"),
    ],
)
def test_what_cohere_cannot_say_is_refused(conversation: Conversation, param: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        built(conversation)
    assert caught.value.param == param


@pytest.mark.parametrize(
    ("task", "input_type", "warned"),
    [(None, "search_document", []), ("query", "search_query", []), ("similarity", "search_document", ["task"])],
)
def test_embeddings(task: Any, input_type: str, warned: list[str]) -> None:
    sent, warnings = built(EmbedRequest("openai", ["a"], 256, task=task))
    assert sent == {
        "model": "command-a-03-2025",
        "texts": ["a"],
        "input_type": input_type,
        "embedding_types": ["float"],
        "output_dimension": 256,
    }
    assert warnings == warned
    body = b'{"id":"e","embeddings":{"float":[[0.5,1]]},"texts":["a"],"meta":{"billed_units":{"input_tokens":2}}}'
    assert COHERE.read("embed", body) == Embeddings([[0.5, 1.0]], Usage(2))


def test_token_ids_are_refused() -> None:
    with pytest.raises(InvalidRequest):
        built(EmbedRequest("openai", [[1]]))


def test_rerank_is_billed_by_search_units() -> None:
    sent, warnings = built(RerankRequest("rerank", "q", ["a", "b"], 1, max_tokens_per_doc=9, others={"truncate": True}))
    documents = ["a", "b"]
    assert sent == {"model": "command-a-03-2025", "query": "q", "documents": documents, "top_n": 1, "max_tokens_per_doc": 9}
    assert warnings == ["truncate"]
    body = b'{"id":"r","results":[{"index":1,"relevance_score":0.9}],"meta":{"billed_units":{"search_units":2}}}'
    assert COHERE.read("rerank", body) == Ranking([Ranked(1, 0.9)], Usage(requests=2), "r")


@pytest.mark.parametrize(
    ("status", "message", "kind"),
    [
        (400, "invalid request: too many tokens", ContextTooLong),
        (400, "message must be at least 1 token long", UpstreamRejected),
        (401, "invalid api token", UpstreamAuth),
        (498, "invalid token", UpstreamAuth),
        (402, "add a card", UpstreamLimited),
        (429, "trial key", UpstreamLimited),
        (500, "oops", UpstreamError),
    ],
)
def test_errors(status: int, message: str, kind: type[UpstreamError]) -> None:
    assert type(COHERE.read_error(status, json.dumps({"message": message}).encode(), None)) is kind


def test_no_caller_speaks_it() -> None:
    with pytest.raises(InvalidRequest):
        COHERE.outgoing("chat", None, DEPLOYMENT, cap=None, warnings=[])  # type: ignore[arg-type]
