"""Reranking as dialects: what callers send to `/v1/rerank` and `/v2/rerank`, and what servers of Jina's shape speak.

They have names of their own, so that every call is translated: callers read items under two names that no server sends both.
"""

from __future__ import annotations

from typing import NoReturn

import msgspec

from aldgate.core.calls import Named, Peek
from aldgate.core.errors import GatewayError, InvalidRequest, UpstreamError
from aldgate.core.operations import Ranking, Request, RerankRequest, Result
from aldgate.core.principals import Operation
from aldgate.core.routes import Deployment
from aldgate.dialects.openai import errors
from aldgate.dialects.rerank import answers, requests


class Rerank:
    """Implements `ports.FaceDialect`.

    Args:
        returns_documents: Whether results repeat their texts when the caller does not say.
    """

    name = "rerank"
    stream_type = b"application/json"

    def __init__(self, *, returns_documents: bool) -> None:
        self._returns_documents = returns_documents

    def peek(self, operation: Operation, body: bytes, named: Named | None = None) -> Peek:
        """See `ports.FaceDialect`; nothing stands outside the body."""
        return requests.peek(body)

    def parse(self, operation: Operation, peek: Peek) -> RerankRequest:
        """See `ports.FaceDialect`."""
        return requests.parse(peek.body, returns_documents=self._returns_documents)

    def relay(self, call_id: str, operation: Operation, peek: Peek, upstream: object = None) -> NoReturn:
        """No provider has this dialect's name."""
        raise InvalidRequest("Rankings are always translated.")

    def encoder(self, call_id: str, peek: Peek, asked: Request) -> NoReturn:
        """Rankings come whole."""
        raise InvalidRequest("A ranking cannot be streamed.", param="stream")

    def write(self, call_id: str, peek: Peek, asked: Request, result: Result) -> bytes:
        """See `ports.FaceDialect`."""
        assert isinstance(asked, RerankRequest) and isinstance(result, Ranking)
        return answers.write(call_id, peek.model or result.model, asked, result)

    def error(self, error: GatewayError, call_id: str) -> tuple[int, list[tuple[bytes, bytes]], bytes]:
        """See `ports.FaceDialect`: Cohere's and Jina's clients read `message`, others `error`."""
        body = answers.write_error(error)
        return error.status, errors.headers_of(error, body, call_id), body

    def failed(self, error: GatewayError, call_id: str) -> bytes:
        """See `ports.FaceDialect`."""
        return answers.write_error(error)


class Jina:
    """Implements `ports.UpstreamDialect` for `/v1/rerank` of Jina, Together, vLLM, llama.cpp and the builtin engine."""

    name = "jina"
    stream_type = b"application/json"
    operations: frozenset[Operation] = frozenset({"rerank"})

    def outgoing(
        self, operation: Operation, peek: Peek, deployment: Deployment, *, cap: int | None, warnings: list[str]
    ) -> NoReturn:
        """No caller's dialect has this name."""
        raise InvalidRequest(f"`{deployment.id}` cannot be called so.", param="model")

    def build(self, asked: Request, deployment: Deployment, *, stream: bool, warnings: list[str]) -> bytes:
        """See `ports.UpstreamDialect`."""
        assert isinstance(asked, RerankRequest)
        return msgspec.json.encode(requests.build(asked, deployment.model, warnings))

    def read(self, operation: Operation, body: bytes) -> Ranking:
        """See `ports.UpstreamDialect`."""
        return answers.read(body)

    def decoder(self) -> NoReturn:
        """Rankings come whole."""
        raise InvalidRequest("A ranking cannot be streamed.", param="stream")

    def read_error(self, status: int, body: bytes, retry_after_s: int | None) -> UpstreamError:
        """See `ports.UpstreamDialect`."""
        return errors.read_error(status, body, retry_after_s)


RERANK = Rerank(returns_documents=True)
RERANK_V2 = Rerank(returns_documents=False)
"""Cohere's second version repeats no texts unless it is told to."""
JINA = Jina()
