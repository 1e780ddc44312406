"""Amazon Bedrock's Converse, as providers speak it. No caller does.

https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_Converse.html
"""

from __future__ import annotations

from aldgate.core.calls import Peek
from aldgate.core.conversation import Conversation
from aldgate.core.errors import InvalidRequest, UpstreamError, UpstreamInvalid
from aldgate.core.operations import Request, Result
from aldgate.core.principals import Operation
from aldgate.core.routes import Deployment
from aldgate.dialects.converse.answers import read_answer
from aldgate.dialects.converse.build import build_body
from aldgate.dialects.converse.decoder import ConverseDecoder
from aldgate.dialects.converse.errors import read_error


class Converse:
    """Implements `ports.UpstreamDialect`; see there. Model and streaming stand in the path, so bodies name neither."""

    name = "converse"
    stream_type = b"application/vnd.amazon.eventstream"
    operations: frozenset[Operation] = frozenset({"chat"})

    def outgoing(self, operation: Operation, peek: Peek, deployment: Deployment, *, cap: int | None) -> bytes:
        """Not asked for: there is no face of this dialect whose bytes could pass through."""
        raise InvalidRequest("Nothing passes through to Converse as it came.")

    def build(self, asked: Request, deployment: Deployment, *, stream: bool, warnings: list[str]) -> bytes:
        """The body of a translated request."""
        if not isinstance(asked, Conversation):
            raise InvalidRequest("Converse only answers conversations.")
        return build_body(asked, deployment.model, warnings)

    def read(self, operation: Operation, body: bytes) -> Result:
        """A whole reply."""
        if operation != "chat":
            raise UpstreamInvalid("Converse only answers conversations.")
        return read_answer(body)

    def decoder(self) -> ConverseDecoder:
        """For one streamed reply."""
        return ConverseDecoder()

    def read_error(self, status: int, body: bytes, retry_after_s: int | None) -> UpstreamError:
        """The error a reply brings."""
        return read_error(status, body, retry_after_s)
