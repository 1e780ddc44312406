from typing import Any

import pytest

from aldgate.core.conversation import Thinking, ToolChoice
from aldgate.dialects.converse import families
from tests.dialects.converse.asking import CLAUDE, CLAUDE_37, GPT_OSS, LLAMA, NOVA, NOVA_2, OPUS_5


@pytest.mark.parametrize(
    ("model", "version"),
    [
        (CLAUDE, (4, 5)),
        (CLAUDE_37, (3, 7)),
        (OPUS_5, (5, 0)),
        ("anthropic.claude-opus-4-20250514-v1:0", (4, 0)),
        ("anthropic.claude-3-haiku-20240307-v1:0", (3, 0)),
        ("anthropic.claude-v2:1", (0, 0)),
        ("eu.anthropic.claude-opus-4-7", (4, 7)),
        ("arn:aws:bedrock:us-east-1:123456789012:inference-profile/us.anthropic.claude-opus-4-1-20250805-v1:0", (4, 1)),
        ("claude-fable-5-1", (5, 1)),
    ],
)
def test_a_model_id_tells_claudes_version(model: str, version: tuple[int, int]) -> None:
    assert families.is_claude(model) and families.claude_version(model) == version


@pytest.mark.parametrize(
    ("model", "thinking", "max_tokens", "said"),
    [
        (CLAUDE, Thinking(effort="low"), None, ({"thinking": {"type": "enabled", "budget_tokens": 2_048}}, None)),
        (CLAUDE, Thinking(budget_tokens=5_000), None, ({"thinking": {"type": "enabled", "budget_tokens": 5_000}}, None)),
        (CLAUDE, Thinking(effort="high"), 3_000, ({"thinking": {"type": "enabled", "budget_tokens": 2_999}}, None)),
        (CLAUDE, Thinking(effort="high"), 1_000, None),
        (CLAUDE, Thinking(effort="none"), None, ({"thinking": {"type": "disabled"}}, None)),
        (CLAUDE, Thinking(is_shown=True), None, ({"thinking": {"type": "enabled", "budget_tokens": 8_192}}, None)),
        ("anthropic.claude-3-haiku-20240307-v1:0", Thinking(effort="none"), None, ({}, None)),
        ("anthropic.claude-3-haiku-20240307-v1:0", Thinking(effort="low"), None, None),
        (OPUS_5, Thinking(effort="minimal"), None, ({"thinking": {"type": "adaptive"}}, "low")),
        (
            OPUS_5,
            Thinking(effort="max", is_shown=True),
            None,
            ({"thinking": {"type": "adaptive", "display": "summarized"}}, "max"),
        ),
        (OPUS_5, Thinking(is_shown=False), None, ({"thinking": {"type": "adaptive", "display": "omitted"}}, None)),
        (OPUS_5, Thinking(budget_tokens=2_000), None, ({"thinking": {"type": "enabled", "budget_tokens": 2_000}}, None)),
        (GPT_OSS, Thinking(effort="xhigh"), None, ({"reasoning_effort": "high"}, None)),
        (GPT_OSS, Thinking(effort="none"), None, None),
        (
            NOVA_2,
            Thinking(effort="medium"),
            None,
            ({"reasoningConfig": {"type": "enabled", "maxReasoningEffort": "medium"}}, None),
        ),
        (NOVA_2, Thinking(effort="none"), None, ({"reasoningConfig": {"type": "disabled"}}, None)),
        (NOVA, Thinking(effort="low"), None, None),
        (LLAMA, Thinking(budget_tokens=2_000), None, None),
    ],
)
def test_thinking_is_said_in_the_familys_words(
    model: str, thinking: Thinking, max_tokens: int | None, said: tuple[dict[str, Any], str | None] | None
) -> None:
    assert families.thinking_fields(model, thinking, max_tokens) == said


def test_sampling_is_refused_more_and_more() -> None:
    assert [families.wants_either_temperature_or_top_p(each) for each in (CLAUDE_37, CLAUDE, NOVA)] == [False, True, False]
    assert [families.takes_no_sampling(each) for each in (CLAUDE, OPUS_5, LLAMA)] == [False, True, False]


@pytest.mark.parametrize(
    ("choice", "said"),
    [
        (None, {"type": "auto"}),
        (ToolChoice("auto"), {"type": "auto"}),
        (ToolChoice("required"), {"type": "any"}),
        (ToolChoice("one", ("look",)), {"type": "tool", "name": "look"}),
    ],
)
def test_one_call_at_a_time_is_claudes_own_choice(choice: ToolChoice | None, said: dict[str, str]) -> None:
    assert families.one_call_at_a_time(choice) == {"tool_choice": {**said, "disable_parallel_tool_use": True}}
