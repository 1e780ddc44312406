"""Cohere's wire on the same server, and those of other rerankers and of moderations.

https://docs.cohere.com/reference, https://platform.openai.com/docs/api-reference/moderations
"""

from typing import Any

from aldgate.testing.upstream import wire
from aldgate.testing.upstream.plays import Billed, Play, Step
from aldgate.testing.upstream.replies import DIMENSIONS, OTHERS, Asked, Object, Rendered, Reply, encode, whole

MODELS: tuple[Object, ...] = (
    {"name": "command-a", "endpoints": ["chat", "generate"], "context_length": 256_000.0, "features": ["tools", "vision"]},
    {"name": "embed-v4.0", "endpoints": ["embed"], "context_length": 128_000},
    {"name": "rerank-v4.0", "endpoints": ["rerank"]},
    {"name": "aya-classify", "endpoints": ["classify"]},
)
"""What is listed."""


def render(path: str, asked: Object, reply: Reply) -> Rendered | None:
    """The good answer to a path of Cohere's, of Jina's (`/v1/rerank`) or to `/v1/moderations`."""
    match path:
        case "/v2/chat":
            return _chat(asked, reply)
        case "/v2/embed":
            vectors = [[place / DIMENSIONS for place in range(DIMENSIONS)] for _ in asked["texts"]]
            meta = {"billed_units": {"input_tokens": reply.prompt_tokens}}
            return whole({"id": "e", "embeddings": {"float": vectors}, "meta": meta}, reply.prompt_tokens)
        case "/v2/rerank":
            return whole({"id": "r", "results": _ranked(asked), "meta": {"billed_units": {"search_units": 1}}})
        case "/v1/rerank":
            return whole({"model": asked["model"], "results": _ranked(asked), "usage": {"total_tokens": reply.prompt_tokens}})
        case "/v1/moderations":
            return whole({"id": "modr-1", "model": asked.get("model"), "results": [{"flagged": False, "categories": {}}]})
        case "/v1/models?page_size=1000":
            return whole({"models": list(MODELS)})
        case _:
            return None


OTHERS.append(render)


def _ranked(asked: Object) -> list[Object]:
    """The last document is the best."""
    count = len(asked["documents"])
    ranked = [{"index": count - 1 - place, "relevance_score": 1 - place / count} for place in range(count)]
    return ranked[: asked.get("top_n")]


def _chat(asked: Object, reply: Reply) -> Rendered:
    is_stream = asked.get("stream") is True
    cap: int | None = asked.get("max_tokens")
    words = reply.words(stream=is_stream)
    reason = "MAX_TOKENS" if cap is not None and cap < max(len(words), reply.completion_tokens) else "COMPLETE"
    completion = min(reply.completion_tokens, cap or reply.completion_tokens)
    usage: Object = {"billed_units": {"input_tokens": reply.prompt_tokens, "output_tokens": completion}}
    if not is_stream:
        message = {"role": "assistant", "content": [{"type": "text", "text": "".join(words[:cap])}]}
        return whole({"id": "m", "finish_reason": reason, "message": message, "usage": usage}, reply.prompt_tokens, completion)
    events = (
        event("message-start", {"message": {"role": "assistant"}}, id="m"),
        event("content-start", {"message": {"content": {"type": "text", "text": ""}}}, index=0),
        *(event("content-delta", {"message": {"content": {"text": word}}}, index=0) for word in words[:cap]),
        event("content-end", index=0),
        event("message-end", {"finish_reason": reason, "usage": usage}, id="m"),
    )
    frames = tuple(map(_frame, events))
    return Rendered(200, b"", tuple(map(encode, events)), reply.prompt_tokens, completion, b"", frames)


def event(kind: str, delta: Object | None = None, **more: Any) -> Object:
    """One event of a stream."""
    return {"type": kind, **more, **({"delta": delta} if delta else {})}


def _frame(said: Object) -> bytes:
    return wire.chunk(f"event: {said['type']}\n".encode() + b"data: " + encode(said) + b"\n\n")


def saying(body: Object, *events: Object) -> Step:
    """A step that answers with `body`, or with these events where a stream is asked for."""

    def play(asked: Asked) -> Play:
        yield Billed(calls=1)
        if asked.request.json().get("stream") is not True:
            yield wire.whole(encode(body))
            return
        yield asked.rendered.head + b"".join(map(_frame, events)) + wire.LAST_CHUNK

    return Step("cohere_saying", play)


def fault(code: int, text: str) -> Step:
    """A step that answers with an error as Cohere writes them."""
    return Step("cohere_fault", lambda _: iter([wire.whole(encode({"message": text}), status=code)]))
