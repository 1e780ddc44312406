"""What a caller calls the fields that Converse cannot say, so that warnings and refusals name them in the caller's own words."""

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
        "messages": "input",
        "output_format": "text.format",
        "thinking": "reasoning",
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
        "choices": "generationConfig.candidateCount",
        "frequency_penalty": "generationConfig.frequencyPenalty",
        "messages": "contents",
        "metadata": "labels",
        "output_format": "generationConfig.responseMimeType",
        "presence_penalty": "generationConfig.presencePenalty",
        "seed": "generationConfig.seed",
        "service_tier": "serviceTier",
        "stop": "generationConfig.stopSequences",
        "temperature": "generationConfig.temperature",
        "thinking": "generationConfig.thinkingConfig",
        "tool_choice": "toolConfig",
        "top_k": "generationConfig.topK",
        "top_logprobs": "generationConfig.logprobs",
        "top_p": "generationConfig.topP",
    },
    "ollama": {
        "frequency_penalty": "options.frequency_penalty",
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


def word(origin: str, field: str) -> str:
    """The name that dialect `origin` has for `field` of a `Conversation`."""
    return _WORDS.get(origin, {}).get(field, field)
