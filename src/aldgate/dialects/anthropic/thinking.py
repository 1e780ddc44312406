"""How much a model should think, in the words its generation understands."""

from __future__ import annotations

from typing import Any

from aldgate.core.conversation import Conversation, Effort, Message, Reasoning, ToolCall
from aldgate.dialects.anthropic.carried import ORIGIN
from aldgate.dialects.anthropic.families import Family

Object = dict[str, Any]

DEFAULT_MAX_TOKENS = 4096
"""`max_tokens` where neither the caller nor the catalogue names one; the API insists on it."""
LEAST_BUDGET = 1024
"""The smallest budget the API takes (https://platform.claude.com/docs/en/build-with-claude/extended-thinking)."""
BUDGETS: dict[Effort, int] = {"minimal": 1024, "low": 2048, "medium": 8192, "high": 16_384, "xhigh": 32_768, "max": 65_536}
"""Tokens to think with, for models that are told a number, by the effort that was asked for."""
_ORDER: tuple[Effort, ...] = tuple(BUDGETS)
FIELDS = {"openai": "reasoning_effort", "responses": "reasoning", "gemini": "generationConfig.thinkingConfig", "ollama": "think"}
"""Where callers of other dialects say how much to think."""


def set_thinking(
    body: Object, asked: Conversation, family: Family, max_output: int | None, warnings: list[str], *, is_forced: bool = False
) -> None:
    """Put `max_tokens`, `thinking` and `output_config.effort` into `body`; what cannot be had is named in `warnings`.

    `is_forced`: the model will be made to call a tool, though the caller did not say so.
    """
    wanted = asked.thinking
    field = FIELDS.get(asked.origin, "thinking")
    limit = asked.max_output_tokens if asked.max_output_tokens is not None else max_output or DEFAULT_MAX_TOKENS
    body["max_tokens"] = limit
    if wanted is None:
        return
    if wanted.effort == "none":
        if family.thinking == "always":
            warnings.append(field)
        elif family.thinking != "none":
            body["thinking"] = {"type": "disabled"}
        return
    effort = wanted.effort or (_effort_of(wanted.budget_tokens) if wanted.budget_tokens else None)
    if family.efforts and effort is not None and (family.thinking != "budget" or wanted.effort is not None):
        body["output_config"] = {"effort": nearest(effort, family.efforts)}
    if family.thinking == "none" or is_forced or _is_forced(asked):
        warnings.append(field)  # a forced tool leaves no room for a thought
        return
    config: Object | None = {"type": "adaptive"}
    if family.thinking == "budget":
        config = _budget(body, asked, effort, limit, max_output)
        if config is None or _lacks_thoughts(asked.messages):
            warnings.append(field)
            body["max_tokens"] = limit
            return
    elif wanted.is_shown is None and (family.thinking == "always" or _only_effort(asked)):
        return
    if wanted.is_shown is not None:
        config["display"] = "summarized" if wanted.is_shown else "omitted"
    body["thinking"] = config


def nearest(effort: Effort, known: tuple[Effort, ...]) -> Effort:
    """The level itself, else the highest known one below it, else the lowest."""
    at_most: list[Effort] = [level for level in known if _ORDER.index(level) <= _ORDER.index(effort)]
    return at_most[-1] if at_most else known[0]


def _only_effort(asked: Conversation) -> bool:
    """An Anthropic caller named an effort and no `thinking`: that is for the model to decide."""
    wanted = asked.thinking
    return asked.origin == ORIGIN and wanted is not None and wanted.budget_tokens is None


def _effort_of(budget: int) -> Effort:
    enough: list[Effort] = [effort for effort in _ORDER if budget <= BUDGETS[effort]]
    return enough[0] if enough else "max"


def _is_forced(asked: Conversation) -> bool:
    return asked.tool_choice is not None and asked.tool_choice.mode in ("required", "one")


def _budget(body: Object, asked: Conversation, effort: Effort | None, limit: int, max_output: int | None) -> Object | None:
    """A budget below `max_tokens`, which is raised where nobody but us named it. None: there is no room."""
    wanted = asked.thinking.budget_tokens if asked.thinking else None
    budget = max(LEAST_BUDGET, wanted or BUDGETS[effort or "medium"])
    if asked.max_output_tokens is None:
        limit = body["max_tokens"] = max(limit, min(budget + DEFAULT_MAX_TOKENS, max_output or budget + DEFAULT_MAX_TOKENS))
    budget = min(budget, limit - 1)
    return {"type": "enabled", "budget_tokens": budget} if budget >= LEAST_BUDGET else None


def _lacks_thoughts(messages: list[Message]) -> bool:
    """The turn under way called tools and its thoughts are lost: models with budgets then refuse to think on.

    "Expected `thinking` or `redacted_thinking`, but found `tool_use`"
    (https://platform.claude.com/docs/en/build-with-claude/extended-thinking#extended-thinking-with-tool-use).
    """
    for message in reversed(messages):
        if message.role == "user":
            return False
        if message.role == "assistant" and any(isinstance(part, ToolCall) for part in message.parts):
            first = message.parts[0]
            return not (isinstance(first, Reasoning) and first.origin == ORIGIN and bool(first.signature or first.redacted))
    return False
