"""OpenAI's Responses wire as a dialect: `/v1/responses`, spoken by Codex, the Agents SDK and the newest providers.

Wire: https://platform.openai.com/docs/api-reference/responses
"""

from __future__ import annotations

import msgspec

from aldgate.core.calls import Named, Peek
from aldgate.core.conversation import Answer, Conversation
from aldgate.core.errors import GatewayError, UpstreamError
from aldgate.core.operations import Request, Result
from aldgate.core.principals import Operation
from aldgate.core.routes import Deployment
from aldgate.dialects.openai import errors
from aldgate.dialects.responses import requests
from aldgate.dialects.responses.answers import read
from aldgate.dialects.responses.broken import LATE
from aldgate.dialects.responses.build import build
from aldgate.dialects.responses.decoder import ResponsesDecoder
from aldgate.dialects.responses.encoder import ResponsesEncoder
from aldgate.dialects.responses.errors import error_of
from aldgate.dialects.responses.parse import parse
from aldgate.dialects.responses.pen import DONE, Pen
from aldgate.dialects.responses.relay import ResponsesRelay
from aldgate.dialects.responses.written import Frame, items_of


class Responses:
    """Implements `ports.FaceDialect` and `ports.UpstreamDialect`."""

    name = "responses"
    stream_type = b"text/event-stream"
    operations: frozenset[Operation] = frozenset({"chat"})

    def peek(self, operation: Operation, body: bytes, named: Named | None = None) -> Peek:
        """See `ports.FaceDialect`; nothing stands outside the body."""
        return requests.peek(body)

    def parse(self, operation: Operation, peek: Peek) -> Request:
        """See `ports.FaceDialect`."""
        return parse(peek.body)

    def relay(self, call_id: str, operation: Operation, peek: Peek, upstream: object = None) -> ResponsesRelay:
        """See `ports.FaceDialect`."""
        return ResponsesRelay(call_id, peek)

    def encoder(self, call_id: str, peek: Peek, asked: Request) -> ResponsesEncoder:
        """See `ports.FaceDialect`."""
        return ResponsesEncoder(Frame(call_id, peek))

    def write(self, call_id: str, peek: Peek, asked: Request, result: Result) -> bytes:
        """See `ports.FaceDialect`."""
        assert isinstance(result, Answer)
        frame = Frame(call_id, peek)
        return msgspec.json.encode(frame.ended(result.finish, items_of(result, frame), result.usage))

    def error(self, error: GatewayError, call_id: str) -> tuple[int, list[tuple[bytes, bytes]], bytes]:
        """See `ports.FaceDialect`; before anything is said, errors are as everywhere in OpenAI's API."""
        return errors.answer(error, call_id)

    def failed(self, error: GatewayError, call_id: str) -> bytes:
        """See `ports.FaceDialect`: `response.failed` and not a bare `error`, for whose end Codex would wait."""
        frame = Frame(call_id, Peek(b"{}", ""))
        return Pen(LATE).lifecycle("failed", frame.failed(error_of(error))) + DONE

    def outgoing(
        self, operation: Operation, peek: Peek, deployment: Deployment, *, cap: int | None, warnings: list[str]
    ) -> bytes:
        """See `ports.UpstreamDialect`."""
        return requests.outgoing(peek, model=deployment.model, cap=None if cap == peek.cap else cap)

    def build(self, asked: Request, deployment: Deployment, *, stream: bool, warnings: list[str]) -> bytes:
        """See `ports.UpstreamDialect`."""
        assert isinstance(asked, Conversation)
        return msgspec.json.encode(build(asked, deployment.model, stream=stream, warnings=warnings))

    def read(self, operation: Operation, body: bytes) -> Result:
        """See `ports.UpstreamDialect`."""
        return read(body)

    def decoder(self) -> ResponsesDecoder:
        """See `ports.UpstreamDialect`."""
        return ResponsesDecoder()

    def read_error(self, status: int, body: bytes, retry_after_s: int | None) -> UpstreamError:
        """See `ports.UpstreamDialect`."""
        return errors.read_error(status, body, retry_after_s)


RESPONSES = Responses()
