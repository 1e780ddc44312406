"""What Ollama's callers ask, what Ollama's servers are asked, and what they answer when they will not."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aldgate.core.conversation import (
    Conversation,
    Media,
    Message,
    OutputFormat,
    Reasoning,
    Refusal,
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
    ModelNotFound,
    RateLimited,
    UpstreamAuth,
    UpstreamError,
    UpstreamLimited,
    UpstreamOverloaded,
    UpstreamRejected,
)
from aldgate.core.operations import EmbedRequest
from aldgate.core.prices import FREE
from aldgate.core.routes import Deployment
from aldgate.dialects.ollama.dialect import Ollama, OllamaEmbeddings, OllamaGenerate
from aldgate.gate.money.bounds import most_input

FACE = Ollama()
DEPLOYMENT = Deployment("ollama/qwen3", "ollama", "qwen3:8b", FREE, "file")
IMAGE = "iVBORw0KGgo="


def body(**said: Any) -> bytes:
    return json.dumps({"model": "m", **said}).encode()


def asked(face: Ollama = FACE, **said: Any) -> Conversation:
    conversation = face.parse("chat", face.peek("chat", body(**said)))
    assert isinstance(conversation, Conversation)
    return conversation


def built(conversation: Conversation, *, stream: bool = False, num_ctx: int | None = None) -> tuple[dict[str, Any], list[str]]:
    warnings: list[str] = []
    return json.loads(Ollama(num_ctx).build(conversation, DEPLOYMENT, stream=stream, warnings=warnings)), warnings


def chat(*messages: Message, **more: Any) -> Conversation:
    return Conversation("openai", list(messages) or [Message("user", [Text("hi")])], **more)


@pytest.mark.parametrize(
    ("said", "streams"), [({}, True), ({"stream": None}, True), ({"stream": True}, True), ({"stream": False}, False)]
)
def test_answers_are_streamed_unless_the_caller_says_no(said: dict[str, Any], streams: bool) -> None:
    assert FACE.peek("chat", body(messages=[], **said)).stream is streams
    assert FACE.peek("embed", body(input="x", **said)).stream is False


@pytest.mark.parametrize(("num_predict", "cap"), [(9, 9), (-1, None), (-2, None), (0, None), (None, None)])
def test_the_callers_bound(num_predict: int | None, cap: int | None) -> None:
    assert FACE.peek("chat", body(messages=[], options={"num_predict": num_predict})).cap == cap


def test_pictures_are_counted_as_their_bytes_say_little_of_their_tokens() -> None:
    peek = FACE.peek("chat", body(messages=[{"role": "user", "images": [IMAGE] * 2}, {"role": "user"}], images=[IMAGE]))
    assert peek.images == 3
    assert most_input(peek) > 100_000 > most_input(FACE.peek("chat", body(messages=[])))


@pytest.mark.parametrize(("said", "model"), [("m:latest", "m"), ("m", "m"), ("m:8b", "m:8b"), (":latest", ":latest")])
def test_the_tag_that_is_taken_for_granted(said: str, model: str) -> None:
    assert FACE.peek("chat", json.dumps({"model": said}).encode()).model == model


@pytest.mark.parametrize(
    "wrong",
    [b"[]", b"{", b'{"model":1}', b'{"model":""}', b"{}", b'{"model":"a","model":"b"}', b'{"model":"a","Stream":false}', b"\xff"],
)
def test_what_is_no_request(wrong: bytes) -> None:
    with pytest.raises(InvalidRequest):
        FACE.peek("chat", wrong)


def test_a_bound_that_stands_twice_or_escaped_is_written_anew() -> None:
    twice = b'{"model":"m","options":{"num_predict":1,"num_predict":9}}'
    peek = FACE.peek("chat", twice)
    assert peek.cap == 9
    assert peek.body.count(b"num_predict") == 1
    escaped = FACE.peek("chat", rb'{"model":"m","options":{"num\u005fpredict":9}}')
    assert escaped.cap == 9
    assert json.loads(escaped.body)["options"] == {"num_predict": 9}


def test_going_on_to_ollama_only_the_model_and_a_needed_bound_change() -> None:
    peek = FACE.peek("chat", body(messages=[], options={"temperature": 0.5, "num_predict": 9}, keep_alive="5m"))
    sent = json.loads(FACE.outgoing("chat", peek, DEPLOYMENT, cap=9, warnings=[]))
    assert sent == {"model": "qwen3:8b", "messages": [], "options": {"temperature": 0.5, "num_predict": 9}, "keep_alive": "5m"}
    bounded = json.loads(FACE.outgoing("chat", peek, DEPLOYMENT, cap=3, warnings=[]))
    assert bounded["options"] == {"temperature": 0.5, "num_predict": 3}


def test_a_chat_in_neutral_words() -> None:
    conversation = asked(
        messages=[
            {"role": "system", "content": "be brief"},
            {"role": "user", "content": "what is this?", "images": [IMAGE, "/9j/4AAQ"]},
            {
                "role": "assistant",
                "content": "",
                "thinking": "hm",
                "tool_calls": [{"function": {"name": "look", "arguments": {"a": 1}}}],
            },
            {"role": "tool", "content": "a cat", "tool_name": "look"},
        ],
        tools=[{"type": "function", "function": {"name": "look", "description": "Look.", "parameters": {"type": "object"}}}],
        options={"num_predict": 5, "temperature": 0.1, "top_k": 3, "stop": "END", "seed": 4, "num_ctx": 8192},
        format={"type": "object"},
        think="high",
        keep_alive=-1,
        logprobs=True,
    )
    assert conversation == Conversation(
        origin="ollama",
        messages=[
            Message("system", [Text("be brief")]),
            Message(
                "user", [Text("what is this?"), Media("image", "image/png", IMAGE), Media("image", "image/jpeg", "/9j/4AAQ")]
            ),
            Message("assistant", [Reasoning("hm"), ToolCall("call_0", "look", '{"a":1}')]),
            Message("tool", [ToolResult("call_0", [Text("a cat")], name="look")]),
        ],
        tools=[Tool("look", "Look.", {"type": "object"})],
        max_output_tokens=5,
        temperature=0.1,
        top_k=3,
        seed=4,
        stop=["END"],
        top_logprobs=0,
        output_format=OutputFormat({"type": "object"}),
        thinking=Thinking("high", is_shown=True),
        others={"keep_alive": -1, "options": {"num_ctx": 8192}},
    )


def test_results_find_their_calls_by_id_by_name_or_by_order() -> None:
    calls = [{"function": {"name": "a"}}, {"function": {"name": "b"}}, {"id": "mine", "function": {"name": "a"}}]
    results = [{"role": "tool", "tool_call_id": "mine"}, {"role": "tool", "tool_name": "b"}, {"role": "tool"}]
    messages = asked(messages=[{"role": "assistant", "tool_calls": calls}, *results]).messages
    found = [part for message in messages[1:] for part in message.parts if isinstance(part, ToolResult)]
    assert [(part.call_id, part.name) for part in found] == [("mine", "a"), ("call_1", "b"), ("call_0", "a")]
    with pytest.raises(InvalidRequest):
        asked(messages=[{"role": "tool", "content": "x"}])


@pytest.mark.parametrize(
    ("think", "thinking"),
    [
        (None, None),
        (True, Thinking(is_shown=True)),
        (False, Thinking("none", is_shown=False)),
        ("low", Thinking("low", is_shown=True)),
    ],
)
def test_thinking(think: bool | str | None, thinking: Thinking | None) -> None:
    assert asked(messages=[{"role": "user", "content": "x"}], think=think).thinking == thinking


@pytest.mark.parametrize(
    ("said", "param"),
    [
        ({"think": "loads"}, "think"),
        ({"format": "yaml"}, "format"),
        ({"messages": []}, "messages"),
        ({"messages": [{"role": "king"}]}, "messages"),
    ],
)
def test_what_cannot_be_meant_is_refused(said: dict[str, Any], param: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        asked(**{"messages": [{"role": "user", "content": "x"}], **said})
    assert (caught.value.param or "").startswith(param)


def test_generate_is_a_chat_of_one_message() -> None:
    conversation = asked(OllamaGenerate(), prompt="draw", system="be brief", images=[IMAGE], format="json")
    assert conversation.messages == [
        Message("system", [Text("be brief")]),
        Message("user", [Text("draw"), Media("image", "image/png", IMAGE)]),
    ]
    assert conversation.output_format == OutputFormat()


@pytest.mark.parametrize("name", ["suffix", "template", "raw", "context", "prompt"])
def test_what_only_a_bare_completion_has_is_refused_by_name(name: str) -> None:
    said: dict[str, Any] = {"suffix": "x", "template": "x", "raw": True, "context": [1], "prompt": ""}
    with pytest.raises(InvalidRequest) as caught:
        asked(OllamaGenerate(), **{"prompt": "hi", name: said[name]})
    assert caught.value.param == name


def test_embeddings_asked_in_both_forms() -> None:
    peek = FACE.peek("embed", body(input=["a", "b"], dimensions=4))
    assert FACE.parse("embed", peek) == EmbedRequest("ollama", ["a", "b"], 4)
    assert FACE.parse("embed", FACE.peek("embed", body(input="a"))) == EmbedRequest("ollama", ["a"])
    older = OllamaEmbeddings()
    assert older.parse("embed", older.peek("embed", body(prompt="a"))) == EmbedRequest("ollama", ["a"])


def test_a_chat_for_ollama() -> None:
    conversation = chat(
        Message("system", [Text("be brief")]),
        Message("user", [Text("see"), Media("image", "image/png", IMAGE)]),
        Message("assistant", [Reasoning("hm", "sig", origin="anthropic"), Refusal("no"), ToolCall("c1", "look", '{"a":1}')]),
        Message("tool", [ToolResult("c1", [Text("cat"), Media("image", "image/png", IMAGE)], is_error=True, name="look")]),
        tools=[Tool("look", "Look."), Tool("other")],
        tool_choice=ToolChoice("auto", ("look",)),
        max_output_tokens=9,
        temperature=0.5,
        stop=["END"],
        output_format=OutputFormat({"type": "object"}),
        thinking=Thinking("xhigh"),
        user="u",
        metadata={"a": "b"},
        others={"logit_bias": {"1": 2}, "num_ctx": 4096, "modalities": ["text"]},
    )
    sent, warnings = built(conversation, stream=True, num_ctx=2048)
    assert sent == {
        "model": "qwen3:8b",
        "messages": [
            {"role": "system", "content": "be brief"},
            {"role": "user", "content": "see", "images": [IMAGE]},
            {
                "role": "assistant",
                "content": "no",
                "thinking": "hm",
                "tool_calls": [{"id": "c1", "function": {"index": 0, "name": "look", "arguments": {"a": 1}}}],
            },
            {"role": "tool", "content": "Error: cat", "tool_name": "look", "tool_call_id": "c1"},
            {"role": "user", "content": "Attachment of the tool result c1:", "images": [IMAGE]},
        ],
        "stream": True,
        "truncate": False,
        "tools": [
            {
                "type": "function",
                "function": {"name": "look", "description": "Look.", "parameters": {"type": "object", "properties": {}}},
            }
        ],
        "format": {"type": "object"},
        "think": "max",
        "options": {"num_ctx": 4096, "num_predict": 9, "temperature": 0.5, "stop": ["END"]},
    }
    assert warnings == ["user", "metadata", "logit_bias", "is_error"]


@pytest.mark.parametrize(
    ("conversation", "param"),
    [
        (chat(tools=[Tool("a")], tool_choice=ToolChoice("required")), "tool_choice"),
        (chat(tools=[Tool("a")], tool_choice=ToolChoice("one", ("a",))), "tool_choice"),
        (chat(tools=[Tool("a", is_custom=True)]), "tools"),
        (chat(choices=2), "n"),
        (chat(Message("user", [Media("image", url="https://x/y.png")])), "messages"),
        (chat(Message("user", [Media("audio", "audio/wav", "UklG")])), "messages"),
        (chat(Message("assistant", [ToolCall("c", "a", '{"x')])), "messages"),
        (chat(Message("assistant", [ToolCall("c", "a", "[1]")])), "messages"),
    ],
)
def test_what_ollama_cannot_say_is_refused(conversation: Conversation, param: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        built(conversation)
    assert caught.value.param == param


def test_no_tools_may_be_called_so_none_are_shown() -> None:
    assert "tools" not in built(chat(tools=[Tool("a")], tool_choice=ToolChoice("none")))[0]


def test_a_generate_request_keeps_what_only_ollama_has() -> None:
    conversation = asked(
        OllamaGenerate(), prompt="hi", keep_alive="1h", options={"num_ctx": 99, "mirostat": 1, "seed": 2}, truncate=True
    )
    sent, warnings = built(conversation)
    assert sent["options"] == {"num_ctx": 99, "mirostat": 1, "seed": 2}
    assert (sent["keep_alive"], sent["truncate"]) == ("1h", True)
    assert warnings == []


def test_embeddings_for_ollama() -> None:
    warnings: list[str] = []
    sent = FACE.build(EmbedRequest("openai", ["a"], 4, task="query"), DEPLOYMENT, stream=False, warnings=warnings)
    assert json.loads(sent) == {"model": "qwen3:8b", "input": ["a"], "dimensions": 4}
    assert warnings == ["task"]
    with pytest.raises(InvalidRequest):
        FACE.build(EmbedRequest("openai", [[1, 2]]), DEPLOYMENT, stream=False, warnings=[])


plain = st.text(st.characters(codec="utf-8"), min_size=1)
spoken = st.one_of(
    st.fixed_dictionaries({"role": st.sampled_from(["system", "user"]), "content": plain}),
    st.fixed_dictionaries(
        {
            "role": st.just("assistant"),
            "content": plain,
            "thinking": plain,
            "tool_calls": st.lists(
                st.fixed_dictionaries(
                    {
                        "id": plain,
                        "function": st.fixed_dictionaries(
                            {"name": plain, "arguments": st.dictionaries(plain, st.integers(0, 9))}
                        ),
                    }
                ),
                min_size=1,
                max_size=2,
            ),
        }
    ),
)


@given(st.lists(spoken, min_size=1, max_size=4))
def test_ollamas_own_messages_come_through_unchanged(messages: list[dict[str, Any]]) -> None:
    sent = built(asked(messages=messages))[0]["messages"]
    for message in sent:
        for call in message.get("tool_calls", ()):
            del call["function"]["index"]
    assert sent == messages


@pytest.mark.parametrize(
    ("status", "said", "kind", "code"),
    [
        (404, "model 'x' not found", UpstreamRejected, 404),
        (400, "the input length exceeds the context length", ContextTooLong, 400),
        (400, '"x" does not support tools', UpstreamRejected, 400),
        (401, "unauthorized", UpstreamAuth, 502),
        (429, "too many", UpstreamLimited, 429),
        (503, "server busy, please try again", UpstreamOverloaded, 503),
        (500, "llm server loading model", UpstreamOverloaded, 503),
        (500, "model runner has unexpectedly stopped", UpstreamError, 502),
    ],
)
def test_what_servers_answer_when_they_will_not(status: int, said: str, kind: type[UpstreamError], code: int) -> None:
    error = FACE.read_error(status, json.dumps({"error": said}).encode(), None)
    assert type(error) is kind
    assert error.status == code


def test_an_error_that_is_no_json_is_still_classed() -> None:
    assert isinstance(FACE.read_error(503, b"<html>", None), UpstreamOverloaded)


def test_errors_are_text_under_one_key() -> None:
    status, headers, said = FACE.error(ModelNotFound("no such model"), "req-1")
    assert (status, json.loads(said)) == (404, {"error": "no such model"})
    assert (b"x-request-id", b"req-1") in headers
    assert (b"retry-after", b"3") in FACE.error(RateLimited("slow down", retry_after_s=3), "req-1")[1]
    assert FACE.failed(RateLimited("slow down"), "req-1") == b'{"error":"slow down"}\n'
