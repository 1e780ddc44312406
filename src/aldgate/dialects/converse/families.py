"""What models of a family want said in their own words (`additionalModelRequestFields`), and what they refuse.

https://docs.aws.amazon.com/bedrock/latest/userguide/model-parameters-anthropic-claude-messages.html (Claude),
https://docs.aws.amazon.com/nova/latest/nova2-userguide/extended-thinking.html (Nova),
https://docs.aws.amazon.com/bedrock/latest/userguide/model-parameters-openai.html (gpt-oss).
"""

import re
from typing import Any

from aldgate.core.conversation import Thinking, ToolChoice

Fields = dict[str, Any]

_VERSION = re.compile(r"claude-(?:[a-z]+-)?(\d{1,2})(?:-(\d{1,2}))?(?!\d)")
_BUDGETS = {"minimal": 1_024, "low": 2_048, "medium": 8_192, "high": 16_384, "xhigh": 32_000, "max": 32_000}
_LEAST_BUDGET = 1_024
_NOVA_EFFORTS = {"minimal": "low", "low": "low", "medium": "medium", "high": "high", "xhigh": "high", "max": "high"}
_BETAS = frozenset(
    {
        "computer-use-2024-10-22",
        "computer-use-2025-01-24",
        "computer-use-2025-11-24",
        "token-efficient-tools-2025-02-19",
        "interleaved-thinking-2025-05-14",
        "output-128k-2025-02-19",
        "dev-full-thinking-2025-05-14",
        "context-1m-2025-08-07",
        "context-management-2025-06-27",
        "effort-2025-11-24",
        "tool-search-tool-2025-10-19",
        "tool-examples-2025-10-29",
        "compact-2026-01-12",
    }
)
"""What Bedrock knows of Anthropic's betas; any other makes it refuse the request ("invalid beta flag").
https://docs.aws.amazon.com/bedrock/latest/userguide/model-parameters-anthropic-claude-messages-request-response.html"""


def is_claude(model: str) -> bool:
    """Whether the model id or ARN says Claude. An application inference profile does not say whose model it is."""
    return "claude" in model.lower()


def caches(model: str) -> bool:
    """Whether the model takes cache points (https://docs.aws.amazon.com/bedrock/latest/userguide/prompt-caching.html)."""
    return is_claude(model) or "amazon.nova" in model.lower()


def claude_version(model: str) -> tuple[int, int]:
    """`(4, 5)` of `us.anthropic.claude-sonnet-4-5-20250929-v1:0`; `(0, 0)` where the id does not tell."""
    found = _VERSION.search(model.lower())
    return (int(found[1]), int(found[2] or 0)) if found else (0, 0)


def wants_either_temperature_or_top_p(model: str) -> bool:
    """Claude since 4.1 refuses both in one request."""
    return is_claude(model) and claude_version(model) >= (4, 1)


def takes_no_sampling(model: str) -> bool:
    """Claude since 4.7 refuses any `temperature`, `top_p` and `top_k`."""
    return is_claude(model) and claude_version(model) >= (4, 7)


def thinks(fields: Fields) -> bool:
    """Whether Claude was told to think in `fields`: then it takes neither sampling nor a forced tool."""
    return fields.get("thinking", {}).get("type") in ("enabled", "adaptive")


def thinking_fields(model: str, thinking: Thinking, max_tokens: int | None) -> tuple[Fields, str | None] | None:
    """How to say `thinking` to `model`: its own fields, and the effort for `outputConfig`. None: it cannot be said."""
    if is_claude(model):
        return _claude_thinking(model, thinking, max_tokens)
    if thinking.effort is None:
        return None
    if "openai.gpt-oss" in model.lower():
        levels = {"minimal": "low", "xhigh": "high", "max": "high"}
        return None if thinking.effort == "none" else ({"reasoning_effort": levels.get(thinking.effort, thinking.effort)}, None)
    if "nova-2" in model.lower():
        if thinking.effort == "none":
            return {"reasoningConfig": {"type": "disabled"}}, None
        return {"reasoningConfig": {"type": "enabled", "maxReasoningEffort": _NOVA_EFFORTS[thinking.effort]}}, None
    return None


def _claude_thinking(model: str, thinking: Thinking, max_tokens: int | None) -> tuple[Fields, str | None] | None:
    version = claude_version(model)
    if thinking.effort == "none":
        return ({"thinking": {"type": "disabled"}} if version >= (3, 7) else {}), None
    if version < (3, 7):
        return None
    shown = {} if thinking.is_shown is None else {"display": "summarized" if thinking.is_shown else "omitted"}
    if version >= (4, 6) and (thinking.effort is not None or thinking.budget_tokens is None):
        effort = "low" if thinking.effort == "minimal" else thinking.effort
        return {"thinking": {"type": "adaptive", **shown}}, effort
    budget = thinking.budget_tokens or _BUDGETS[thinking.effort or "medium"]
    if max_tokens is not None:
        budget = min(budget, max_tokens - 1)  # thoughts count as output and must leave room for an answer
    if budget < _LEAST_BUDGET:
        return None
    return {"thinking": {"type": "enabled", "budget_tokens": budget, **(shown if version >= (4, 6) else {})}}, None


def one_call_at_a_time(choice: ToolChoice | None) -> Fields:
    """Claude's own `tool_choice`. It stands instead of Converse's: the two together are refused."""
    mode = {"required": "any", "one": "tool"}.get(choice.mode if choice else "auto", "auto")
    said: Fields = {"type": mode, "disable_parallel_tool_use": True}
    if choice is not None and mode == "tool":
        said["name"] = choice.names[0]
    return {"tool_choice": said}


def known_betas(wanted: list[Any]) -> tuple[list[str], list[str]]:
    """The betas of `wanted` that Bedrock knows, and the others."""
    names = [str(name) for name in wanted]
    return [name for name in names if name in _BETAS], [name for name in names if name not in _BETAS]
