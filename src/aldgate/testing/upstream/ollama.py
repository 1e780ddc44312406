"""Ollama's wire on the same server: `/api/...` answers as Ollama does (https://docs.ollama.com/api)."""

from typing import Any

from aldgate.testing.upstream import calls, wire
from aldgate.testing.upstream.answers import stream_frames
from aldgate.testing.upstream.plays import Billed, Play, Step
from aldgate.testing.upstream.replies import DIMENSIONS, OTHERS, Asked, Object, Rendered, Reply, encode, whole

CREATED_AT = "2026-01-01T00:00:00.5Z"
HEAD = wire.head([("Content-Type", "application/x-ndjson"), wire.CHUNKED])
MODELS: dict[str, list[str]] = {
    "qwen3:8b": ["completion", "tools", "thinking"],
    "llava:latest": ["completion", "vision"],
    "nomic-embed-text:latest": ["embedding"],
}
"""What is listed, and what each can do."""


def render(path: str, asked: Object, reply: Reply) -> Rendered | None:
    """The good answer to a path of Ollama's."""
    match path:
        case "/api/chat":
            return _chat(asked, reply)
        case "/api/embed":
            return _embedded(asked, reply)
        case "/api/tags":
            return whole(_listed())
        case "/api/show":
            return _shown(str(asked.get("model")))
        case _:
            return None


OTHERS.append(render)


def _listed() -> Object:
    return {"models": [{"name": name, "model": name, "digest": f"{len(name):x}", "size": 1} for name in MODELS]}


def listing() -> Step:
    """A step that lists the models, where one must stand before others in a script."""
    return Step("ollama_listing", lambda _: iter([wire.whole(encode(_listed()))]))


def _shown(model: str) -> Rendered:
    if model not in MODELS:
        return whole({"error": f"model '{model}' not found"}, status=404)
    info: Object = {"general.architecture": "fake", "fake.context_length": 40_960}
    return whole({"capabilities": MODELS[model], "model_info": info, "details": {"family": "fake"}})


def _embedded(asked: Object, reply: Reply) -> Rendered:
    given: Any = asked.get("input")
    size = int(asked.get("dimensions") or DIMENSIONS)
    vectors = [[place / size for place in range(size)] for _ in ([given] if isinstance(given, str) else given)]
    counted = reply.prompt_tokens
    return whole({"model": asked.get("model"), "embeddings": vectors, "prompt_eval_count": counted}, counted)


def _chat(asked: Object, reply: Reply) -> Rendered:
    is_stream = asked.get("stream") is not False
    cap: int | None = asked.get("options", {}).get("num_predict")
    words = reply.words(stream=is_stream)
    reason = "length" if cap is not None and cap < max(len(words), reply.completion_tokens) else "stop"
    completion = min(reply.completion_tokens, cap or reply.completion_tokens)
    counts = {} if reply.usage == "missing" else {"prompt_eval_count": reply.prompt_tokens, "eval_count": completion}
    last = {"done": True, "done_reason": reason, "total_duration": 9, "load_duration": 1, **counts}
    if (call := calls.due(asked, reply.call)) is not None:
        return _calling(asked, call, reply, {**last, "done_reason": "stop"}, is_stream=is_stream)
    if not is_stream:
        return whole(line(asked, "".join(words[:cap]), **last), reply.prompt_tokens, completion)
    lines = (*(line(asked, word, done=False) for word in words[:cap]), line(asked, "", **last))
    return _streamed(tuple(map(encode, lines)), reply.prompt_tokens, completion)


def _calling(asked: Object, call: calls.Call, reply: Reply, last: Object, *, is_stream: bool) -> Rendered:
    """A call comes whole, and leaves `done_reason` as it is."""
    function = {"name": call[0], "arguments": calls.arguments(call)}
    message = {"role": "assistant", "content": "", "tool_calls": [{"function": function}]}
    if not is_stream:
        return whole({**line(asked, "", **last), "message": message}, reply.prompt_tokens, reply.completion_tokens)
    lines = ({**line(asked, "", done=False), "message": message}, line(asked, "", **last))
    return _streamed(tuple(map(encode, lines)), reply.prompt_tokens, reply.completion_tokens)


def _streamed(lines: tuple[bytes, ...], prompt: int, completion: int) -> Rendered:
    return Rendered(200, b"", lines, prompt, completion, b"", tuple(wire.chunk(each + b"\n") for each in lines), HEAD)


def line(asked: Object, text: str, **more: Any) -> Object:
    """One line of a stream, or a whole reply."""
    message = {"role": "assistant", "content": text}
    return {"model": asked.get("model"), "created_at": CREATED_AT, "message": message, **more}


def saying(*messages: Object, reason: str = "stop") -> Step:
    """A step that answers with these messages: one by one in a stream, the first of them whole."""

    def play(asked: Asked) -> Play:
        said: Object = asked.request.json()
        counts = {"prompt_eval_count": asked.reply.prompt_tokens, "eval_count": asked.reply.completion_tokens}
        last = {"done": True, "done_reason": reason, **counts}
        if said.get("stream") is False:
            yield Billed(calls=1)
            yield wire.whole(encode({**line(said, "", **last), "message": {"role": "assistant", "content": "", **messages[0]}}))
            return
        lines = [{**line(said, "", done=False), "message": {"role": "assistant", "content": "", **each}} for each in messages]
        yield from stream_frames(asked, [wire.chunk(encode(each) + b"\n") for each in (*lines, line(said, "", **last))])
        yield wire.LAST_CHUNK

    return Step("ollama_saying", play)


def fault(code: int, text: str) -> Step:
    """A step that answers with an error as Ollama writes them."""
    return Step("ollama_fault", lambda _: iter([wire.whole(encode({"error": text}), status=code)]))


def fault_in_stream(text: str, after: int = 2) -> Step:
    """A step whose stream gives up after so many good lines."""

    def play(asked: Asked) -> Play:
        yield from stream_frames(asked, asked.rendered.frames[:after])
        yield wire.chunk(encode({"error": text}) + b"\n") + wire.LAST_CHUNK

    return Step("ollama_fault_in_stream", play)
