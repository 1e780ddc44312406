"""Tools that the fake upstream calls, on every wire: once they are offered, until their result is there."""

import json
from typing import Any

import pytest

from aldgate.testing.upstream import Reply
from aldgate.testing.upstream.replies import render

REPLY = Reply(call=("look", '{"at":"sea"}'))
GEMINI = "/v1beta/models/g:generateContent"
OFFERS: dict[str, dict[str, Any]] = {
    "/v1/chat/completions": {"tools": [{"type": "function", "function": {"name": "look"}}], "messages": [{"role": "user"}]},
    "/v1/responses": {"tools": [{"type": "function", "name": "look"}], "input": "Look!"},
    "/v1/messages": {
        "max_tokens": 9,
        "model": "claude",
        "messages": [{"role": "user", "content": "Look!"}],
        "tools": [{"name": "look", "input_schema": {"type": "object"}}],
    },
    "/api/chat": {"tools": [{"type": "function", "function": {"name": "look"}}], "messages": [{"role": "user"}]},
    GEMINI: {"tools": [{"functionDeclarations": [{"name": "look"}]}], "contents": [{"role": "user", "parts": []}]},
}
RESULTS: dict[str, dict[str, Any]] = {
    "/v1/chat/completions": {"messages": [{"role": "tool", "content": "blue"}]},
    "/v1/responses": {"input": [{"type": "function_call_output", "output": "blue"}]},
    "/v1/messages": {"messages": [{"role": "user", "content": [{"type": "tool_result", "content": "blue"}]}]},
    "/api/chat": {"messages": [{"role": "tool", "content": "blue"}]},
    GEMINI: {"contents": [{"role": "user", "parts": [{"functionResponse": {"response": {}}}]}]},
}


def said(path: str, *, stream: bool = False, **asked: Any) -> str:
    if path == GEMINI and stream:
        path = GEMINI.replace("generate", "streamGenerate") + "?alt=sse"
    rendered = render(path, json.dumps({**asked, "stream": stream}).encode(), REPLY)
    assert rendered.status == 200
    return b"".join(rendered.events or [rendered.body]).decode()


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("path", OFFERS)
def test_an_offered_tool_is_called_once(path: str, stream: bool) -> None:
    offered = OFFERS[path]
    assert '"look"' in said(path, stream=stream, **offered)
    assert "upstream." in said(path, stream=stream, **offered | RESULTS[path])
    assert "upstream." in said(path, stream=stream, **offered | {"tools": []})
