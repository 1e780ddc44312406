"""Anthropic's wire: messages, whole and streamed, the count of tokens, and the list of models page by page.

What is said depends on the request as it would with a real model: a tool that must be called is called, thinking that is
switched on is shown and signed, marks for the cache are counted. What the API refuses is refused.
https://platform.claude.com/docs/en/api/messages
"""

from typing import Any, cast
from urllib.parse import parse_qs

from aldgate.testing.upstream import calls, wire
from aldgate.testing.upstream.replies import OTHERS, Object, Rendered, Reply, encode

SIGNATURE = "c2lnbmVk"
CACHED, WRITTEN, KEPT = 7, 5, 3
"""Tokens read from the cache, written to it for five minutes, and for an hour, where a request marks anything."""


def refusal(status: int, kind: str, message: str, code: str | None = None, **headers: str) -> bytes:
    """An error as Anthropic answers it; `code` stands in `details`, underscores in names of headers for dashes."""
    details = {"details": {"error_code": code}} if code else {}
    body = {"type": "error", "error": {"type": kind, "message": message, **details}, "request_id": "req_upstream"}
    lines = [wire.JSON, *((name.replace("_", "-"), value) for name, value in headers.items())]
    return wire.whole(encode(body), status=status, headers=lines)


def event(kind: str, said: Object | None = None) -> bytes:
    """One event of a stream."""
    return b"event: %b\ndata: %b\n\n" % (kind.encode(), encode({"type": kind, **(said or {})}))


def stream(*events: bytes) -> bytes:
    """A whole stream as it goes out."""
    return wire.head([wire.EVENTS, wire.CHUNKED]) + b"".join(map(wire.chunk, events)) + wire.LAST_CHUNK


def render(path: str, asked: Object, reply: Reply) -> Rendered | None:
    """Answer a request to `/v1/messages` or below, or for a page of `/v1/models`; None to other paths."""
    if path.startswith("/v1/models?") and "page_size" not in path:  # which is how Cohere pages
        return _models(path, reply)
    return _messages(path, asked, reply) if path.startswith("/v1/messages") else None


def _messages(path: str, asked: Object, reply: Reply) -> Rendered:
    if (problem := _problem(asked, is_count=path.startswith("/v1/messages/count_tokens"))) is not None:
        return Rendered(400, b"", (), 0, 0, refusal(400, "invalid_request_error", problem), ())
    if path.startswith("/v1/messages/count_tokens"):
        body = encode({"input_tokens": reply.prompt_tokens})
        return Rendered(200, body, (), 0, 0, wire.whole(body), ())
    words = reply.words(stream=bool(asked.get("stream")))[: asked["max_tokens"]]
    blocks, stop = _answer(asked, reply, words)
    completion = min(reply.completion_tokens, asked["max_tokens"])
    usage = _usage(asked, reply, completion)
    prompt = usage["input_tokens"] + usage["cache_creation_input_tokens"] + usage["cache_read_input_tokens"]
    message: Object = {"id": "msg_upstream", "type": "message", "role": "assistant", "model": asked["model"]}
    message |= {"content": blocks, "stop_reason": stop, "stop_sequence": None, "usage": usage}
    if not asked.get("stream"):
        body = encode(message)
        return Rendered(200, body, (), prompt, completion, wire.whole(body), ())
    begun: Object = {**message, "content": [], "stop_reason": None, "usage": {**usage, "output_tokens": 1}}
    told: list[tuple[str, Object]] = [
        ("message_start", {"message": begun}),
        ("ping", {}),
        *(each for index, block in enumerate(blocks) for each in _streamed(index, block, words)),
        ("message_delta", {"delta": {"stop_reason": stop, "stop_sequence": None}, "usage": {**usage, "cache_creation": None}}),
        ("message_stop", {}),
    ]
    frames = tuple(wire.chunk(event(kind, said)) for kind, said in told)
    return Rendered(200, b"", tuple(encode({"type": kind, **said}) for kind, said in told), prompt, completion, b"", frames)


