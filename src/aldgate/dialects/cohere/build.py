"""Neutral requests as bodies of Cohere's v2 chat, embed and rerank.

Shapes: https://docs.cohere.com/reference/chat, /embed and /rerank.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from aldgate.core.conversation import (
    Conversation,
    Effort,
    Media,
    Message,
    OutputFormat,
    Part,
    Reasoning,
    Refusal,
    Text,
    Thinking,
    ToolCall,
    ToolChoice,
)
from aldgate.core.errors import InvalidRequest
from aldgate.core.operations import EmbedRequest, RerankRequest
from aldgate.dialects.functions import function_of
from aldgate.dialects.plain import attachments_of, results_of, thoughts_of
from aldgate.dialects.unsayable import refuse_or_name

Object = dict[str, Any]

_MOST_STOPS = 5
_INPUT_TYPES = {
    None: "search_document",
    "query": "search_query",
    "document": "search_document",
    "classification": "classification",
    "clustering": "clustering",
}
_BUDGETS: dict[Effort, int] = {"minimal": 1_024, "low": 2_048, "medium": 8_192}
"""Tokens that about such an effort takes; more effort is without a budget."""


def build_embed(asked: EmbedRequest, model: str, warnings: list[str]) -> Object:
    """Body of `POST /v2/embed`. Texts whose purpose nobody said are documents, as in Cohere's own examples."""
    if any(isinstance(each, list) for each in asked.inputs):
        raise InvalidRequest("This model embeds texts, not token ids.", param="input")
    if asked.user is not None:
        warnings.append("user")
    if asked.task not in _INPUT_TYPES:
        warnings.append("task")
    input_type = _INPUT_TYPES.get(asked.task, "search_document")
    body: Object = {"model": model, "texts": asked.inputs, "input_type": input_type, "embedding_types": ["float"]}
    return body if asked.dimensions is None else {**body, "output_dimension": asked.dimensions}


def build_rerank(asked: RerankRequest, model: str, warnings: list[str]) -> Object:
    """Body of `POST /v2/rerank`."""
    warnings += asked.others
    body: Object = {"model": model, "query": asked.query, "documents": asked.documents}
    given = {"top_n": asked.most, "max_tokens_per_doc": asked.max_tokens_per_doc}
    return body | {name: value for name, value in given.items() if value is not None}


def build_chat(asked: Conversation, model: str, *, stream: bool, warnings: list[str]) -> Object:
    """Body of `POST /v2/chat`.

    Raises:
        InvalidRequest: It asks for what Cohere cannot say.
    """
    refuse_or_name(asked, asked.others, warnings)
    body: Object = {"model": model, "messages": list(_messages(asked.messages, warnings)), "stream": stream}
    if len(asked.stop) > _MOST_STOPS:
        warnings.append(f"stop[{_MOST_STOPS}:]")
    if asked.parallel_tool_calls is False and asked.tools:
        warnings.append("parallel_tool_calls")
    if asked.top_logprobs is not None:  # it has them for its own token ids, which are nobody else's
        raise InvalidRequest("Log probabilities of this model cannot be had in this dialect.", param="logprobs")
    tools = _tools(asked)
    given = {
        "max_tokens": asked.max_output_tokens or None,
        "temperature": asked.temperature,
        "p": asked.top_p,
        "k": asked.top_k,
        "seed": asked.seed,
        "presence_penalty": asked.presence_penalty,
        "frequency_penalty": asked.frequency_penalty,
        "stop_sequences": asked.stop[:_MOST_STOPS] or None,
        "response_format": _response_format(asked.output_format),
        "thinking": _thinking(asked.thinking),
        "tools": tools or None,
        "strict_tools": True if any(tool.strict for tool in asked.tools) and tools else None,
        "tool_choice": _tool_choice(asked.tool_choice) if tools else None,
    }
    return body | {name: value for name, value in given.items() if value is not None}


def _thinking(thinking: Thinking | None) -> Object | None:
    if thinking is None:
        return None
    if thinking.effort == "none":
        return {"type": "disabled"}
    budget = thinking.budget_tokens or (_BUDGETS.get(thinking.effort) if thinking.effort else None)
    return {"type": "enabled"} if budget is None else {"type": "enabled", "token_budget": budget}


def _response_format(wanted: OutputFormat | None) -> Object | None:
    if wanted is None:
        return None
    return {"type": "json_object"} if wanted.schema is None else {"type": "json_object", "json_schema": wanted.schema}


def _tool_choice(choice: ToolChoice | None) -> str | None:
    """`required` and `none`; to choose freely is to say nothing. Which tools are meant, the tools themselves say."""
    if choice is None or choice.mode == "auto":
        return None
    return "NONE" if choice.mode == "none" else "REQUIRED"


def _tools(asked: Conversation) -> list[Object]:
    names = asked.tool_choice.names if asked.tool_choice else ()
    return [function_of(tool) for tool in asked.tools if not names or tool.name in names]


def _messages(messages: Iterable[Message], warnings: list[str]) -> Iterator[Object]:
    for message in messages:
        if message.name is not None:
            warnings.append("name")
        match message.role:
            case "tool":
                yield from _results(message, warnings)
            case "assistant":
                yield _assistant(message)
            case role:
                yield {"role": role, "content": _content(message.parts)}


def _results(message: Message, warnings: list[str]) -> Iterator[Object]:
    if attachments_of(message):
        raise InvalidRequest("This model takes text alone as the result of a tool.", param="messages")
    for result, text in results_of(message, warnings):
        yield {"role": "tool", "tool_call_id": result.call_id, "content": text}


def _assistant(message: Message) -> Object:
    calls = [part for part in message.parts if isinstance(part, ToolCall)]
    texts = [part for part in message.parts if isinstance(part, Text | Refusal)]
    if len(calls) + len(texts) + sum(isinstance(part, Reasoning) for part in message.parts) < len(message.parts):
        raise InvalidRequest("An assistant's message can hold text and calls alone for this model.", param="messages")
    spoken: Object = {"role": "assistant"}
    text = "\n\n".join(part.text for part in texts)
    thoughts = thoughts_of(message.parts)
    if calls:
        spoken["tool_calls"] = [_call(call) for call in calls]
        spoken |= {"tool_plan": plan} if (plan := thoughts or text) else {}
        spoken |= {"content": text} if text and thoughts else {}
    else:
        spoken["content"] = text
    return spoken


def _call(call: ToolCall) -> Object:
    return {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": call.arguments or "{}"}}


def _content(parts: Iterable[Part]) -> str | list[Object]:
    content: list[Object] = []
    for part in parts:
        match part:
            case Text():
                content.append({"type": "text", "text": part.text})
            case Media(kind="image") if part.url or part.data:
                url = part.url or f"data:{part.media_type or 'image/png'};base64,{part.data}"
                content.append({"type": "image_url", "image_url": {"url": url}})
            case Media():
                raise InvalidRequest(f"This model takes no such {part.kind}.", param="messages")
            case _:
                raise InvalidRequest(f"A message cannot hold a {type(part).__name__} for this model.", param="messages")
    return content[0]["text"] if len(content) == 1 and content[0]["type"] == "text" else content
