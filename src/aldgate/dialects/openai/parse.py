"""OpenAI requests into neutral words, for providers of other dialects.

Shapes: https://platform.openai.com/docs/api-reference/chat/create and /embeddings/create.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, TypeVar, cast

import msgspec

from aldgate.core.conversation import (
    Conversation,
    Media,
    Message,
    OutputFormat,
    Part,
    Reasoning,
    Refusal,
    Role,
    Text,
    Thinking,
    Tool,
    ToolCall,
    ToolChoice,
    ToolResult,
)
from aldgate.core.errors import InvalidRequest
from aldgate.core.operations import EmbedRequest, RerankRequest
from aldgate.dialects.openai import types
from aldgate.dialects.openai.pieces import Image
from aldgate.dialects.reading import read_body

Object = dict[str, Any]
T = TypeVar("T")

ORIGIN = "openai"
_ROLES: dict[str, Role] = {"developer": "system", "system": "system", "user": "user", "assistant": "assistant"}
_AUDIO = {"wav": "audio/wav", "mp3": "audio/mpeg"}
_KNOWN = frozenset(
    """model messages stream stream_options tools tool_choice parallel_tool_calls functions function_call max_tokens
    max_completion_tokens temperature top_p top_k seed presence_penalty frequency_penalty stop n logprobs top_logprobs
    response_format reasoning_effort verbosity service_tier prompt_cache_key user safety_identifier metadata""".split()
)


def decode(body: bytes, kind: type[T]) -> T:
    """Decode a request by its full type.

    Raises:
        InvalidRequest: Names the field that is wrong.
    """
    return read_body(body, (), partial(msgspec.json.decode, type=kind))


def parse_embedding(body: bytes) -> EmbedRequest:
    """Body of `POST /v1/embeddings`.

    Raises:
        InvalidRequest: A field is wrong, or texts and token ids are mixed.
    """
    asked = decode(body, types.EmbeddingRequest)
    given = [asked.input] if isinstance(asked.input, str) else asked.input
    if given and all(isinstance(each, int) for each in given):
        given = [cast(list[int], given)]
    if not (all(isinstance(each, str) for each in given) or all(isinstance(each, list) for each in given)):
        raise InvalidRequest("`input` mixes texts and token ids.", param="input")
    inputs = cast("list[str] | list[list[int]]", given)
    return EmbedRequest(ORIGIN, inputs, asked.dimensions, asked.encoding_format == "base64", None, asked.user)


def parse_chat(body: bytes) -> Conversation:
    """Body of `POST /v1/chat/completions`.

    Raises:
        InvalidRequest: A field is wrong.
    """
    decode(body, types.ChatRequest)  # says what is wrong; below are values that are known to be right
    asked: Object = {name: value for name, value in msgspec.json.decode(body).items() if value is not None}
    names: dict[str, str] = {}
    return Conversation(
        origin=ORIGIN,
        messages=[_message(message, names) for message in asked["messages"]],
        tools=[_tool(tool) for tool in asked.get("tools", ())] or [_function(each) for each in asked.get("functions", ())],
        tool_choice=_tool_choice(asked.get("tool_choice", asked.get("function_call"))),
        parallel_tool_calls=asked.get("parallel_tool_calls"),
        max_output_tokens=asked.get("max_completion_tokens", asked.get("max_tokens")),
        temperature=asked.get("temperature"),
        top_p=asked.get("top_p"),
        top_k=asked.get("top_k"),
        seed=asked.get("seed"),
        presence_penalty=asked.get("presence_penalty"),
        frequency_penalty=asked.get("frequency_penalty"),
        stop=_stop(asked.get("stop")),
        choices=asked.get("n", 1),
        top_logprobs=asked.get("top_logprobs", 0) if asked.get("logprobs") else None,
        output_format=_output_format(asked.get("response_format")),
        thinking=_thinking(asked.get("reasoning_effort")),
        verbosity=asked.get("verbosity"),
        service_tier=asked.get("service_tier"),
        cache_key=asked.get("prompt_cache_key"),
        user=asked.get("safety_identifier", asked.get("user")),
        metadata=asked.get("metadata", {}),
        others={name: value for name, value in asked.items() if name not in _KNOWN},
    )


def parse_rerank(body: bytes) -> RerankRequest:
    """Not a path of OpenAI's."""
    raise InvalidRequest("OpenAI's dialect has no rerank.")


