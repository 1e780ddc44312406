"""What the upstream says: OpenAI's JSON bodies and stream events, and its own bill for them. Pure.

Shapes: https://platform.openai.com/docs/api-reference/chat, /chat/streaming, /completions, /embeddings, /models.
"""

import base64
import json
import struct
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from typing import Any, Literal, cast

from aldgate.testing.upstream import calls, wire
from aldgate.testing.upstream.requests import Recorded

UsagePlace = Literal["asked", "missing", "null", "last_choice", "x_groq"]
CREATED = 1_700_000_000
STREAM_HEAD = wire.head([wire.EVENTS, wire.CHUNKED])
DIMENSIONS = 8
Object = dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class Reply:
    """What a well-behaved answer says. One word is one token and one stream event, unless the figures below say otherwise."""

    text: str = "Hello from the fake upstream."
    prompt_tokens: int = 10
    completion_tokens: int = 5
    """Per choice; the caller's cap lowers it, as it would a real model's."""
    chunks: int | None = None
    """Events with content in a stream; None sends one per word."""
    pace_s: float = 0.0
    """Seconds between two events."""
    body_bytes: int | None = None
    """Pad the text until a whole chat reply has about this many bytes."""
    usage: UsagePlace = "asked"
    """Where usage stands: as OpenAI does it, nowhere, always null, on the last choice's event, or in Groq's `x_groq`."""
    models: tuple[str, ...] = ("gpt-4.1", "gpt-4.1-mini", "text-embedding-3-small")
    call: calls.Call | None = None
    """A tool to call, in place of the text, where a request offers it and holds no result yet."""

    def words(self, *, stream: bool) -> list[str]:
        """The answer in the pieces a stream sends."""
        if stream and self.chunks is not None:
            return [f"word{index} " for index in range(self.chunks)]
        words = self.text.split(" ")
        return [word + " " for word in words[:-1]] + words[-1:]


@dataclass(frozen=True)
class Asked:
    """One request together with what will be said to it."""

    request: Recorded
    reply: Reply

    def saying(self, **changes: Any) -> "Asked":
        """The same request, answered with another `Reply`."""
        return Asked(self.request, replace(self.reply, **changes))

    @cached_property
    def rendered(self) -> "Rendered":
        """The bodies and the bill."""
        return render(self.request.path, self.request.body, self.reply)


@dataclass(frozen=True)
class Rendered:
    """An answer ready to be framed: `events` when it is a stream (without framing), else `body`."""

    status: int
    body: bytes
    events: tuple[bytes, ...]
    prompt_tokens: int
    completion_tokens: int
    wire: bytes
    """The whole reply as it goes out; empty for a stream."""
    frames: tuple[bytes, ...]
    """The stream's events as SSE in chunks, `[DONE]` included."""
    head: bytes = STREAM_HEAD
    """The head of a stream."""


def encode(value: Any) -> bytes:
    """Compact JSON."""
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode()


def sse(data: bytes, separator: bytes = b"\n") -> bytes:
    """One server-sent event."""
    return b"data: " + data + separator * 2


OTHERS: list[Callable[[str, Object, Reply], Rendered | None]] = []
"""Other APIs' wires: given path, body and what to say, the answer; None to paths that are not theirs."""


@lru_cache(maxsize=64)
def render(path: str, body: bytes, reply: Reply) -> Rendered:
    """Answer a request. Remembered, so that a repeated call costs a dict lookup."""
    try:
        asked: Object = json.loads(body) if body else {}
    except ValueError:
        return whole(error_body("We could not parse the JSON body of your request.", None), status=400)
    match path:
        case "/v1/chat/completions":
            return _completion(asked, reply, _CHAT)
        case "/v1/completions":
            return _completion(asked, reply, _TEXT)
        case "/v1/embeddings":
            return _embedded(asked, reply)
        case "/v1/models":
            return whole({"object": "list", "data": [_model(name) for name in reply.models]})
        case _:
            answers = (answered for other in OTHERS if (answered := other(path, asked, reply)) is not None)
            return next(answers, None) or whole(error_body(f"Unknown request URL: {path}", "unknown_url"), status=404)


def error_body(message: str, code: str | int | None, kind: str = "invalid_request_error", param: str | None = None) -> Object:
    """An error as OpenAI words it."""
    return {"error": {"message": message, "type": kind, "param": param, "code": code}}


@dataclass(frozen=True)
class _Face:
    """How chat and text completions differ on the wire."""

    id: str
    whole: str
    event: str

    def choice(self, index: int, text: str, finish: str) -> Object:
        said: Object = {"text": text}
        if self is _CHAT:
            said = {"message": {"role": "assistant", "content": text, "refusal": None, "annotations": []}}
        return {"index": index, **said, "logprobs": None, "finish_reason": finish}

    def delta(self, index: int, text: str | None, finish: str | None, *, is_first: bool = False) -> Object:
        said: Object = {"text": text or ""}
        if self is _CHAT:
            said = {
                "delta": ({"role": "assistant", "refusal": None} if is_first else {})
                | ({"content": text} if text is not None else {})
            }
        return {"index": index, **said, "logprobs": None, "finish_reason": finish}


_CHAT = _Face("chatcmpl-upstream", "chat.completion", "chat.completion.chunk")
_TEXT = _Face("cmpl-upstream", "text_completion", "text_completion")


