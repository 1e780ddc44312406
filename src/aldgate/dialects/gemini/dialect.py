"""Gemini's dialect: `generateContent` and embeddings, as callers speak it and as providers do."""

from __future__ import annotations

import msgspec

from aldgate.core.calls import Named, Peek
from aldgate.core.conversation import Conversation
from aldgate.core.errors import GatewayError, InvalidRequest, UpstreamError
from aldgate.core.operations import Embeddings, EmbedRequest, Moderations, Ranking, Request, Result
from aldgate.core.principals import Operation
from aldgate.core.routes import Deployment
from aldgate.dialects.gemini import errors
from aldgate.dialects.gemini.answers import read_chat, write_chat
from aldgate.dialects.gemini.build import build_chat
from aldgate.dialects.gemini.decoder import Decoder
from aldgate.dialects.gemini.embeddings import build_embedding, parse_embedding, read_embeddings, write_embeddings
from aldgate.dialects.gemini.encoder import Encoder
from aldgate.dialects.gemini.frames import ArrayFrames, EventFrames, Frames
from aldgate.dialects.gemini.parse import parse_chat
from aldgate.dialects.gemini.relay import Relay
from aldgate.dialects.gemini.requests import is_batch, outgoing, peek

CHAT_AND_EMBED: frozenset[Operation] = frozenset({"chat", "embed"})


class Gemini:
    """Implements `ports.FaceDialect` and `ports.UpstreamDialect`; streams are server-sent events (`alt=sse`)."""

    name = "gemini"
    stream_type = b"text/event-stream"
    operations = CHAT_AND_EMBED

    # As callers speak it.

    def peek(self, operation: Operation, body: bytes, named: Named | None = None) -> Peek:
        """Read what the gate decides on; see `ports.FaceDialect`."""
        return peek(operation, body, named)

    def parse(self, operation: Operation, peek: Peek) -> Request:
        """Read all of the request; see `ports.FaceDialect`."""
        return parse_embedding(peek.body) if operation == "embed" else parse_chat(peek.body, model=peek.model)

    def relay(self, call_id: str, operation: Operation, peek: Peek, upstream: object = None) -> Relay:
        """For a provider of this dialect; see `ports.FaceDialect`."""
        return Relay(operation, self._frames())

    def encoder(self, call_id: str, peek: Peek, asked: Request) -> Encoder:
        """For a translated stream; see `ports.FaceDialect`."""
        return Encoder(self._frames(), call_id, peek.model)

    def write(self, call_id: str, peek: Peek, asked: Request, result: Result) -> bytes:
        """A translated whole answer; see `ports.FaceDialect`."""
        if isinstance(result, Ranking | Moderations):
            raise InvalidRequest("Gemini's dialect has neither rerank nor moderations.")
        if isinstance(result, Embeddings):
            return write_embeddings(result, is_batch=is_batch(peek.body))
        return write_chat(call_id, peek.model, result)

    def error(self, error: GatewayError, call_id: str) -> tuple[int, list[tuple[bytes, bytes]], bytes]:
        """The error as status, headers and body; see `ports.FaceDialect`."""
        return errors.render(error, call_id)

    def failed(self, error: GatewayError, call_id: str) -> bytes:
        """The last event of a stream that failed; see `ports.FaceDialect`."""
        return EventFrames().write(errors.body_of(error))

    def _frames(self) -> Frames:
        return EventFrames()

    # As providers speak it.

    def outgoing(
        self, operation: Operation, peek: Peek, deployment: Deployment, *, cap: int | None, warnings: list[str]
    ) -> bytes:
        """The caller's own bytes; see `ports.UpstreamDialect`."""
        return outgoing(operation, peek, model=deployment.model, cap=cap)

    def build(self, asked: Request, deployment: Deployment, *, stream: bool, warnings: list[str]) -> bytes:
        """The body of a translated request; see `ports.UpstreamDialect`."""
        match asked:
            case Conversation():
                return msgspec.json.encode(build_chat(asked, deployment.model, warnings))
            case EmbedRequest():
                return msgspec.json.encode(build_embedding(asked, deployment.model, warnings))
            case _:
                raise InvalidRequest("Gemini's dialect has no rerank.")

    def read(self, operation: Operation, body: bytes) -> Result:
        """A whole reply; see `ports.UpstreamDialect`."""
        return read_embeddings(body) if operation == "embed" else read_chat(body)

    def decoder(self) -> Decoder:
        """For one streamed reply; see `ports.UpstreamDialect`."""
        return Decoder()

    def read_error(self, status: int, body: bytes, retry_after_s: int | None) -> UpstreamError:
        """The error a provider answered with; see `ports.UpstreamDialect`."""
        return errors.read_error(status, body, retry_after_s)


class GeminiArray(Gemini):
    """The same for callers that do not ask for events: a stream is one JSON array that grows."""

    stream_type = b"application/json"

    def failed(self, error: GatewayError, call_id: str) -> bytes:
        """The array's last item and its end: without that it would not be JSON. Something was always said before."""
        return b",\r\n" + errors.body_of(error) + b"]"

    def _frames(self) -> Frames:
        return ArrayFrames()


GEMINI = Gemini()
GEMINI_ARRAY = GeminiArray()