def _stop(stop: str | list[str] | None) -> list[str]:
    return [stop] if isinstance(stop, str) else stop or []


def _thinking(effort: str | None) -> Thinking | None:
    try:
        return None if effort is None else msgspec.convert({"effort": effort}, Thinking)
    except msgspec.ValidationError:
        raise InvalidRequest(f"`reasoning_effort` cannot be `{effort}`.", param="reasoning_effort") from None


def _message(message: Object, names: dict[str, str]) -> Message:
    role = message["role"]
    if role in ("tool", "function"):
        return Message("tool", [_tool_result(message, names)])
    parts = _parts(message.get("content"))
    if role == "assistant":
        parts = [*_reasoning(message), *parts, *_images(message), *_refusal(message), *_calls(message, names)]
    return Message(_ROLES[role], parts, message.get("name"))


def _tool_result(message: Object, names: dict[str, str]) -> ToolResult:
    call_id = message.get("tool_call_id") or message.get("name") or ""
    said = [part for part in _parts(message.get("content")) if isinstance(part, Text | Media)]
    return ToolResult(call_id, said, name=message.get("name") or names.get(call_id))


class _Thought(msgspec.Struct):
    thinking: str | None = None
    signature: str | None = None
    data: str | None = None
    origin: str | None = None


def _reasoning(message: Object) -> list[Part]:
    """Thoughts that an earlier answer held, in whichever of the common extensions they come back.

    `thinking_blocks` is how this dialect carries a provider's signatures; `reasoning_content` is DeepSeek's field
    (https://api-docs.deepseek.com/guides/thinking_mode), `reasoning` OpenRouter's.
    """
    blocks = message.get("thinking_blocks")
    if isinstance(blocks, list):
        try:
            thoughts = msgspec.convert(blocks, list[_Thought])
        except msgspec.ValidationError as error:
            raise InvalidRequest(f"`thinking_blocks` are not what they are called: {error}.", param="messages") from None
        return [Reasoning(each.thinking or "", each.signature, each.data, each.origin or "anthropic") for each in thoughts]
    text = message.get("reasoning_content") or message.get("reasoning")
    return [Reasoning(text)] if isinstance(text, str) and text else []


def _images(message: Object) -> list[Part]:
    """Images that an earlier answer held, as they were given (`pieces.Image`)."""
    try:
        return [image.media for image in msgspec.convert(message.get("images") or [], list[Image])]
    except msgspec.ValidationError:
        raise InvalidRequest("An assistant's `images` must be `image_url` parts.", param="messages") from None


def _refusal(message: Object) -> list[Part]:
    return [Refusal(message["refusal"])] if message.get("refusal") else []


def _calls(message: Object, names: dict[str, str]) -> list[Part]:
    calls: list[Part] = []
    for call in message.get("tool_calls") or ():
        inner = call.get("function") or call["custom"]
        signature = _google(call)
        arguments = inner.get("arguments", inner.get("input", ""))
        origin = "gemini" if signature else ""
        calls.append(ToolCall(call["id"], inner["name"], arguments, call.get("type") == "custom", signature, origin))
        names[call["id"]] = inner["name"]
    legacy = message.get("function_call")
    if legacy:
        calls.append(ToolCall(legacy["name"], legacy["name"], legacy["arguments"]))
    return calls


def _google(call: Mapping[str, Any]) -> str | None:
    """Where Gemini's OpenAI form carries a call's signature (https://ai.google.dev/gemini-api/docs/thought-signatures)."""
    extra = call.get("extra_content")
    google = cast(Object, extra).get("google") if isinstance(extra, dict) else None
    signature = cast(Object, google).get("thought_signature") if isinstance(google, dict) else None
    return signature if isinstance(signature, str) else None