def _completion(asked: Object, reply: Reply, face: _Face) -> Rendered:
    cap: int | None = asked.get("max_completion_tokens") or asked.get("max_tokens")
    is_stream = bool(asked.get("stream"))
    words = reply.words(stream=is_stream)
    is_cut = cap is not None and cap < max(len(words), reply.completion_tokens)
    finish = "length" if is_cut else "stop"
    words = words[:cap]
    choices = int(asked.get("n") or 1)
    completion = min(reply.completion_tokens, cap or reply.completion_tokens) * choices
    usage = _usage(reply.prompt_tokens, completion)
    common: Object = {"id": face.id, "created": CREATED, "model": asked.get("model"), "service_tier": "default"}
    options: Object = asked.get("stream_options") or {}
    is_asked = options.get("include_usage") is True
    call = calls.due(asked, reply.call)
    if is_stream:
        objects = _stream_objects(is_asked, reply, face, words, finish, choices, usage)
        if call is not None:
            objects = _calling(objects, call, len(words))
        events = (*(encode({"object": face.event, **common, **value}) for value in objects), b"[DONE]")
        return streamed(events, reply.prompt_tokens, completion)
    said = [face.choice(index, "".join(words), finish) for index in range(choices)]
    if call is not None:
        said[0]["message"] |= {"content": None, "tool_calls": [calls.chat(call)]}
        said[0]["finish_reason"] = "tool_calls"
    answer: Object = {"object": face.whole, **common, "choices": said, **_whole_usage(reply, usage)}
    if reply.body_bytes and (short := reply.body_bytes - len(encode(answer))) > 0:
        answer["choices"][0] = face.choice(0, "".join(words) + "x" * short, finish)
    return whole(answer, reply.prompt_tokens, completion)


def _stream_objects(
    is_asked: bool, reply: Reply, face: _Face, words: list[str], finish: str, choices: int, usage: Object
) -> list[Object]:
    every = range(choices)
    objects: list[Object] = []
    if face is _CHAT:
        objects += [{"choices": [face.delta(index, "", None, is_first=True)]} for index in every]
    objects += [{"choices": [face.delta(index, word, None)]} for word in words for index in every]
    objects += [{"choices": [face.delta(index, None, finish)]} for index in every]
    if reply.usage == "null" or (reply.usage == "asked" and is_asked):
        objects = [{**value, "usage": None} for value in objects]
    if reply.usage == "asked" and is_asked:
        objects.append({"choices": [], "usage": usage})
    if reply.usage == "last_choice":
        objects[-1]["usage"] = usage
    if reply.usage == "x_groq":
        objects[-1]["x_groq"] = {"id": "req_upstream", "usage": usage}
    return objects


def _calling(objects: list[Object], call: calls.Call, words: int) -> list[Object]:
    """The stream of a chat with one choice, with a call where its words were."""
    first, last, *rest = objects[:1] + objects[1 + words :]
    choice = {**last["choices"][0], "finish_reason": "tool_calls"}
    called = [{**first, "choices": [{**first["choices"][0], "delta": delta}]} for delta in calls.chat_deltas(call)]
    return [first, *called, {**last, "choices": [choice]}, *rest]


def _usage(prompt: int, completion: int) -> Object:
    return {
        "prompt_tokens": prompt,
        "completion_tokens": completion,
        "total_tokens": prompt + completion,
        "prompt_tokens_details": {"cached_tokens": 0, "audio_tokens": 0},
        "completion_tokens_details": {"reasoning_tokens": 0, "audio_tokens": 0},
    }


def _whole_usage(reply: Reply, usage: Object) -> Object:
    match reply.usage:
        case "missing":
            return {}
        case "null":
            return {"usage": None}
        case _:
            return {"usage": usage}


def _embedded(asked: Object, reply: Reply) -> Rendered:
    if asked.get("input") == []:
        message = "Invalid 'input': expected a text or a list of at least one."
        return whole(error_body(message, None, param="input"), status=400)
    return whole(_embeddings(asked, reply), reply.prompt_tokens)


def _embeddings(asked: Object, reply: Reply) -> Object:
    given: Any = asked.get("input", "")
    listed = cast(list[Any], given) if isinstance(given, list) else [given]
    texts = [listed] if isinstance(listed[0], int) else listed
    size = int(asked.get("dimensions") or DIMENSIONS)
    vectors = [[(index + place) % size / size for place in range(size)] for index in range(len(texts))]
    is_packed = asked.get("encoding_format") == "base64"
    data = [
        {"object": "embedding", "index": index, "embedding": _packed(vector) if is_packed else vector}
        for index, vector in enumerate(vectors)
    ]
    usage = {"prompt_tokens": reply.prompt_tokens, "total_tokens": reply.prompt_tokens}
    return {"object": "list", "data": data, "model": asked.get("model"), "usage": usage}


def _packed(vector: list[float]) -> str:
    return base64.b64encode(struct.pack(f"<{len(vector)}f", *vector)).decode()


def _model(name: str) -> Object:
    return {"id": name, "object": "model", "created": CREATED, "owned_by": "upstream"}


def whole(answer: Any, prompt: int = 0, completion: int = 0, status: int = 200) -> Rendered:
    """A whole reply."""
    body = encode(answer)
    return Rendered(status, body, (), prompt, completion, wire.whole(body, status=status), ())


def streamed(events: tuple[bytes, ...], prompt: int, completion: int, separator: bytes = b"\n") -> Rendered:
    """A stream of server-sent events, whose lines end with `separator`."""
    frames = tuple(wire.chunk(sse(event, separator)) for event in events)
    return Rendered(200, b"", events, prompt, completion, b"", frames)
