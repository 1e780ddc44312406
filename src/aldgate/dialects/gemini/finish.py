"""Why an answer ended, in Gemini's words and in neutral ones (https://ai.google.dev/api/generate-content#FinishReason)."""

from __future__ import annotations

from aldgate.core.conversation import Finish

_REASONS: dict[str, Finish] = {
    "MAX_TOKENS": "length",
    "CONTINUATION": "length",
    **dict.fromkeys(
        """SAFETY RECITATION LANGUAGE BLOCKLIST PROHIBITED_CONTENT SPII MODEL_ARMOR IMAGE_SAFETY IMAGE_PROHIBITED_CONTENT
        IMAGE_RECITATION IMAGE_OTHER""".split(),
        "content_filter",
    ),
}
FAILURES = frozenset(
    """OTHER MALFORMED_FUNCTION_CALL MALFORMED_RESPONSE UNEXPECTED_TOOL_CALL TOO_MANY_TOOL_CALLS MISSING_THOUGHT_SIGNATURE
    NO_IMAGE""".split()
)
"""The model gave up; what it said so far is no answer."""
WORDS: dict[Finish, str] = {"stop": "STOP", "tool_calls": "STOP", "length": "MAX_TOKENS", "content_filter": "SAFETY"}


def finish_of(reason: str, *, has_calls: bool) -> Finish:
    """The neutral reason. `STOP` is said after function calls too, and calls stand even where a filter stopped what follows."""
    finish = _REASONS.get(reason, "stop")
    return "tool_calls" if has_calls and finish != "length" else finish
