"""Neutral conversations as `generateContent` bodies (https://ai.google.dev/api/generate-content).

The model is named in the path; it is needed here because generations of models differ in what they take.
"""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from aldgate.core.conversation import Conversation, OutputFormat, Thinking, Tool, ToolChoice
from aldgate.core.errors import InvalidRequest
from aldgate.dialects.gemini import versions
from aldgate.dialects.gemini.keys import Object
from aldgate.dialects.gemini.schemas import subset_of
from aldgate.dialects.gemini.turns import turns_of
from aldgate.dialects.unsayable import cache_marks, details, names

_MODES = {"auto": "AUTO", "none": "NONE", "required": "ANY", "one": "ANY"}
_TIERS = {"flex": "flex", "priority": "priority", "fast": "priority", "standard": "standard"}
_MOST_STOPS = 5
_MOST_CANDIDATES = 8


def build_chat(asked: Conversation, model: str, warnings: list[str]) -> Object:
    """Body of `generateContent`; `warnings` takes the names of what was left out.

    Raises:
        InvalidRequest: It asks for what Gemini cannot say.
    """
    if asked.choices > _MOST_CANDIDATES:
        raise InvalidRequest(f"This model gives at most {_MOST_CANDIDATES} answers to a request.", param="n")
    system, contents = turns_of(asked, model)
    body: Object = {"contents": contents}
    if system:
        body["systemInstruction"] = {"parts": system}
    if asked.tools:
        body["tools"] = [{"functionDeclarations": [_function(tool, model) for tool in asked.tools]}]
        if asked.tool_choice is not None:
            body["toolConfig"] = {"functionCallingConfig": _calling(asked.tool_choice)}
    config = _config(asked, model)
    if config:
        body["generationConfig"] = config
    if asked.service_tier in _TIERS:
        body["serviceTier"] = _TIERS[asked.service_tier]
    warnings += _left_out(asked, config)
    return body


def _config(asked: Conversation, model: str) -> Object:
    given: Object = {
        "maxOutputTokens": asked.max_output_tokens or None,
        "temperature": asked.temperature,
        "topP": asked.top_p,
        "topK": asked.top_k,
        "seed": asked.seed,
        "presencePenalty": asked.presence_penalty,
        "frequencyPenalty": asked.frequency_penalty,
        "candidateCount": asked.choices if asked.choices > 1 else None,
        "responseLogprobs": True if asked.top_logprobs is not None else None,
        "logprobs": asked.top_logprobs or None,
        "stopSequences": asked.stop[:_MOST_STOPS] or None,
        "thinkingConfig": versions.thinking_config(model, _shown(asked.thinking, asked.origin)) if asked.thinking else None,
    }
    said = {name: value for name, value in given.items() if value is not None}
    return said | _format(asked.output_format, model) if asked.output_format else said


def _shown(thinking: Thinking, origin: str) -> Thinking:
    """Callers of these are shown what was thought unless they say otherwise; Gemini shows it only when it is asked to."""
    if origin not in ("openai", "anthropic") or thinking.is_shown is not None or thinking.effort == "none":
        return thinking
    return msgspec.structs.replace(thinking, is_shown=True)


def _format(wanted: OutputFormat, model: str) -> Object:
    said: Object = {"responseMimeType": "application/json"}
    if wanted.schema is not None:
        if versions.reads_json_schema(model):
            said["responseJsonSchema"] = wanted.schema
        else:
            said["responseSchema"] = subset_of(wanted.schema)
    return said


def _function(tool: Tool, model: str) -> Object:
    if tool.is_custom:
        raise InvalidRequest(f"`{tool.name}` takes free text; this model's tools take JSON.", param="tools")
    said: Object = {"name": tool.name}
    if tool.description is not None:
        said["description"] = tool.description
    if tool.parameters is not None and (tool.parameters.get("properties") or "$ref" in tool.parameters):
        if versions.reads_json_schema(model):
            said["parametersJsonSchema"] = tool.parameters
        else:
            said["parameters"] = subset_of(tool.parameters)
    return said


def _calling(choice: ToolChoice) -> Object:
    """Names bind only where calls must be made; `VALIDATED` is `auto` among some (.../caching#FunctionCallingConfig)."""
    mode = "VALIDATED" if choice.mode == "auto" and choice.names else _MODES[choice.mode]
    said: Object = {"mode": mode}
    if choice.names:
        said["allowedFunctionNames"] = list(choice.names)
    return said


def _left_out(asked: Conversation, config: Object) -> Iterator[str]:
    if asked.thinking is not None and not config.get("thinkingConfig"):
        yield "reasoning_effort" if asked.origin == "openai" else "thinking"
    if asked.parallel_tool_calls is False and asked.tools:
        yield "parallel_tool_calls"
    if len(asked.stop) > _MOST_STOPS:
        yield f"stop[{_MOST_STOPS}:]"
    if any(tool.strict for tool in asked.tools):
        yield "strict"
    if asked.service_tier not in (None, "auto", "default", *_TIERS):
        yield "service_tier"
    if asked.cache is not None:
        yield "cache"
    yield from (*cache_marks(asked), *details(asked), *names(asked))
    unsaid = {
        "verbosity": asked.verbosity,
        "prompt_cache_key": asked.cache_key,
        "user": asked.user,
        "metadata": asked.metadata,
    }
    yield from (name for name, value in unsaid.items() if value)
    yield from asked.others
