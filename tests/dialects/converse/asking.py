"""Builds bodies from conversations, as a provider's attempt does."""

import json
from typing import Any

from aldgate.core.conversation import Conversation, Message, Part, Role, Text
from aldgate.dialects.converse.build import build_body

CLAUDE = "us.anthropic.claude-sonnet-4-5-20250929-v1:0"
CLAUDE_37 = "anthropic.claude-3-7-sonnet-20250219-v1:0"
OPUS_5 = "global.anthropic.claude-opus-5"
NOVA = "amazon.nova-pro-v1:0"
NOVA_2 = "us.amazon.nova-2-lite-v1:0"
GPT_OSS = "openai.gpt-oss-120b-1:0"
LLAMA = "us.meta.llama4-maverick-17b-instruct-v1:0"


def say(role: Role, *parts: Part | str) -> Message:
    return Message(role, [Text(part) if isinstance(part, str) else part for part in parts])


def body(*messages: Message, model: str = CLAUDE, warned: list[str] | None = None, **fields: Any) -> dict[str, Any]:
    """The body for `messages` (a greeting, if there are none). Warnings must be `warned`, none by default."""
    warnings: list[str] = []
    asked = Conversation(fields.pop("origin", "openai"), list(messages) or [say("user", "Hi")], **fields)
    built = json.loads(build_body(asked, model, warnings))
    assert warnings == (warned or [])
    return built
