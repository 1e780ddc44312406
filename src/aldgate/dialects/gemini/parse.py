"""Gemini requests into neutral words, for providers of other dialects.

Shapes: https://ai.google.dev/api/generate-content and /caching#Content.
"""

from __future__ import annotations

from typing import Any, cast

import msgspec

from aldgate.core.conversation import (
    Conversation,
    Effort,
    OutputFormat,
    Thinking,
    Tool,
    ToolChoice,
)
from aldgate.core.errors import InvalidRequest
from aldgate.dialects.gemini.contents import messages_of
from aldgate.dialects.gemini.keys import Object, normalised
from aldgate.dialects.gemini.schemas import json_schema_of
from aldgate.dialects.gemini.shapes import GenerateShape, check_shape
from aldgate.dialects.gemini.signatures import ORIGIN
from aldgate.dialects.reading import read_body

_members = msgspec.json.Decoder(dict[str, Any])
_PLACED = frozenset("""contents systemInstruction tools toolConfig generationConfig labels serviceTier model""".split())
_NATIVE = {
    "cachedContent": "names content that is cached at Google",
    "continuationToken": "continues an answer of Google's",
}
_CONFIG_PLACED = frozenset(
    """temperature topP topK candidateCount maxOutputTokens stopSequences seed presencePenalty frequencyPenalty responseMimeType
    responseSchema responseJsonSchema responseModalities responseLogprobs logprobs thinkingConfig""".split()
)
_CONFIG_NATIVE = {"speechConfig": "asks for speech", "imageConfig": "asks for images", "routingConfig": "is Google's own routing"}
_EFFORTS: dict[str, Effort] = {"MINIMAL": "minimal", "LOW": "low", "MEDIUM": "medium", "HIGH": "high", "XHIGH": "xhigh"}


def parse_chat(body: bytes, *, model: str) -> Conversation:
    """Body of `generateContent`.

    Raises:
        InvalidRequest: A field is wrong, or means something only to Google.
    """
    asked: Object = normalised(read_body(body, (), _members.decode))
    check_shape(asked, GenerateShape)
    return _conversation(asked)


def _conversation(asked: Object) -> Conversation:
    config: Object = asked.get("generationConfig", {})
    _refuse(asked, _NATIVE)
    _refuse(config, _CONFIG_NATIVE)
    if any(modality.upper() != "TEXT" for modality in config.get("responseModalities", ())):
        raise InvalidRequest("This model answers in text alone.", param="generationConfig.responseModalities")
    others = {name: value for name, value in asked.items() if name not in _PLACED}
    others |= {f"generationConfig.{name}": value for name, value in config.items() if name not in _CONFIG_PLACED}
    return Conversation(
        origin=ORIGIN,
        messages=messages_of(asked["contents"], asked.get("systemInstruction")),
        tools=[tool for holder in asked.get("tools", ()) for tool in _tools(holder)],
        tool_choice=_tool_choice(asked.get("toolConfig", {}).get("functionCallingConfig", {})),
        max_output_tokens=_integer(config, "maxOutputTokens"),
        temperature=config.get("temperature"),
        top_p=config.get("topP"),
        top_k=_integer(config, "topK"),
        seed=_integer(config, "seed"),
        presence_penalty=config.get("presencePenalty"),
        frequency_penalty=config.get("frequencyPenalty"),
        stop=config.get("stopSequences", []),
        choices=_integer(config, "candidateCount") or 1,
        top_logprobs=(_integer(config, "logprobs") or 0) if config.get("responseLogprobs") else None,
        output_format=_output_format(config),
        thinking=_thinking(config.get("thinkingConfig")),
        service_tier=asked.get("serviceTier"),
        metadata={str(name): str(value) for name, value in asked.get("labels", {}).items()},
        others=others,
    )


def _refuse(given: Object, native: dict[str, str]) -> None:
    for name, reason in native.items():
        if given.get(name):
            raise InvalidRequest(f"`{name}` {reason}; this model is another provider's.", param=name)


def _integer(given: Object, name: str) -> int | None:
    value = given.get(name)
    return None if value is None else int(value)


def _tools(holder: Object) -> list[Tool]:
    """The functions of one entry of `tools`; what Google itself would run cannot run elsewhere."""
    for name in holder:
        if name != "functionDeclarations":
            raise InvalidRequest(f"The tool `{name}` runs at Google; this model is another provider's.", param="tools")
    return [_tool(function) for function in holder.get("functionDeclarations", ())]


def _tool(function: Object) -> Tool:
    schema = function.get("parametersJsonSchema")
    if schema is None and "parameters" in function:
        schema = json_schema_of(function["parameters"])
    return Tool(function["name"], function.get("description"), schema)


def _tool_choice(config: Object) -> ToolChoice | None:
    names = tuple(cast("list[str]", config.get("allowedFunctionNames", [])))
    match config.get("mode", "").upper():
        case "" | "MODE_UNSPECIFIED":
            return None
        case "AUTO" | "VALIDATED":
            return ToolChoice("auto", names)
        case "NONE":
            return ToolChoice("none")
        case "ANY":
            return ToolChoice("one" if len(names) == 1 else "required", names)
        case mode:
            raise InvalidRequest(f"`functionCallingConfig.mode` cannot be `{mode}`.", param="toolConfig")


def _output_format(config: Object) -> OutputFormat | None:
    wanted = config.get("responseMimeType", "text/plain")
    schema = config.get("responseJsonSchema")
    if schema is None and "responseSchema" in config:
        schema = json_schema_of(config["responseSchema"])
    if wanted == "application/json":
        return OutputFormat(schema)
    if wanted != "text/plain":
        raise InvalidRequest(f"This model does not answer in `{wanted}`.", param="generationConfig.responseMimeType")
    return None


def _thinking(config: Object | None) -> Thinking | None:
    if config is None:
        return None
    level, budget = config.get("thinkingLevel", "").upper(), _integer(config, "thinkingBudget")
    if level and level not in _EFFORTS and level != "THINKING_LEVEL_UNSPECIFIED":
        raise InvalidRequest(f"`thinkingLevel` cannot be `{level}`.", param="generationConfig.thinkingConfig.thinkingLevel")
    effort = _EFFORTS.get(level) or ("none" if budget == 0 else None)
    return Thinking(effort, budget if budget and budget > 0 else None, config.get("includeThoughts"))
