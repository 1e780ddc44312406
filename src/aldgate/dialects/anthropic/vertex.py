"""The Messages API as Vertex AI takes it: the model stands in the path, the version in the body.

https://platform.claude.com/docs/en/build-with-claude/claude-on-vertex-ai
"""

from __future__ import annotations

from typing import Any

import msgspec

from aldgate.core.calls import Peek
from aldgate.core.operations import Request
from aldgate.core.principals import Operation
from aldgate.core.routes import Deployment
from aldgate.dialects.anthropic.dialect import AnthropicDialect

VERSION = "vertex-2023-10-16"


class AnthropicOnVertex(AnthropicDialect):
    """As a provider's dialect; callers of Anthropic's own API pass through it."""

    def outgoing(
        self, operation: Operation, peek: Peek, deployment: Deployment, *, cap: int | None, warnings: list[str]
    ) -> bytes:
        """The caller's own bytes; see `ports.UpstreamDialect`."""
        return _placed(super().outgoing(operation, peek, deployment, cap=cap, warnings=warnings))

    def build(self, asked: Request, deployment: Deployment, *, stream: bool, warnings: list[str]) -> bytes:
        """The body of a translated request; see `ports.UpstreamDialect`."""
        return _placed(super().build(asked, deployment, stream=stream, warnings=warnings))


def _placed(body: bytes) -> bytes:
    members = msgspec.json.decode(body, type=dict[str, Any])
    members.pop("model", None)
    return msgspec.json.encode({"anthropic_version": VERSION, **members})


ANTHROPIC_ON_VERTEX = AnthropicOnVertex()
