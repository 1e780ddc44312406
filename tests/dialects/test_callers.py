"""Who sits before the caller's application, in the characters that OpenAI takes."""

import pytest

from aldgate.core.conversation import Conversation
from aldgate.dialects import callers
from aldgate.dialects.openai.build import build_chat
from aldgate.dialects.responses.build import build

CLAUDE_CODE = '{"device_id":"%s","account_uuid":"","session_id":"98c4b50b-1f8c-4bf6-bc3c-d74265521712"}' % ("2487" * 16)


@pytest.mark.parametrize("user", [None, "", "someone", "x" * 64])
def test_what_fits_stays(user: str | None) -> None:
    assert callers.short(user) == user


def test_what_is_longer_becomes_its_digest() -> None:
    shortened = callers.short(CLAUDE_CODE)
    assert shortened is not None and len(shortened) == 64
    assert shortened == callers.short(CLAUDE_CODE) != callers.short(CLAUDE_CODE + " ")


def test_claude_codes_user_reaches_openai_in_64_characters() -> None:
    asked = Conversation("anthropic", [], user=CLAUDE_CODE)
    chat = build_chat(asked, "gpt", stream=False, cap_field="max_tokens", warnings=[])
    assert chat["user"] == build(asked, "gpt", stream=False, warnings=[])["user"] == callers.short(CLAUDE_CODE)
