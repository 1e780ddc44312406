"""What callers call the fields of a `Conversation`, so that warnings and refusals name them in the caller's own words."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, cast

from aldgate.core.conversation import Conversation
from aldgate.core.operations import Request

_WORDS: dict[str, dict[str, str]] = {
    "openai": {
        "cache": "prompt_cache_options",
        "cache_key": "prompt_cache_key",
        "choices": "n",
        "output_format": "response_format",
        "thinking": "reasoning_effort",
    },
    "responses": {
        "cache": "prompt_cache_options",
        "cache_key": "prompt_cache_key",
        "max_tokens": "max_output_tokens",
        "messages": "input",
        "output_format": "text.format",
        "thinking": "reasoning",
        "user": "safety_identifier",
        "verbosity": "text.verbosity",
    },
    "anthropic": {
        "cache": "cache_control",
        "output_format": "output_config.format",
        "parallel_tool_calls": "tool_choice.disable_parallel_tool_use",
        "stop": "stop_sequences",
        "user": "metadata.user_id",
    },
    "gemini": {
        "dimensions": "outputDimensionality",
        "choices": "generationConfig.candidateCount",
        "frequency_penalty": "generationConfig.frequencyPenalty",
        "max_tokens": "generationConfig.maxOutputTokens",
        "messages": "contents",
        "metadata": "labels",
        "output_format": "generationConfig.responseMimeType",
        "presence_penalty": "generationConfig.presencePenalty",
        "seed": "generationConfig.seed",
        "service_tier": "serviceTier",
        "stop": "generationConfig.stopSequences",
        "task": "taskType",
        "temperature": "generationConfig.temperature",
        "thinking": "generationConfig.thinkingConfig",
        "tool_choice": "toolConfig",
        "top_k": "generationConfig.topK",
        "top_logprobs": "generationConfig.logprobs",
        "top_p": "generationConfig.topP",
    },
    "ollama": {
        "frequency_penalty": "options.frequency_penalty",
        "max_tokens": "options.num_predict",
        "output_format": "format",
        "presence_penalty": "options.presence_penalty",
        "seed": "options.seed",
        "stop": "options.stop",
        "temperature": "options.temperature",
        "thinking": "think",
        "top_k": "options.top_k",
        "top_p": "options.top_p",
    },
}


_OPENAIS = {
    "logprobs": "top_logprobs",
    "n": "choices",
    "prompt_cache_key": "cache_key",
    "reasoning_effort": "thinking",
    "response_format": "output_format",
}
"""Words of OpenAI's for fields that are called otherwise in a `Conversation`: most dialects name what they leave out by these."""


def word(origin: str, field: str) -> str:
    """The name that dialect `origin` has for `field`: one of a `Conversation`, or OpenAI's word for one."""
    name, bracket, rest = field.partition("[")  # as in `stop[4:]`
    words = _WORDS.get(origin, {})
    if origin == "openai" and name in _OPENAIS:
        return field
    return words.get(name, words.get(_OPENAIS.get(name, name), name)) + bracket + rest


def worded(asked: Request, left_out: Iterable[str]) -> list[str]:
    """The names of what is left out of `asked` as its caller says them, each once."""
    return list(dict.fromkeys(word(asked.origin, name) for field in left_out for name in _members(asked, field)))


def _members(asked: Request, field: str) -> Iterator[str]:
    """Of Ollama's `options` not all are left out: those that are have names of their own."""
    options: Any = asked.others.get(field) if isinstance(asked, Conversation) and field == "options" else None
    if isinstance(options, dict):
        yield from (f"options.{name}" for name in cast("dict[str, Any]", options))
    else:
        yield field
