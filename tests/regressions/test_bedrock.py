"""Bugs reported of other gateways in front of Bedrock."""

from pathlib import Path

import pytest
from tests.dialects.converse.asking import CLAUDE, LLAMA, OPUS_5, body, say
from tests.dialects.converse.streams import decoded, delta, stream, text
from tests.providers.bedrock.test_calls import house

from aldgate.core.conversation import Media, Reasoning, Text, Tool, ToolCall, ToolChoice, ToolResult
from aldgate.core.events import fold

SIGNED = [delta(0, reasoningContent={"text": "Hm."}), delta(0, reasoningContent={"signature": "c2ln"})]
REDACTED = [delta(1, reasoningContent={"redactedContent": "ZW5j"})]


def test_a10_an_image_in_a_tools_result_reaches_the_model() -> None:
    """An image that a tool gave stands in its result (litellm 20403, 16195, 34462, 6953)."""
    result = ToolResult("c1", [Text("The sea"), Media("image", "image/png", "iVBORw0KGgo")])
    said = body(say("user", "Look"), say("assistant", ToolCall("c1", "look")), say("tool", result), tools=[Tool("look")])
    content = said["messages"][2]["content"][0]["toolResult"]["content"]
    assert content == [{"text": "The sea"}, {"image": {"format": "png", "source": {"bytes": "iVBORw0KGgo"}}}]


def test_c8_redacted_thoughts_go_round_and_blocks_end_without_a_stop() -> None:
    """A stream that forgets `contentBlockStop` keeps its parts apart, and redacted thoughts come back (bifrost 4970)."""
    answer = fold(decoded(stream(SIGNED, REDACTED, text(2, "So.")[:-1])))
    assert [type(part) for part in answer.parts] == [Reasoning, Reasoning, Text]
    back = body(say("user", "Hi"), say("assistant", *answer.parts), say("user", "Go on"))["messages"][1]["content"]
    assert back == [
        {"reasoningContent": {"reasoningText": {"text": "Hm.", "signature": "c2ln"}}},
        {"reasoningContent": {"redactedContent": "ZW5j"}},
        {"text": "So."},
    ]


def test_e3_betas_that_bedrock_does_not_know_are_left_out_and_named() -> None:
    """Only betas on the list go on, and only to Claude (litellm 19877, 16561; claude-code 56595)."""
    wanted = {"anthropic_beta": ["interleaved-thinking-2025-05-14", "mcp-servers-2025-12-04"]}
    said = body(others=wanted, model=OPUS_5, warned=["anthropic_beta: mcp-servers-2025-12-04"])
    assert said["additionalModelRequestFields"] == {"anthropic_beta": ["interleaved-thinking-2025-05-14"]}
    warned = [f"anthropic_beta: {beta}" for beta in wanted["anthropic_beta"]]
    assert "additionalModelRequestFields" not in body(others=wanted, model=LLAMA, warned=warned)


@pytest.mark.anyio
async def test_e3_betas_of_a_header_go_on_as_far_as_bedrock_knows_them(tmp_path: Path) -> None:
    """`anthropic-beta` of a caller of Messages reaches Converse through the same list, and the rest is named to the caller."""
    async with house(tmp_path) as (gate, upstream):
        asked = {"model": CLAUDE, "max_tokens": 64, "messages": [{"role": "user", "content": "Hi"}]}
        headers = {"anthropic-beta": "context-1m-2025-08-07, mcp-servers-2025-12-04"}
        reply = await gate.http.post("/v1/messages", json=asked, headers=headers)
        assert reply.status_code == 200, reply.text
        sent = upstream.requests[-1]
        assert sent.json()["additionalModelRequestFields"] == {"anthropic_beta": ["context-1m-2025-08-07"]}
        assert sent.header("anthropic-beta") is None
        assert reply.headers["x-aldgate-warnings"] == "left out: anthropic_beta: mcp-servers-2025-12-04"


def test_a_choice_of_tools_is_said_once() -> None:
    """A forced call without parallel ones is Claude's own `tool_choice`, and no second one beside it (litellm 36536)."""
    said = body(tools=[Tool("go")], tool_choice=ToolChoice("required"), parallel_tool_calls=False, model=CLAUDE)
    assert "toolChoice" not in said["toolConfig"] and said["additionalModelRequestFields"]["tool_choice"]["type"] == "any"
