"""What differs between generations of Gemini models, told by their names."""

from __future__ import annotations

import re
from typing import Any

from aldgate.core.conversation import Effort, Thinking

_VERSION = re.compile(r"gemini-(\d+)(?:[.-](\d+))?(?:[.-]|$)")
_LEVELS: dict[Effort, str] = {
    "none": "MINIMAL",
    "minimal": "MINIMAL",
    "low": "LOW",
    "medium": "MEDIUM",
    "high": "HIGH",
    "xhigh": "HIGH",
    "max": "HIGH",
}
_BUDGETS: dict[Effort, int] = {
    "none": 0,
    "minimal": 1_024,
    "low": 1_024,
    "medium": 8_192,
    "high": 24_576,
    "xhigh": 24_576,
    "max": 24_576,
}
"""As Google's OpenAI form translates them (https://ai.google.dev/gemini-api/docs/openai#thinking)."""
_LEAST_OF_PRO = 128
"""`gemini-2.5-pro` cannot stop thinking (https://ai.google.dev/gemini-api/docs/thinking#set-budget)."""
_EFFORTS_OF_BUDGETS: tuple[tuple[int, Effort], ...] = ((0, "none"), (2_048, "low"), (8_192, "medium"))
"""Budgets up to so many tokens are about such an effort; larger ones are `high`."""


def generation(model: str) -> tuple[int, int]:
    """Version of a Gemini model: (2, 5). Names like `gemini-flash-latest` are the newest, other families (0, 0)."""
    name = model.rpartition("/")[2]
    found = _VERSION.match(name)
    if found is not None:
        return int(found[1]), int(found[2] or 0)
    return (99, 0) if name.startswith("gemini-") and name.endswith("-latest") else (0, 0)


def signs_calls(model: str) -> bool:
    """It refuses a call of its own in the history without a signature."""
    return generation(model) >= (3, 0)


def reads_json_schema(model: str) -> bool:
    """It takes JSON Schema; older ones want a subset of OpenAPI's (https://ai.google.dev/gemini-api/docs/structured-output)."""
    version = generation(model)
    return version == (0, 0) or version >= (2, 5)


def takes_media_in_results(model: str) -> bool:
    """Function responses may hold images (https://ai.google.dev/gemini-api/docs/function-calling#multimodal)."""
    return generation(model) >= (3, 0)


def thinking_config(model: str, thinking: Thinking) -> dict[str, Any] | None:
    """`thinkingConfig`: levels from Gemini 3 on, a budget of tokens for 2.5; None for models that do not think."""
    version = generation(model)
    if version < (2, 5):
        return None
    config: dict[str, Any] = {}
    if version >= (3, 0):
        effort = thinking.effort or _effort_of(thinking.budget_tokens)
        if effort is not None:
            level = _LEVELS[effort]
            config["thinkingLevel"] = "LOW" if level == "MINIMAL" and "-pro" in model else level
    else:
        budget = thinking.budget_tokens if thinking.effort is None else _BUDGETS[thinking.effort]
        if budget is not None:
            config["thinkingBudget"] = max(budget, _LEAST_OF_PRO) if "-pro" in model else budget
    if thinking.is_shown is not None:
        config["includeThoughts"] = thinking.is_shown
    return config


def _effort_of(budget: int | None) -> Effort | None:
    if budget is None:
        return None
    for most, effort in _EFFORTS_OF_BUDGETS:
        if budget <= most:
            return effort
    return "high"
