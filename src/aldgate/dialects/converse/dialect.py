"""Amazon Bedrock's Converse, as the provider speaks it; no caller does. Embedding models are invoked in their own words.

https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_Converse.html
"""

from __future__ import annotations

from aldgate.core.calls import Peek
from aldgate.core.conversation import Conversation
from aldgate.core.errors import InvalidRequest, UpstreamError
from aldgate.core.operations import EmbedRequest, Request, Result
from aldgate.core.principals import Operation
from aldgate.core.routes import Deployment
from aldgate.dialects.converse import errors
from aldgate.dialects.converse.answers import read_answer
from aldgate.dialects.converse.build import build_body
from aldgate.dialects.converse.decoder import ConverseDecoder
from aldgate.dialects.converse.embeddings import build_embedding, read_embedding


class Converse:
    """Implements `ports.UpstreamDialect`; see there. Model and streaming stand in the path, so bodies name neither."""

    name = "converse"
    stream_type = b"application/vnd.amazon.eventstream"
    operations: frozenset[Operation] = frozenset({"chat", "embed"})

    def outgoing(
        self, operation: Operation, peek: Peek, deployment: Deployment, *, cap: int | None, warnings: list[str]
    ) -> bytes:
        """There is no face of this dialect, so no bytes of a caller's could pass through."""
        raise InvalidRequest("Nothing passes through to Converse as it came.")

    def build(self, asked: Request, deployment: Deployment, *, stream: bool, warnings: list[str]) -> bytes:
        """The body of a translated request."""
        if isinstance(asked, Conversation):
            return build_body(asked, deployment.model, warnings)
        if isinstance(asked, EmbedRequest):
            return build_embedding(asked, deployment.model, warnings)
        raise InvalidRequest(f"`{deployment.model}` answers conversations or embeds texts.", param="model")

    def read(self, operation: Operation, body: bytes) -> Result:
        """A whole reply."""
        return read_answer(body) if operation == "chat" else read_embedding(body)

    def decoder(self) -> ConverseDecoder:
        """For one streamed reply."""
        return ConverseDecoder()

    def read_error(self, status: int, body: bytes, retry_after_s: int | None) -> UpstreamError:
        """The error a reply brings. Its kind, which Bedrock says in a header, is expected as `__type` in the body."""
        return errors.read_error(status, body, retry_after_s)
