"""Ollama's own API as dialects: what callers send to `/api/chat` and its neighbours, and what Ollama servers speak.

Wire: https://docs.ollama.com/api
"""

from __future__ import annotations

import time

import msgspec

from aldgate.core.calls import Named, Peek
from aldgate.core.conversation import Answer, Conversation
from aldgate.core.errors import GatewayError, InvalidRequest, UpstreamError
from aldgate.core.operations import Embeddings, EmbedRequest, Request, Result
from aldgate.core.principals import Operation
from aldgate.core.routes import Deployment
from aldgate.dialects.ollama import errors, requests
from aldgate.dialects.ollama.answers import (
    done_reason,
    instant,
    message_of,
    read_chat,
    read_embeddings,
    timings,
    without_cut_calls,
)
from aldgate.dialects.ollama.build import build_chat, build_embed
from aldgate.dialects.ollama.decoder import ChatDecoder
from aldgate.dialects.ollama.encoder import ChatEncoder, GenerateEncoder, Now
from aldgate.dialects.ollama.parse import Object, parse_chat, parse_embed, parse_embeddings, parse_generate
from aldgate.dialects.ollama.relay import PassThrough
from aldgate.dialects.openai.logprobs import content_of


class Ollama:
    """Implements `ports.FaceDialect` and `ports.UpstreamDialect` for `/api/chat` and `/api/embed`.

    Args:
        num_ctx: Tokens of context that translated chats ask for; None leaves it to the server.
        now_ns: Unix nanoseconds.
    """

    name = "ollama"
    stream_type = b"application/x-ndjson"
    operations: frozenset[Operation] = frozenset({"chat", "embed"})

    def __init__(self, num_ctx: int | None = None, now_ns: Now = time.time_ns) -> None:
        self._num_ctx = num_ctx
        self._now_ns = now_ns

    def peek(self, operation: Operation, body: bytes, named: Named | None = None) -> Peek:
        """See `ports.FaceDialect`; nothing stands outside the body."""
        return requests.peek_embed(body) if operation == "embed" else requests.peek_chat(body)

    def parse(self, operation: Operation, peek: Peek) -> Request:
        """See `ports.FaceDialect`."""
        return parse_embed(peek.body) if operation == "embed" else parse_chat(peek.body)

    def relay(self, call_id: str, operation: Operation, peek: Peek, upstream: object = None) -> PassThrough:
        """See `ports.FaceDialect`."""
        return PassThrough()

    def encoder(self, call_id: str, peek: Peek, asked: Request) -> ChatEncoder:
        """See `ports.FaceDialect`."""
        return ChatEncoder(peek.model, self._now_ns)

    def write(self, call_id: str, peek: Peek, asked: Request, result: Result) -> bytes:
        """See `ports.FaceDialect`."""
        if isinstance(result, Embeddings):
            return self._write_embeddings(peek, result)
        assert isinstance(result, Answer)
        now_ns = self._now_ns()
        answer = without_cut_calls(result)
        body: Object = {"model": peek.model, "created_at": instant(now_ns), **self._said(answer), "done": True}
        if answer.logprobs:
            body["logprobs"] = content_of(answer.logprobs)
        body |= {"done_reason": done_reason(answer.finish), **timings(answer.usage, now_ns, now_ns, now_ns)}
        return msgspec.json.encode(body)

    def _said(self, answer: Answer) -> Object:
        return {"message": message_of(answer.parts)}

    def _write_embeddings(self, peek: Peek, result: Embeddings) -> bytes:
        counted = result.usage.input_tokens if result.usage else 0
        body: Object = {"model": peek.model, "embeddings": result.vectors, "total_duration": 0, "load_duration": 0}
        return msgspec.json.encode({**body, "prompt_eval_count": counted})

    def error(self, error: GatewayError, call_id: str) -> tuple[int, list[tuple[bytes, bytes]], bytes]:
        """See `ports.FaceDialect`."""
        return errors.answer(error, call_id)

    def failed(self, error: GatewayError, call_id: str) -> bytes:
        """See `ports.FaceDialect`: a line with `error` alone, on which the clients raise."""
        return errors.render(error) + b"\n"

    def outgoing(
        self, operation: Operation, peek: Peek, deployment: Deployment, *, cap: int | None, warnings: list[str]
    ) -> bytes:
        """See `ports.UpstreamDialect`."""
        return requests.outgoing(peek, model=deployment.model, cap=cap)

    def build(self, asked: Request, deployment: Deployment, *, stream: bool, warnings: list[str]) -> bytes:
        """See `ports.UpstreamDialect`."""
        if isinstance(asked, EmbedRequest):
            return msgspec.json.encode(build_embed(asked, deployment.model, warnings))
        assert isinstance(asked, Conversation)
        body = build_chat(asked, deployment.model, stream=stream, num_ctx=self._num_ctx, warnings=warnings)
        return msgspec.json.encode(body)

    def read(self, operation: Operation, body: bytes) -> Result:
        """See `ports.UpstreamDialect`."""
        return read_embeddings(body) if operation == "embed" else read_chat(body)

    def decoder(self) -> ChatDecoder:
        """See `ports.UpstreamDialect`."""
        return ChatDecoder()

    def read_error(self, status: int, body: bytes, retry_after_s: int | None) -> UpstreamError:
        """See `ports.UpstreamDialect`."""
        return errors.read_error(status, body, retry_after_s)


class OllamaGenerate(Ollama):
    """The face of `/api/generate`, a chat of one message. No provider has its name, so it is always translated."""

    name = "ollama-generate"

    def parse(self, operation: Operation, peek: Peek) -> Request:
        """See `ports.FaceDialect`."""
        return parse_generate(peek.body)

    def encoder(self, call_id: str, peek: Peek, asked: Request) -> ChatEncoder:
        """See `ports.FaceDialect`."""
        return GenerateEncoder(peek.model, self._now_ns)

    def _said(self, answer: Answer) -> Object:
        message = message_of(answer.parts)
        del message["role"]
        return {"response": message.pop("content"), **message}


class OllamaEmbeddings(Ollama):
    """The face of `/api/embeddings`, the older form for a single text, always translated."""

    name = "ollama-embeddings"

    def parse(self, operation: Operation, peek: Peek) -> Request:
        """See `ports.FaceDialect`."""
        if operation != "embed":
            raise InvalidRequest(f"`{peek.model}` cannot {operation} here.", param="model")
        return parse_embeddings(peek.body)

    def _write_embeddings(self, peek: Peek, result: Embeddings) -> bytes:
        return msgspec.json.encode({"embedding": result.vectors[0]})


OLLAMA = Ollama()
"""As callers speak it."""
GENERATE = OllamaGenerate()
EMBEDDINGS = OllamaEmbeddings()
