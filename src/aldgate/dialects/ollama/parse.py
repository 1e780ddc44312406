"""Requests to Ollama into neutral words, for providers of other dialects.

Shapes: https://docs.ollama.com/api/chat, /generate and /embed.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any, Literal, TypeVar

import msgspec

from aldgate.core.conversation import (
    Conversation,
    Effort,
    Media,
    Message,
    OutputFormat,
    Part,
    Reasoning,
    Text,
    Thinking,
    Tool,
    ToolCall,
    ToolResult,
)
from aldgate.core.errors import InvalidRequest
from aldgate.core.operations import EmbedRequest
from aldgate.dialects.reading import read_body

T = TypeVar("T")
Object = dict[str, Any]
ORIGIN = "ollama"


class _Called(msgspec.Struct):
    name: str
    arguments: Object | str = {}


class _Call(msgspec.Struct):
    function: _Called
    id: str | None = None


class _Said(msgspec.Struct):
    role: Literal["system", "user", "assistant", "tool"]
    content: str | None = None
    thinking: str | None = None
    images: list[str] | None = None
    tool_calls: list[_Call] | None = None
    tool_name: str | None = None
    tool_call_id: str | None = None
    name: str | None = None


class _Function(msgspec.Struct):
    name: str
    description: str | None = None
    parameters: Object | None = None


class _Tool(msgspec.Struct):
    function: _Function


class _Options(msgspec.Struct):
    num_predict: int | None = None
    temperature: float | None = None
    top_p: float | None = None
    top_k: int | None = None
    seed: int | None = None
    stop: list[str] | str | None = None
    presence_penalty: float | None = None
    frequency_penalty: float | None = None


class _Common(msgspec.Struct):
    model: str
    stream: bool | None = None
    options: _Options | None = None
    format: str | Object | None = None
    think: bool | str | None = None
    logprobs: bool | None = None
    top_logprobs: int | None = None


class ChatBody(_Common):
    """Body of `POST /api/chat`."""

    messages: list[_Said] = []
    tools: list[_Tool] | None = None


class GenerateBody(_Common):
    """Body of `POST /api/generate`."""

    prompt: str | None = None
    system: str | None = None
    images: list[str] | None = None
    suffix: str | None = None
    template: str | None = None
    raw: bool | None = None
    context: list[int] | None = None


class EmbedBody(msgspec.Struct):
    """Body of `POST /api/embed`."""

    model: str
    input: str | list[str]
    dimensions: int | None = None


class EmbeddingsBody(msgspec.Struct):
    """Body of `POST /api/embeddings`."""

    model: str
    prompt: str


class ShowBody(msgspec.Struct):
    """Body of `POST /api/show`; older clients say `name`."""

    model: str = ""
    name: str = ""


_READ = frozenset(ChatBody.__struct_fields__)
_READ_OPTIONS = frozenset(_Options.__struct_fields__)


def parse_chat(body: bytes) -> Conversation:
    """Body of `POST /api/chat`.

    Raises:
        InvalidRequest: A field is wrong, or there are no messages.
    """
    asked = decode(body, ChatBody)
    if not asked.messages:
        raise InvalidRequest("There are no messages.", param="messages")
    tools = [Tool(each.function.name, each.function.description, each.function.parameters) for each in asked.tools or ()]
    return _conversation(asked, _History().messages(asked.messages), tools, body, _READ)


def parse_generate(body: bytes) -> Conversation:
    """Body of `POST /api/generate`: a chat of one message.

    Raises:
        InvalidRequest: A field is wrong, there is no prompt, or it asks for what only a bare completion has.
    """
    asked = decode(body, GenerateBody)
    for name in ("suffix", "template", "raw", "context"):
        if getattr(asked, name):
            raise InvalidRequest(f"`{name}` cannot be kept for this model; use /api/chat with whole messages.", param=name)
    if not asked.prompt and not asked.images:
        raise InvalidRequest("There is no prompt.", param="prompt")
    messages = [Message("system", [Text(asked.system)])] if asked.system else []
    messages.append(Message("user", [*_text(asked.prompt), *_images(asked.images)]))
    return _conversation(asked, messages, [], body, frozenset(GenerateBody.__struct_fields__))


def parse_embed(body: bytes) -> EmbedRequest:
    """Body of `POST /api/embed`."""
    asked = decode(body, EmbedBody)
    return EmbedRequest(ORIGIN, [asked.input] if isinstance(asked.input, str) else asked.input, asked.dimensions)


def parse_embeddings(body: bytes) -> EmbedRequest:
    """Body of `POST /api/embeddings`, its older form for a single text."""
    return EmbedRequest(ORIGIN, [decode(body, EmbeddingsBody).prompt])


def decode(body: bytes, kind: type[T]) -> T:
    """Decode a request by its full type.

    Raises:
        InvalidRequest: Names the field that is wrong.
    """
    return read_body(body, (), partial(msgspec.json.decode, type=kind))


def _conversation(asked: _Common, messages: list[Message], tools: list[Tool], body: bytes, read: frozenset[str]) -> Conversation:
    options = asked.options or _Options()
    cap = options.num_predict
    return Conversation(
        origin=ORIGIN,
        messages=messages,
        tools=tools,
        max_output_tokens=cap if cap is not None and cap > 0 else None,
        temperature=options.temperature,
        top_p=options.top_p,
        top_k=options.top_k,
        seed=options.seed,
        presence_penalty=options.presence_penalty,
        frequency_penalty=options.frequency_penalty,
        stop=[options.stop] if isinstance(options.stop, str) else options.stop or [],
        top_logprobs=(asked.top_logprobs or 0) if asked.logprobs else None,
        output_format=_output_format(asked.format),
        thinking=_thinking(asked.think),
        others=_others(body, read),
    )


def _others(body: bytes, read: frozenset[str]) -> Object:
    """What only Ollama has: `keep_alive`, and options such as `num_ctx`."""
    given: Object = {name: value for name, value in msgspec.json.decode(body).items() if value is not None}
    others: Object = {name: value for name, value in given.items() if name not in read}
    options: Object = {name: value for name, value in given.get("options", {}).items() if name not in _READ_OPTIONS}
    return {**others, "options": options} if options else others


def _output_format(wanted: str | Object | None) -> OutputFormat | None:
    match wanted:
        case None | "":
            return None
        case "json":
            return OutputFormat()
        case dict():
            return OutputFormat(wanted)
        case _:
            raise InvalidRequest("`format` must be `json` or a JSON schema.", param="format")


def _thinking(think: bool | str | None) -> Thinking | None:
    match think:
        case None | "":
            return None
        case True:
            return Thinking(is_shown=True)
        case False:
            return Thinking("none", is_shown=False)
        case _:
            try:
                return Thinking(msgspec.convert(think, Effort), is_shown=True)
            except msgspec.ValidationError:
                raise InvalidRequest(f"`think` cannot be `{think[:50]}`.", param="think") from None


def _text(text: str | None) -> list[Part]:
    return [Text(text)] if text else []


def _images(images: list[str] | None) -> Iterator[Part]:
    return (Media("image", _media_type(image), image) for image in images or ())


def _media_type(data: str) -> str:
    """What an image is, by the base64 of its first bytes: Ollama's callers do not say."""
    for prefix, media_type in (("/9j/", "image/jpeg"), ("R0lGOD", "image/gif"), ("UklGR", "image/webp")):
        if data.startswith(prefix):
            return media_type
    return "image/png"


