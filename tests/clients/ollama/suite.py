"""Ollama's Python library, unmodified but for its host and the key in a header, against a gate."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import ollama

sys.path.insert(0, str(Path(__file__).parents[1]))

import checks
from checks import ECHO, HELLO, KEY, KEYS, MODELS, SAID, URL, failure, like

MESSAGES = [{"role": "user", "content": HELLO}]
SCHEMA = {
    "type": "object",
    "properties": {"name": {"type": "string"}, "lives": {"type": "integer"}},
    "required": ["name", "lives"],
}


def connect(api_key: str = KEY, kind: Any = ollama.Client) -> Any:
    return kind(host=URL, headers={"Authorization": f"Bearer {api_key}"}, trust_env=False)


def look(at: str) -> str:
    """Look at something.

    Args:
        at: What to look at.
    """
    return f"the {at} is blue"


def check_chat() -> None:
    for model, said in SAID.items():
        reply = connect().chat(model, MESSAGES, options={"temperature": 0.5, "num_predict": 64})
        assert (reply.message.content, reply.done_reason, reply.done) == (said, "stop", True), reply
        assert reply.prompt_eval_count > 0 and reply.eval_count > 0


def check_streams() -> None:
    for model, said in SAID.items():
        pieces = list(connect().chat(model, MESSAGES, stream=True))
        assert "".join(piece.message.content for piece in pieces) == said
        assert len(pieces) > 2 and pieces[-1].done and pieces[-1].eval_count > 0


async def check_streams_asynchronously() -> None:
    client = connect(kind=ollama.AsyncClient)
    for model, said in SAID.items():
        pieces = [piece.message.content async for piece in await client.chat(model, MESSAGES, stream=True)]
        assert "".join(pieces) == said


def check_generate() -> None:
    for model, said in SAID.items():
        assert connect().generate(model, HELLO, system="Be kind.").response == said
        assert "".join(piece.response for piece in connect().generate(model, HELLO, stream=True)) == said


def check_tools() -> None:
    for model in MODELS:
        asked: list[Any] = [{"role": "user", "content": "Look at the sea"}]
        whole = connect().chat(model, asked, tools=[look]).message
        (streamed,) = [
            piece.message for piece in connect().chat(model, asked, tools=[look], stream=True) if piece.message.tool_calls
        ]
        for message in (whole, streamed):
            (call,) = message.tool_calls
            assert (call.function.name, call.function.arguments) == ("look", {"at": "sea"}), message
            result = {"role": "tool", "tool_name": "look", "content": look(**call.function.arguments)}
            assert connect().chat(model, [*asked, message, result], tools=[look]).message.content == SAID[model]


def check_structured_output() -> None:
    for model in MODELS:
        reply = connect().chat(like(model, "json"), MESSAGES, format=SCHEMA)
        assert reply.message.content == '{"name":"Tom","lives":9}', reply


def check_embeddings_and_models() -> None:
    assert len(connect().embed("builtin/embed", ["one", "two"]).embeddings) == 2
    assert {ECHO, *MODELS} <= {model.model for model in connect().list().models}
    assert "completion" in connect().show(ECHO).capabilities
    assert connect().ps().models is not None


def check_errors() -> None:
    def asking(model: str, key: str = KEY, *, stream: bool = False) -> Any:
        return lambda: list(connect(key).chat(model, MESSAGES, stream=stream))

    for stream in (False, True):
        wanted = {401: asking(ECHO, KEYS["unknown"], stream=stream), 404: asking("lab/gone", stream=stream)}
        wanted |= {403: asking(ECHO, KEYS["embedding"], stream=stream)}
        for status, wrong in wanted.items():
            assert failure(ollama.ResponseError, wrong).status_code == status
        for model in MODELS:
            limited = failure(ollama.ResponseError, asking(like(model, "limited"), stream=stream))
            assert limited.status_code == 429 and limited.error, limited
    broken = failure(ollama.ResponseError, asking("breaking/gpt-4.1", stream=True))
    assert "closed the connection" in broken.error


def check_a_limited_call_answers_when_it_is_asked_again() -> None:
    assert failure(ollama.ResponseError, lambda: connect().chat("stumbling/gpt-4.1", MESSAGES)).status_code == 429
    assert connect().chat("stumbling/gpt-4.1", MESSAGES).message.content == SAID[MODELS[0]]


sys.exit(checks.run(globals()))
