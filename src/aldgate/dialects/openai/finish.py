"""Why an answer ended, in OpenAI's words and in neutral ones."""

from aldgate.core.conversation import Finish

_REASONS: dict[str, Finish] = {
    "stop": "stop",
    "length": "length",
    "model_length": "length",  # Mistral (https://docs.mistral.ai/api)
    "tool_calls": "tool_calls",
    "function_call": "tool_calls",
    "content_filter": "content_filter",
    "eos": "stop",  # Together
}
KNOWN = frozenset({"stop", "length", "tool_calls", "function_call", "content_filter"})
"""Those that OpenAI itself gives."""
FAILURES = frozenset({"error", "insufficient_system_resource"})
"""The provider gave up: OpenRouter's and Mistral's word, and DeepSeek's."""


def finish_of(reason: str | None, *, has_calls: bool) -> Finish:
    """The neutral reason. Some servers say `stop` although tools were called."""
    finish = _REASONS.get(reason or "stop", "stop")
    return "tool_calls" if has_calls and finish == "stop" else finish
