"""Gemini's wire on the same server: `/v1beta/models/...` answers as Google does (https://ai.google.dev/api)."""

import re
from dataclasses import replace
from typing import Any

from aldgate.testing.upstream import calls, wire
from aldgate.testing.upstream.answers import stream_frames
from aldgate.testing.upstream.plays import Billed, Play, Step
from aldgate.testing.upstream.replies import DIMENSIONS, OTHERS, Asked, Object, Rendered, Reply, encode, sse, streamed, whole

_CALL = re.compile(r"/v1(?:beta|beta1)?/.*models/[^:]+:(\w+)(\?alt=sse)?")
_LIST = re.compile(r"/v1(?:beta)?/models\?pageSize=\d+(?:&pageToken=(\d+))?")
_PUBLISHED = re.compile(r"/v1beta1/publishers/(\w+)/models\?pageSize=\d+(?:&pageToken=(\d+))?")
PUBLISHED: dict[str, tuple[tuple[str, str], ...]] = {
    "google": (
        ("gemini-3.8-flash", "default"),
        ("gemini-embedding-001", "default"),
        ("imagen-4.0-generate-001", "default"),
        ("text-embedding-005", "default"),
        ("gemini-3.8-flash-live", "default"),
    ),
    "anthropic": (("claude-opus-4-6", "default"), ("claude-sonnet-4-5", "20250929")),
}
"""What Vertex AI lists of its publishers: names and versions."""
MODELS: tuple[Object, ...] = (
    {
        "name": "models/gemini-3.8-flash",
        "inputTokenLimit": 1_048_576,
        "outputTokenLimit": 65_536,
        "supportedGenerationMethods": ["generateContent", "countTokens"],
        "thinking": True,
    },
    {"name": "models/gemini-embedding-001", "inputTokenLimit": 2_048, "supportedGenerationMethods": ["embedContent"]},
    {"name": "models/imagen-4", "supportedGenerationMethods": ["predict"]},
)
"""What is listed, one model a page."""


def render(path: str, asked: Object, reply: Reply) -> Rendered | None:
    """The good answer to a path of Gemini's."""
    listed, called, published = _LIST.fullmatch(path), _CALL.fullmatch(path), _PUBLISHED.fullmatch(path)
    if listed is not None:
        return whole(_page(int(listed[1] or 0)))
    if published is not None:
        return whole(_published(published[1], int(published[2] or 0)))
    match called and called[1]:
        case "generateContent":
            return _tiered(asked, _generated(asked, reply, is_stream=False))
        case "streamGenerateContent":
            return _tiered(asked, _generated(asked, reply, is_stream=True))
        case "predict":
            return _predicted(path, asked, reply)
        case "embedContent":
            counted = {"promptTokenCount": reply.prompt_tokens, "totalTokenCount": reply.prompt_tokens}
            more: Object = {"usageMetadata": counted} if "/publishers/" in path else {}
            return whole({"embedding": {"values": _vector(asked)}, **more}, reply.prompt_tokens)
        case "batchEmbedContents":
            vectors = [{"values": _vector(each)} for each in asked["requests"]]
            return whole({"embeddings": vectors}, reply.prompt_tokens)
        case _:
            return None


OTHERS.append(render)


def _page(number: int) -> Object:
    more = {"nextPageToken": str(number + 1)} if number + 1 < len(MODELS) else {}
    return {"models": [MODELS[number]], **more}


def _published(publisher: str, number: int) -> Object:
    """As Vertex AI lists a publisher's models, two a page."""
    shown = PUBLISHED[publisher][2 * number : 2 * number + 2]
    models = [{"name": f"publishers/{publisher}/models/{name}", "versionId": version} for name, version in shown]
    more = {"nextPageToken": str(number + 1)} if 2 * number + 2 < len(PUBLISHED[publisher]) else {}
    return {"publisherModels": models, **more}