def _parts(content: str | list[Object] | None) -> list[Part]:
    if isinstance(content, str):
        return [Text(content)] if content else []
    return [_part(part) for part in content or ()]


def _part(part: Object) -> Part:
    reader = _PARTS.get(part["type"])
    if reader is None:
        raise InvalidRequest(f"A message part cannot be a `{part['type']}` for this model.", param="messages")
    if part.get(part["type"]) is None:
        raise InvalidRequest(f"A `{part['type']}` part lacks what it is named for.", param="messages")
    return reader(part)


def _text(part: Object) -> Part:
    return Text(part["text"], _cache(part))


def _image(part: Object) -> Part:
    image = part["image_url"]
    return located("image", image["url"], detail=image.get("detail"), cache=_cache(part))


def _audio(part: Object) -> Part:
    sound = part["input_audio"]
    return Media("audio", _AUDIO.get(sound["format"], f"audio/{sound['format']}"), sound["data"])


def _file(part: Object) -> Part:
    file = part["file"]
    if file.get("file_data"):
        return located("document", file["file_data"], name=file.get("filename"), cache=_cache(part))
    if not file.get("file_id"):
        raise InvalidRequest("A `file` part has `file_data` or a `file_id`.", param="messages")
    return Media("document", file_id=file["file_id"], name=file.get("filename"), cache=_cache(part))


_PARTS: dict[str, Callable[[Object], Part]] = {
    "text": _text,
    "refusal": lambda part: Refusal(part["refusal"]),
    "image_url": _image,
    "input_audio": _audio,
    "file": _file,
}


def located(kind: Any, url: str, **more: Any) -> Media:
    """Media behind a URL, or within a `data:` one."""
    if not url.startswith("data:"):
        return Media(kind, url=url, **more)
    head, comma, data = url[5:].partition(",")
    if not comma or not head.endswith(";base64"):
        raise InvalidRequest("A `data:` URL must be base64: `data:image/png;base64,...`.", param="messages")
    return Media(kind, head.removesuffix(";base64").split(";")[0] or None, data, **more)


def _cache(part: Object) -> str | None:
    """OpenAI's explicit breakpoint, or Anthropic's `cache_control`, which many clients send in OpenAI's shape too."""
    mark = part.get("prompt_cache_breakpoint") or part.get("cache_control")
    if not isinstance(mark, dict):
        return None
    ttl: Any = cast(Object, mark).get("ttl") or "5m"
    if not isinstance(ttl, str):
        raise InvalidRequest("A mark's `ttl` is a text like `1h`.", param="messages")
    return ttl


def _tool(tool: Object) -> Tool:
    if tool["type"] == "custom":
        custom = tool["custom"]
        return Tool(custom["name"], custom.get("description"), is_custom=True, grammar=custom.get("format"))
    return _function(tool["function"], _cache(tool))


def _function(function: Object, cache: str | None = None) -> Tool:
    description, parameters = function.get("description"), function.get("parameters")
    return Tool(function["name"], description, parameters, function.get("strict"), cache=cache)


def _tool_choice(choice: str | Object | None) -> ToolChoice | None:
    match choice:
        case None:
            return None
        case "none" | "auto" | "required":
            return ToolChoice(choice)
        case {"type": "allowed_tools", "allowed_tools": {"mode": mode, "tools": tools}}:
            return ToolChoice(mode, tuple(_named(tool) for tool in tools))
        case dict():
            return ToolChoice("one", (_named(choice),))
        case _:
            raise InvalidRequest(f"`tool_choice` cannot be `{choice}`.", param="tool_choice")


def _named(choice: Object) -> str:
    return (choice.get("function") or choice.get("custom") or choice)["name"]


def _output_format(wanted: Object | None) -> OutputFormat | None:
    match wanted:
        case {"type": "json_object"}:
            return OutputFormat()
        case {"type": "json_schema", "json_schema": schema}:
            return OutputFormat(schema.get("schema") or {}, schema["name"], schema.get("description"), schema.get("strict"))
        case _:
            return None
