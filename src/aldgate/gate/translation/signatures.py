"""Thoughts and signatures that only the credential they were made with can read, taken out for another one."""

from __future__ import annotations

import re

from aldgate.core.conversation import Conversation, Part, Reasoning, ToolCall
from aldgate.core.operations import Request

_SEALED = re.compile(rb'"(?:encrypted_content|signature|thought_?[sS]ignature|redacted_thinking|redacted)"')


def is_sealed(body: bytes) -> bool:
    """Whether a request may carry what only one credential can read."""
    return _SEALED.search(body) is not None


def unsealed(asked: Request) -> Request:
    """The request without them: the model thinks anew, instead of the provider refusing the call."""
    if isinstance(asked, Conversation):
        for message in asked.messages:
            message.parts = [part for part in message.parts if not _is_sealed(part)]
            for part in message.parts:
                if isinstance(part, ToolCall):
                    part.signature = None
        asked.messages = [message for message in asked.messages if message.parts]
    return asked


def _is_sealed(part: Part) -> bool:
    return isinstance(part, Reasoning) and bool(part.signature or part.redacted)
