"""Neutral requests as bodies of `/api/chat` and `/api/embed`.

Ollama chooses tools by itself, takes images as bytes alone, and knows no calls but those of functions
(https://docs.ollama.com/api/chat).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, cast

import msgspec

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
from aldgate.core.operations import EmbedRequest
from aldgate.dialects.functions import function_of
from aldgate.dialects.plain import attachments_of, results_of, thoughts_of
from aldgate.dialects.unsayable import refuse_or_name

Object = dict[str, Any]

_EFFORTS: dict[Effort, bool | str] = {
    "none": False,
    "minimal": "low",
    "low": "low",
    "medium": "medium",
    "high": "high",
    "xhigh": "max",
    "max": "max",
}
_OWN = frozenset({"keep_alive", "options", "think", "num_ctx", "truncate"})
"""Fields of Ollama's that callers of other dialects put beside their own, as its OpenAI form taught them."""


def build_embed(asked: EmbedRequest, model: str, warnings: list[str]) -> Object:
    """Body of `POST /api/embed`."""
    if any(isinstance(each, list) for each in asked.inputs):
        raise InvalidRequest("This model embeds texts, not token ids.", param="input")
    warnings += [name for name in ("task", "user") if getattr(asked, name) is not None]
    body: Object = {"model": model, "input": asked.inputs}
    return body if asked.dimensions is None else {**body, "dimensions": asked.dimensions}


def build_chat(asked: Conversation, model: str, *, stream: bool, num_ctx: int | None, warnings: list[str]) -> Object:
    """Body of `POST /api/chat`. `num_ctx`: tokens of context to ask for; None leaves it to the server.

    Raises:
        InvalidRequest: It asks for what Ollama cannot say.
    """
    own: Object = {name: value for name, value in asked.others.items() if name in _OWN}
    left = {name: value for name, value in asked.others.items() if name not in own}
    refuse_or_name(asked, left, warnings)
    body: Object = {"model": model, "messages": list(_messages(asked.messages, warnings)), "stream": stream}
    # Without this, a server from 0.12.4 on cuts a long prompt and says nothing; older ones do not read it.
    body["truncate"] = own.get("truncate", False)
    given = {
        "tools": _tools(asked, warnings) or None,
        "format": _format(asked.output_format),
        "think": _think(asked.thinking, warnings) if asked.thinking else own.get("think"),
        "options": _options(asked, own, num_ctx) or None,
        "keep_alive": own.get("keep_alive"),
    }
    if asked.top_logprobs is not None:
        given |= {"logprobs": True, "top_logprobs": asked.top_logprobs or None}
    body.update((name, value) for name, value in given.items() if value is not None)
    return body


def _options(asked: Conversation, own: Object, num_ctx: int | None) -> Object:
    options: Object = {} if num_ctx is None else {"num_ctx": num_ctx}
    if isinstance(own.get("num_ctx"), int):
        options["num_ctx"] = own["num_ctx"]
    extra = own.get("options")
    if isinstance(extra, dict):
        options |= cast(Object, extra)
    given = {
        "num_predict": asked.max_output_tokens or None,
        "temperature": asked.temperature,
        "top_p": asked.top_p,
        "top_k": asked.top_k,
        "seed": asked.seed,
        "presence_penalty": asked.presence_penalty,
        "frequency_penalty": asked.frequency_penalty,
        "stop": asked.stop or None,
    }
    return options | {name: value for name, value in given.items() if value is not None}


def _think(thinking: Thinking, warnings: list[str]) -> bool | str:
    if thinking.effort is not None:
        return _EFFORTS[thinking.effort]
    if thinking.budget_tokens is not None:
        warnings.append("thinking.budget_tokens")
    return True


def _format(wanted: OutputFormat | None) -> str | Object | None:
    if wanted is None:
        return None
    return "json" if wanted.schema is None else wanted.schema


def _tools(asked: Conversation, warnings: list[str]) -> list[Object]:
    choice = asked.tool_choice or ToolChoice("auto")
    if choice.mode in ("required", "one") and asked.tools:
        raise InvalidRequest("This model cannot be made to call a tool; it chooses by itself.", param="tool_choice")
    if choice.mode == "none":
        return []
    if asked.parallel_tool_calls is False and asked.tools:
        warnings.append("parallel_tool_calls")
    chosen = [tool for tool in asked.tools if not choice.names or tool.name in choice.names]
    if any(tool.strict for tool in chosen):
        warnings.append("strict")
    return [function_of(tool) for tool in chosen]


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
                yield {"role": role, **_spoken(message.parts)}


def _spoken(parts: Iterable[Part]) -> Object:
    texts: list[str] = []
    images: list[str] = []
    for part in parts:
        match part:
            case Text():
                texts.append(part.text)
            case Media(kind="image", data=str(data)):
                images.append(data)
            case Media(kind="image"):
                raise InvalidRequest("This model takes images as bytes, not by address; send a `data:` URL.", param="messages")
            case Media():
                raise InvalidRequest(f"This model takes no {part.kind}.", param="messages")
            case _:
                raise InvalidRequest(f"A message cannot hold a {type(part).__name__} for this model.", param="messages")
    spoken: Object = {"content": "\n\n".join(texts)}
    return {**spoken, "images": images} if images else spoken


def _assistant(message: Message) -> Object:
    said = [Text(part.text) if isinstance(part, Refusal) else part for part in message.parts]
    spoken = _spoken(part for part in said if not isinstance(part, Reasoning | ToolCall))
    thoughts = thoughts_of(said)
    if thoughts:
        spoken["thinking"] = thoughts
    calls = [part for part in said if isinstance(part, ToolCall)]
    if calls:
        spoken["tool_calls"] = [_call(index, call) for index, call in enumerate(calls)]
    return {"role": "assistant", **spoken}


def _call(index: int, call: ToolCall) -> Object:
    """A call of an earlier turn. Arguments that are no object would make Ollama's templates fail, with a 500."""
    try:
        arguments = msgspec.json.decode(call.arguments or "{}", type=Object)
    except msgspec.DecodeError:
        raise InvalidRequest(f"The arguments of the call `{call.id}` are not a JSON object.", param="messages") from None
    return {"id": call.id, "function": {"index": index, "name": call.name, "arguments": arguments}}


def _results(message: Message, warnings: list[str]) -> Iterator[Object]:
    """One message per result. Templates show text alone there, so images follow as the user's."""
    for result, text in results_of(message, warnings):
        named = {"tool_name": result.name} if result.name else {}
        yield {"role": "tool", "content": text, **named, "tool_call_id": result.call_id}
    if shown := attachments_of(message):
        yield {"role": "user", **_spoken(shown)}
