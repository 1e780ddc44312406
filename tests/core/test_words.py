"""What is left out is named as the caller says it."""

from __future__ import annotations

import pytest

from aldgate.core.conversation import Conversation
from aldgate.core.words import word, worded


@pytest.mark.parametrize(
    ("origin", "field", "said"),
    [
        ("openai", "prompt_cache_key", "prompt_cache_key"),
        ("openai", "cache_key", "prompt_cache_key"),
        ("openai", "n", "n"),
        ("responses", "prompt_cache_key", "prompt_cache_key"),
        ("responses", "user", "safety_identifier"),
        ("responses", "reasoning_effort", "reasoning"),
        ("anthropic", "parallel_tool_calls", "tool_choice.disable_parallel_tool_use"),
        ("anthropic", "stop[4:]", "stop_sequences[4:]"),
        ("gemini", "metadata", "labels"),
        ("gemini", "n", "generationConfig.candidateCount"),
        ("ollama", "thinking", "think"),
        ("elsewhere", "seed", "seed"),
    ],
)
def test_fields_have_the_callers_names(origin: str, field: str, said: str) -> None:
    assert word(origin, field) == said


def test_each_is_named_once_and_options_one_by_one() -> None:
    asked = Conversation("ollama", [], others={"options": {"min_p": 0.1, "num_ctx": 9}, "keep_alive": "5m"})
    said = worded(asked, ["options", "keep_alive", "name", "name"])
    assert said == ["options.min_p", "options.num_ctx", "keep_alive", "name"]
