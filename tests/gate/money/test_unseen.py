"""What may be charged for without being seen is known by the request, the model's name, what is said of it, or what it did."""

from typing import Any

import msgspec
import pytest

from aldgate.core.calls import Peek
from aldgate.core.prices import FREE
from aldgate.core.routes import Deployment, Facts
from aldgate.gate.money.unseen import may_hide_output

HELLO = b'{"model": "m", "messages": [{"role": "user", "content": "please think about reasoning"}]}'


class _Asked(msgspec.Struct):
    peek: Peek


def hides(model: str, body: bytes = HELLO, facts: Facts = Facts(), seen: frozenset[str] = frozenset()) -> bool:
    call: Any = _Asked(Peek(body, model))
    deployment = Deployment(f"lab/{model}", "lab", model, FREE, "file", facts=facts)
    return may_hide_output(call, (deployment,), set(seen))


@pytest.mark.parametrize(
    "model",
    ["gpt-4.1", "gpt-4o-mini", "gpt-3.5-turbo", "claude-sonnet-4-5", "claude-3-haiku", "gemini-1.5-pro", "gemini-2.0-flash"]
    + ["mistral-large", "llama-3.3-70b", "command-r-plus", "grok-2", "qwen2.5-coder", "o-model", "nova-pro"],
)
def test_what_shows_all_it_makes_goes_in_steps(model: str) -> None:
    assert not hides(model)


@pytest.mark.parametrize(
    "model",
    ["o1", "o3-mini", "openai/o4-mini", "gpt-5", "gpt-5.1-mini", "gpt-oss-120b", "gemini-2.5-pro", "gemini-3-pro", "grok-4"]
    + ["deepseek-r1", "deepseek-reasoner", "qwq-32b", "qwen3-max", "magistral-small", "kimi-k2-thinking", "claude-fable-5"],
)
def test_models_that_think_unasked_are_held_for_as_a_whole(model: str) -> None:
    assert hides(model) and hides(model.upper())


@pytest.mark.parametrize(
    "member",
    [b'"reasoning_effort": "low"', b'"reasoning": {}', b'"thinking":{"type":"enabled"}', b'"think": true', b'"\\u0074hink": true']
    + [b'"generationConfig": {"thinkingConfig": {}}', b'"output_config": {"effort": "high"}'],
)
def test_a_request_that_asks_for_thoughts_is_held_for_as_a_whole(member: bytes) -> None:
    assert hides("gpt-4.1", HELLO[:-1] + b", " + member + b"}")


def test_what_is_said_of_a_model_and_what_it_did_counts() -> None:
    thinks = Facts(can=frozenset({"reasoning"}))
    assert hides("house-model", facts=thinks) and not hides("claude-opus-4-1", facts=thinks)
    assert hides("house-model", seen=frozenset({"lab/house-model"})) and not hides("other", seen=frozenset({"lab/house-model"}))
