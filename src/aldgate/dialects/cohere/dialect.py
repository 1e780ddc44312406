"""Cohere's v2 API, which providers speak and no caller here (https://docs.cohere.com/reference)."""

from __future__ import annotations

import msgspec

from aldgate.core.calls import Peek
from aldgate.core.conversation import Conversation
from aldgate.core.errors import InvalidRequest, UpstreamError
from aldgate.core.operations import EmbedRequest, Request, RerankRequest, Result
from aldgate.core.principals import Operation
from aldgate.core.routes import Deployment
from aldgate.dialects.cohere.answers import read_chat, read_embeddings, read_ranking
from aldgate.dialects.cohere.build import build_chat, build_embed, build_rerank
from aldgate.dialects.cohere.decoder import ChatDecoder
from aldgate.dialects.cohere.errors import read_error


class Cohere:
    """Implements `ports.UpstreamDialect`."""

    name = "cohere"
    stream_type = b"text/event-stream"
    operations: frozenset[Operation] = frozenset({"chat", "embed", "rerank"})

    def outgoing(
        self, operation: Operation, peek: Peek, deployment: Deployment, *, cap: int | None, warnings: list[str]
    ) -> bytes:
        """No caller speaks Cohere's dialect."""
        raise InvalidRequest(f"`{deployment.id}` cannot be called so.", param="model")

    def build(self, asked: Request, deployment: Deployment, *, stream: bool, warnings: list[str]) -> bytes:
        """See `ports.UpstreamDialect`."""
        match asked:
            case Conversation():
                body = build_chat(asked, deployment.model, stream=stream, warnings=warnings)
            case EmbedRequest():
                body = build_embed(asked, deployment.model, warnings)
            case RerankRequest():
                body = build_rerank(asked, deployment.model, warnings)
            case _:
                raise InvalidRequest(f"`{deployment.id}` does nothing of this kind.", param="model")
        return msgspec.json.encode(body)

    def read(self, operation: Operation, body: bytes) -> Result:
        """See `ports.UpstreamDialect`."""
        readers = {"chat": read_chat, "embed": read_embeddings, "rerank": read_ranking}
        return readers[operation](body)

    def decoder(self) -> ChatDecoder:
        """See `ports.UpstreamDialect`."""
        return ChatDecoder()

    def read_error(self, status: int, body: bytes, retry_after_s: int | None) -> UpstreamError:
        """See `ports.UpstreamDialect`."""
        return read_error(status, body, retry_after_s)
