"""Calls whose output may be made, and charged for, long before any of it is seen: reasoning, not shown or only in summary.

Of such a call nobody can tell by what was delivered how much it has cost so far.
"""

from __future__ import annotations

import re

from aldgate.core.calls import Call
from aldgate.core.routes import Deployment

_ASKED = re.compile(
    rb'"(?:thinking|reasoning|reasoning_effort|think|effort|output_config|thinkingConfig|thinking_config|[^"\\]*\\u00[2-7][^"]*)"\s*:'
)
"""A member of a request that asks for thoughts, in any dialect; or one spelled with escapes, which may be any of them."""
_UNASKED = re.compile(
    r"(?:^|[^a-z0-9])(?:o\d|gpt-[5-9]|gpt-oss|codex|gemini-(?:2[.-]5|[3-9]|flash|pro)|grok-(?:3-mini|[4-9]|code)|claude-?(?:fable|mythos)"
    r"|magistral|qwq|qwen-?3|kimi-k|minimax-m|glm-[4-9]|nova-2|sonar-(?:reasoning|deep))|deepseek|reason|think|research"
)
"""Names of models that think unless told not to, as far as is known. https://platform.openai.com/docs/guides/reasoning,
https://ai.google.dev/gemini-api/docs/thinking, https://docs.x.ai/docs/guides/reasoning."""
_ASKS_FIRST = re.compile(r"claude-?(?:opus|sonnet|haiku|instant|\d)")
"""Claude thinks when it is asked to (https://platform.claude.com/docs/en/build-with-claude/extended-thinking)."""


def may_hide_output(call: Call, candidates: tuple[Deployment, ...], seen: set[str]) -> bool:
    """Whether any of these may make output that is charged for and not seen.

    `seen`: ids of deployments that have reported tokens of reasoning before.
    """
    return _ASKED.search(call.peek.body) is not None or any(_thinks(each, seen) for each in candidates)


def _thinks(deployment: Deployment, seen: set[str]) -> bool:
    if deployment.id in seen:
        return True
    name = deployment.model.lower()
    return _UNASKED.search(name) is not None or ("reasoning" in deployment.facts.can and not _ASKS_FIRST.search(name))
