"""What the echo answers to a chat: the last user message, as text, as JSON or as a tool call."""

import json
from typing import Any

from msgspec import Struct

from aldgate.core.errors import InvalidRequest
from aldgate.dialects.openai.types import (
    ChatMessage,
    ChatRequest,
    CustomChoice,
    CustomTool,
    FinishReason,
    FunctionChoice,
    JsonObjectFormat,
    JsonSchemaFormat,
    ResponseFormat,
    Tool,
)
from aldgate.engines.builtin.schema_sample import Unsamplable, sample
from aldgate.engines.builtin.tool_choice import chosen_tool
from aldgate.engines.builtin.words import count_words, cut_text


class Answer(Struct):
    """One answer, given once for each choice.

    Attributes:
        text: The message's content, or the tool call's arguments.
        words: Words of `text`: its completion tokens.
        prompt_words: Words of all messages: the prompt tokens.
        tool: What `text` is handed to, if the answer is a tool call.
    """

    text: str
    words: int
    finish_reason: FinishReason
    prompt_words: int
    tool: Tool | None = None


def answer_chat(request: ChatRequest) -> Answer:
    """Decide the answer; the same request always gets the same.

    Raises:
        InvalidRequest: No user message, a message without text, an unknown tool, or a schema that cannot be sampled.
    """
    echo, prompt_words = _read(request.messages)
    caps = [cap for cap in (request.max_tokens, request.max_completion_tokens) if cap]
    cap = min(caps, default=None)
    tool = chosen_tool(request.tool_choice, request.tools or ())
    if tool is None:
        text, words, reason = cut_text(_formatted(request.response_format, echo), request.stop, cap)
        return Answer(text, words, reason, prompt_words)
    text, words, reason = cut_text(_arguments(tool, echo), None, cap)
    return Answer(text, words, _tool_reason(request, reason), prompt_words, tool)


def _tool_reason(request: ChatRequest, reason: FinishReason) -> FinishReason:
    # OpenAI ends a call that `required` brought about with `tool_calls`, but one of a tool named in `tool_choice` with
    # `stop`, streamed or whole (measured in https://github.com/vllm-project/vllm/pull/25054). A client that only works
    # with the tidy form would break against the real thing, so its test double does the same.
    named = isinstance(request.tool_choice, FunctionChoice | CustomChoice)
    return reason if named or reason == "length" else "tool_calls"


def _read(messages: list[ChatMessage]) -> tuple[str, int]:
    """The last user message's text, and the words of all messages."""
    echo, words = None, 0
    for index, message in enumerate(messages):
        text = _text(message, index)
        words += count_words(text)
        if message.role == "user":
            echo = text
    if echo is None:
        raise InvalidRequest("`messages` holds no user message, so there is nothing to echo.", param="messages")
    return echo, words


def _text(message: ChatMessage, index: int) -> str:
    content = message.content
    if isinstance(content, str):
        return content
    if content is None:
        if message.role == "user":
            raise InvalidRequest("A user message needs content.", param=f"messages[{index}].content")
        return ""
    texts = [part.text for part in content if part.type == "text"]
    if None in texts:
        raise InvalidRequest("A part of type `text` needs a text.", param=f"messages[{index}].content")
    return "\n".join(text for text in texts if text is not None)


def _formatted(wanted: ResponseFormat | None, echo: str) -> str:
    match wanted:
        case JsonObjectFormat():
            return _json({"text": echo})
        case JsonSchemaFormat():
            try:
                return _json(sample(wanted.json_schema.schema or {}, echo))
            except Unsamplable as error:
                raise InvalidRequest(f"No sample of the schema: {error}.", param="response_format.json_schema.schema") from None
        case _:
            return echo


def _arguments(tool: Tool, echo: str) -> str:
    if isinstance(tool, CustomTool):
        return echo
    try:
        return _json(sample({"type": "object"} | (tool.function.parameters or {}), echo, once=True))
    except Unsamplable as error:
        raise InvalidRequest(f"No sample of the function's parameters: {error}.", param="tools") from None


def _json(value: Any) -> str:
    # Spaced, so that it streams as more than one word.
    return json.dumps(value, ensure_ascii=False)
