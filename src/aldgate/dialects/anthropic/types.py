"""Anthropic's Messages API as types. Fields without a meaning of their own here are let through everywhere.

Shapes: https://platform.claude.com/docs/en/api/messages
"""

from typing import Annotated, Any, Literal

import msgspec

Object = dict[str, Any]
Probability = Annotated[float, msgspec.Meta(ge=0, le=1)]


class ThinkingConfig(msgspec.Struct):
    """How much to think."""

    type: Literal["enabled", "adaptive", "disabled", "between_tools"]
    budget_tokens: Annotated[int, msgspec.Meta(ge=1)] | None = None
    display: str | None = None


class ToolChoice(msgspec.Struct):
    """Whether tools may or must be called."""

    type: Literal["auto", "any", "tool", "none"]
    name: str | None = None
    disable_parallel_tool_use: bool = False


class Tool(msgspec.Struct):
    """A tool of the caller's; one with a `type` other than `custom` is Anthropic's own."""

    name: str
    type: str | None = None
    description: str | None = None
    input_schema: Object | None = None
    strict: bool | None = None
    cache_control: Object | None = None
    input_examples: list[Any] | None = None
    defer_loading: bool | None = None
    allowed_callers: list[Any] | None = None
    eager_input_streaming: bool | None = None


class Metadata(msgspec.Struct):
    """Who asks."""

    user_id: str | None = None


class Message(msgspec.Struct):
    """One turn; `content` is a text or a list of blocks."""

    role: Literal["user", "assistant", "system"]
    content: Any


class Conversational(msgspec.Struct, kw_only=True):
    """What a request to answer and one to count share."""

    model: Annotated[str, msgspec.Meta(min_length=1)]
    messages: Annotated[list[Message], msgspec.Meta(min_length=1)]
    system: Any = None
    stop_sequences: list[str] | None = None
    tools: list[Tool] | None = None
    tool_choice: ToolChoice | None = None
    thinking: ThinkingConfig | None = None
    output_config: Object | None = None
    output_format: Object | None = None
    metadata: Metadata | None = None
    service_tier: str | None = None
    cache_control: Object | None = None
    temperature: Probability | None = None
    top_p: Probability | None = None
    top_k: Annotated[int, msgspec.Meta(ge=0)] | None = None


class CountRequest(Conversational, kw_only=True):
    """Body of `POST /v1/messages/count_tokens`."""


class MessagesRequest(Conversational, kw_only=True):
    """Body of `POST /v1/messages`."""

    max_tokens: Annotated[int, msgspec.Meta(ge=0)]
    stream: bool | None = None


class MessagesReply(msgspec.Struct):
    """A whole answer; `content` is a list of blocks."""

    id: str
    type: str
    role: str
    model: str
    content: list[Object]
    usage: Object
    stop_reason: str | None = None
    stop_sequence: str | None = None


class CountReply(msgspec.Struct):
    """The tokens of a request's input."""

    input_tokens: int


class Error(msgspec.Struct):
    """What went wrong; `details.error_code` is stable."""

    type: str
    message: str
    details: Object


class ErrorReply(msgspec.Struct):
    """An error instead of an answer, or as the last event of a stream."""

    type: str
    error: Error
    request_id: str