class _History:
    """Gives calls and results ids, for callers who tell them apart by name and order alone."""

    def __init__(self) -> None:
        self._made = 0
        self._open: list[ToolCall] = []

    def messages(self, said: list[_Said]) -> list[Message]:
        return [self._message(each) for each in said]

    def _message(self, said: _Said) -> Message:
        match said.role:
            case "tool":
                return Message("tool", [self._result(said)])
            case "assistant":
                thoughts: list[Part] = [Reasoning(said.thinking)] if said.thinking else []
                calls = [self._call(call) for call in said.tool_calls or ()]
                self._open = list(calls)
                return Message("assistant", [*thoughts, *_text(said.content), *_images(said.images), *calls])
            case role:
                return Message(role, [*_text(said.content), *_images(said.images)])

    def _call(self, call: _Call) -> ToolCall:
        arguments = call.function.arguments
        text = arguments if isinstance(arguments, str) else msgspec.json.encode(arguments).decode()
        call_id = call.id or f"call_{self._made}"
        self._made += 1
        return ToolCall(call_id, call.function.name, text)

    def _result(self, said: _Said) -> ToolResult:
        name = said.tool_name or said.name
        answered = next((call for call in self._open if said.tool_call_id == call.id), None)
        if answered is None and said.tool_call_id is None:
            answered = next((call for call in self._open if name in (None, call.name)), None)
        if answered is not None:
            self._open.remove(answered)
        call_id = said.tool_call_id or (answered.id if answered else "")
        if not call_id:
            raise InvalidRequest("A `tool` message answers no call of the message before it.", param="messages")
        parts: list[Text | Media] = [Text(said.content or "")]
        parts += [Media("image", _media_type(image), image) for image in said.images or ()]
        return ToolResult(call_id, parts, name=name or (answered.name if answered else None))
