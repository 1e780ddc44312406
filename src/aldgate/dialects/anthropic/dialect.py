"""Anthropic's Messages API, as callers speak it and as providers do."""

from __future__ import annotations

import msgspec

from aldgate.core.calls import Named, Peek
from aldgate.core.conversation import Answer, Conversation
from aldgate.core.errors import GatewayError, InvalidRequest, UpstreamError
from aldgate.core.operations import Request, Result
from aldgate.core.principals import Operation
from aldgate.core.routes import Deployment
from aldgate.dialects.anthropic import answers, errors, requests
from aldgate.dialects.anthropic.build import build
from aldgate.dialects.anthropic.carried import ORIGIN, without_foreign
from aldgate.dialects.anthropic.count import estimate
from aldgate.dialects.anthropic.decoder import MessagesDecoder
from aldgate.dialects.anthropic.encoder import MessagesEncoder
from aldgate.dialects.anthropic.parse import parse
from aldgate.dialects.anthropic.relay import MessagesRelay


class AnthropicDialect:
    """Implements `ports.FaceDialect` and `ports.UpstreamDialect`; see there."""

    name = ORIGIN
    stream_type = b"text/event-stream"
    operations: frozenset[Operation] = frozenset({"chat"})

    def peek(self, operation: Operation, body: bytes, named: Named | None = None) -> Peek:
        """The governed fields; headers that go on are in `named`."""
        return requests.peek(body, named)

    def parse(self, operation: Operation, peek: Peek) -> Request:
        """The whole request."""
        return parse(peek)

    def relay(self, call_id: str, operation: Operation, peek: Peek, upstream: object = None) -> MessagesRelay:
        """For a reply of this dialect."""
        return MessagesRelay()

    def encoder(self, call_id: str, peek: Peek, asked: Request) -> MessagesEncoder:
        """For a translated stream."""
        return MessagesEncoder(call_id, peek.model, _chat(asked), estimate(peek.body))

    def write(self, call_id: str, peek: Peek, asked: Request, result: Result) -> bytes:
        """A translated answer."""
        assert isinstance(result, Answer)
        return answers.write(call_id, peek.model, _chat(asked), result)

    def error(self, error: GatewayError, call_id: str) -> tuple[int, list[tuple[bytes, bytes]], bytes]:
        """An error instead of an answer."""
        return errors.answer(error, call_id)

    def failed(self, error: GatewayError, call_id: str) -> bytes:
        """The `error` event, after which no `message_stop` comes."""
        return b"event: error\ndata: %b\n\n" % errors.render(error, call_id)

    def outgoing(
        self, operation: Operation, peek: Peek, deployment: Deployment, *, cap: int | None, warnings: list[str]
    ) -> bytes:
        """The caller's bytes, without thoughts that a model of another provider had."""
        return without_foreign(requests.outgoing(peek, model=deployment.model, cap=cap))

    def build(self, asked: Request, deployment: Deployment, *, stream: bool, warnings: list[str]) -> bytes:
        """A request of another dialect's caller."""
        return msgspec.json.encode(build(_chat(asked), deployment, stream=stream, warnings=warnings))

    def read(self, operation: Operation, body: bytes) -> Result:
        """A whole reply."""
        return answers.read(body)

    def decoder(self) -> MessagesDecoder:
        """For a streamed reply."""
        return MessagesDecoder()

    def read_error(self, status: int, body: bytes, retry_after_s: int | None) -> UpstreamError:
        """An error instead of a reply."""
        return errors.read_error(status, body, retry_after_s)


def _chat(asked: Request) -> Conversation:
    if not isinstance(asked, Conversation):
        raise InvalidRequest("The Messages API is for conversations only.", param="model")
    return asked


ANTHROPIC = AnthropicDialect()