def _predicted(path: str, asked: Object, reply: Reply) -> Rendered:
    """Vertex AI's embeddings; gemini-embedding-001 takes one text a request."""
    instances: list[Object] = asked["instances"]
    if "gemini-embedding-001" in path and len(instances) != 1:
        message = "Only one instance is allowed in a request."
        refusal = encode({"error": {"code": 400, "message": message, "status": "INVALID_ARGUMENT"}})
        return Rendered(400, b"", (), 0, 0, wire.whole(refusal, status=400), ())
    statistics = {"truncated": False, "token_count": reply.prompt_tokens}
    vector = _vector(asked.get("parameters", {}))
    predictions = [{"embeddings": {"statistics": statistics, "values": vector}} for _ in instances]
    return whole({"predictions": predictions}, reply.prompt_tokens * len(instances))


def _vector(asked: Object) -> list[float]:
    size = int(asked.get("outputDimensionality") or DIMENSIONS)
    return [place % size / size for place in range(size)]


def _tiered(asked: Object, rendered: Rendered) -> Rendered:
    """The answer with its service tier, which Google names in a header (https://ai.google.dev/gemini-api/docs/priority-inference)."""
    tier: str | None = asked.get("serviceTier")
    if tier is None:
        return rendered
    said = f"x-gemini-service-tier: {tier.lower()}\r\n\r\n".encode()
    return replace(rendered, head=_with(rendered.head, said), wire=_with(rendered.wire, said))


def _with(reply: bytes, line: bytes) -> bytes:
    return reply.replace(b"\r\n\r\n", b"\r\n" + line, 1)


def _generated(asked: Object, reply: Reply, *, is_stream: bool) -> Rendered:
    cap: int | None = asked.get("generationConfig", {}).get("maxOutputTokens")
    words = reply.words(stream=is_stream)
    is_cut = cap is not None and cap < max(len(words), reply.completion_tokens)
    completion = min(reply.completion_tokens, cap or reply.completion_tokens)
    finish = "MAX_TOKENS" if is_cut else "STOP"
    if (call := calls.due(asked, reply.call)) is not None:
        said = response("", "STOP", reply, completion)
        said["candidates"][0]["content"]["parts"] = [{"functionCall": {"name": call[0], "args": calls.arguments(call)}}]
        if is_stream:
            return streamed((encode(said),), reply.prompt_tokens, completion, b"\r\n")
        return whole(said, reply.prompt_tokens, completion)
    if not is_stream:
        return whole(response("".join(words[:cap]), finish, reply, completion), reply.prompt_tokens, completion)
    said = [response(word, None, reply, 0) for word in words[:cap]]
    events = tuple(encode(each) for each in (*said, response("", finish, reply, completion)))
    return streamed(events, reply.prompt_tokens, completion, b"\r\n")


def response(text: str, finish: str | None, reply: Reply, completion: int) -> Object:
    """One `GenerateContentResponse`, as usage is told in each, growing."""
    candidate: Object = {"content": {"parts": [{"text": text}], "role": "model"}, "index": 0}
    if finish is not None:
        candidate["finishReason"] = finish
    said: Object = {"candidates": [candidate], "modelVersion": "gemini-upstream", "responseId": "upstream"}
    if reply.usage != "missing":
        total = reply.prompt_tokens + completion
        counts = {"promptTokenCount": reply.prompt_tokens, "totalTokenCount": total}
        said["usageMetadata"] = counts | ({"candidatesTokenCount": completion} if completion else {})
    return said


def saying(*responses: Object) -> Step:
    """A step that answers with these responses: one by one in a stream, the first of them whole."""

    def play(asked: Asked) -> Play:
        if "streamGenerateContent" not in asked.request.path:
            yield Billed(calls=1)
            yield wire.whole(encode(responses[0]))
            return
        yield from stream_frames(asked, [wire.chunk(sse(encode(each), b"\r\n")) for each in responses])
        yield wire.LAST_CHUNK

    return Step("gemini_saying", play)


def fault(code: int, status: str, message: str = "Something went wrong.", *details: Any, is_list: bool = False) -> Step:
    """A step that answers with an error as Google writes them; `is_list` puts it in an array of one."""
    body: Object = {"error": {"code": code, "message": message, "status": status, "details": list(details)}}

    def play(asked: Asked) -> Play:
        yield wire.whole(encode([body] if is_list else body), status=code)

    return Step("gemini_fault", play)