def _models(path: str, reply: Reply) -> Rendered:
    """Two models at a time, however many are asked for."""
    query = parse_qs(path.partition("?")[2])
    names = list(reply.models)
    start = names.index(query["after_id"][0]) + 1 if "after_id" in query else 0
    shown = names[start : start + 2]
    facts: Object = {"type": "model", "lifecycle": "active", "max_input_tokens": 200_000, "max_tokens": 64_000}
    facts["capabilities"] = {"image_input": {"supported": True}, "pdf_input": {"supported": False}, "effort": {}}
    data = [{"id": name, "display_name": name, "created_at": "2026-01-01T00:00:00Z", **facts} for name in shown]
    has_more = start + 2 < len(names)
    body = encode({"data": data, "has_more": has_more, "first_id": shown[0], "last_id": shown[-1]})
    return Rendered(200, body, (), 0, 0, wire.whole(body), ())


def _problem(asked: Object, *, is_count: bool) -> str | None:
    """What the API would refuse a request for."""
    if not is_count and "max_tokens" not in asked:
        return "max_tokens: Field required"
    messages: list[Object] = asked.get("messages") or []
    if not messages:
        return "messages: at least one message is required"
    if messages[0]["role"] != "user":
        return "messages.0: the first message must use the user role"
    contents = [message["content"] for message in messages]
    blocks = [block for content in contents if isinstance(content, list) for block in cast("list[Object]", content)]
    if any(block.get("type") == "text" and not block["text"].strip() for block in blocks) or "" in contents:
        return "messages: text content blocks must be non-empty"
    if any(str(block.get("signature", "")).startswith("aldgate:") for block in blocks):
        return "messages: Invalid `signature` in `thinking` block"
    if any("input_schema" in tool and tool["input_schema"].get("type") != "object" for tool in asked.get("tools", ())):
        return "tools.0.custom.input_schema.type: Field required"
    return None


def _answer(asked: Object, reply: Reply, words: list[str]) -> tuple[list[Object], str]:
    cap: int = asked["max_tokens"]
    is_cut = cap < max(len(reply.words(stream=bool(asked.get("stream")))), reply.completion_tokens)
    blocks: list[Object] = []
    if asked.get("thinking", {}).get("type") in ("enabled", "adaptive"):
        blocks.append({"type": "thinking", "thinking": "Let me think.", "signature": SIGNATURE})
    if words and not _called(asked):  # who is made to call a tool says nothing before
        blocks.append({"type": "text", "text": "".join(words)})
    if (call := calls.due(asked, reply.call)) is not None:
        return [*blocks, {"type": "tool_use", "id": "toolu_0", "name": call[0], "input": calls.arguments(call)}], "tool_use"
    called = _called(asked)
    blocks += [
        {"type": "tool_use", "id": f"toolu_{number}", "name": name, "input": {"at": "sea"}} for number, name in enumerate(called)
    ]
    return blocks, "tool_use" if called else "max_tokens" if is_cut else "end_turn"


def _called(asked: Object) -> list[str]:
    choice: Object = asked.get("tool_choice", {})
    names: list[str] = [tool["name"] for tool in asked.get("tools", ())]
    if choice.get("type") == "tool":
        return [choice["name"]]
    return (names[:1] if choice.get("disable_parallel_tool_use") else names) if choice.get("type") == "any" else []


def _usage(asked: Object, reply: Reply, completion: int) -> Object:
    is_marked = "cache_control" in str(asked)
    read, written, kept = (CACHED, WRITTEN, KEPT) if is_marked else (0, 0, 0)
    return {
        "input_tokens": reply.prompt_tokens,
        "cache_read_input_tokens": read,
        "cache_creation_input_tokens": written + kept,
        "cache_creation": {"ephemeral_5m_input_tokens": written, "ephemeral_1h_input_tokens": kept},
        "output_tokens": completion,
        "service_tier": "standard",
    }


def _streamed(index: int, block: Object, words: list[str]) -> list[tuple[str, Object]]:
    deltas: list[Object]
    match block["type"]:
        case "tool_use":
            said = encode(block["input"]).decode()
            deltas = [{"type": "input_json_delta", "partial_json": piece} for piece in ("", said[:4], said[4:])]
            empty: Any = {"input": {}}
        case "thinking":
            deltas = [
                {"type": "thinking_delta", "thinking": block["thinking"]},
                {"type": "signature_delta", "signature": SIGNATURE},
            ]
            empty = {"thinking": "", "signature": ""}
        case _:
            deltas = [{"type": "text_delta", "text": word} for word in words]
            empty = {"text": ""}
    said_so = [("content_block_delta", {"index": index, "delta": delta}) for delta in deltas]
    return [
        ("content_block_start", {"index": index, "content_block": block | empty}),
        *said_so,
        ("content_block_stop", {"index": index}),
    ]


OTHERS.append(render)
