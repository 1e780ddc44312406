"""Azure OpenAI's wire: OpenAI's answers at Azure's addresses, with what its content filter adds to them.

https://learn.microsoft.com/azure/foundry/openai/concepts/content-filter and .../content-streaming
"""

import json
from typing import Any, cast

from aldgate.testing.upstream import wire
from aldgate.testing.upstream.replies import CREATED, OTHERS, Object, Rendered, Reply, encode, error_body, render, sse

BASE_MODEL = "gpt-4.1-2025-04-14"
_SAFE: Object = {"hate": {"filtered": False, "severity": "safe"}, "violence": {"filtered": False, "severity": "safe"}}


def answer(path: str, asked: Object, reply: Reply) -> Rendered | None:
    """Answer a call by deployment, or to the versionless API. The model in the answer is the one behind the deployment."""
    if not path.startswith("/openai/"):
        return None
    bare, _, query = path.partition("?")
    if ("/openai/v1/" in bare) == bool(query):
        return _whole({"error": {"code": "404", "message": "Resource not found"}}, status=404)
    operation = bare.partition("/v1/" if not query else "/deployments/")[2]
    operation = operation if not query else operation.partition("/")[2]
    told = render(f"/v1/{operation}", encode({**asked, "model": BASE_MODEL}), reply)
    if not told.events:
        return told
    events = [_prompt_checked(), *(_checked(event) for event in told.events[:-1])]
    events.insert(-1, _checked_later())
    frames = tuple(wire.chunk(sse(event)) for event in (*events, told.events[-1]))
    return Rendered(200, b"", (*events, told.events[-1]), told.prompt_tokens, told.completion_tokens, b"", frames)


def filtered() -> bytes:
    """A prompt that the content filter refused."""
    inner = error_body("The response was filtered due to the prompt triggering Azure OpenAI's policy.", "content_filter")["error"]
    inner |= {"status": 400, "innererror": {"code": "ResponsibleAIPolicyViolation", "content_filter_result": _SAFE}}
    return wire.whole(encode({"error": inner}), status=400)


def token(expires_in: int, value: str = "entra-token") -> bytes:
    """A token as Entra grants it."""
    return wire.whole(encode({"token_type": "Bearer", "expires_in": expires_in, "access_token": value}))


def _prompt_checked() -> bytes:
    """The first event of every stream, which has no choice."""
    results = [{"prompt_index": 0, "content_filter_results": _SAFE}]
    return encode({"choices": [], "created": 0, "id": "", "model": "", "object": "", "prompt_filter_results": results})


def _checked_later() -> bytes:
    """What the asynchronous filter found, in a choice without a delta."""
    choice = {"index": 0, "finish_reason": None, "content_filter_results": _SAFE, "content_filter_offsets": {"check_offset": 0}}
    return encode({"id": "", "object": "", "created": CREATED, "model": "", "choices": [choice]})


def _checked(event: bytes) -> bytes:
    said = cast(dict[str, Any], json.loads(event))
    for choice in said["choices"]:
        choice["content_filter_results"] = _SAFE
    return encode(said)


def _whole(body: Object, status: int) -> Rendered:
    said = encode(body)
    return Rendered(status, said, (), 0, 0, wire.whole(said, status=status), ())


OTHERS.append(answer)
