"""OpenAI's wire as a dialect: what callers send to `/v1/chat/completions` and its neighbours, and what most providers speak.

Wire: https://platform.openai.com/docs/api-reference
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache, partial
from typing import Literal

import msgspec

from aldgate.core.calls import Named, Peek
from aldgate.core.conversation import Answer, Conversation
from aldgate.core.errors import GatewayError, InvalidRequest, UpstreamError
from aldgate.core.operations import (
    CompletionRequest,
    Embeddings,
    EmbedRequest,
    ModerationRequest,
    Moderations,
    Request,
    Result,
)
from aldgate.core.principals import Operation
from aldgate.core.routes import Deployment
from aldgate.dialects.openai import errors, requests
from aldgate.dialects.openai.answers import read_chat, read_embeddings, write_chat, write_embeddings
from aldgate.dialects.openai.build import build_chat, build_embedding
from aldgate.dialects.openai.decoder import ChatDecoder
from aldgate.dialects.openai.encoder import ChatEncoder
from aldgate.dialects.openai.parse import parse_chat, parse_embedding
from aldgate.dialects.openai.prompts import (
    CompletionEncoder,
    build_completion,
    build_moderation,
    parse_completion,
    parse_moderation,
    read_completion,
    read_moderations,
    write_completion,
)
from aldgate.dialects.openai.quirks import Marked, Quirk, marked, mended
from aldgate.dialects.openai.reworded import Reworded
from aldgate.dialects.openai.usage import PassThrough


class OpenAI:
    """Implements `ports.FaceDialect` and `ports.UpstreamDialect`.

    Args:
        cap_field: Body field that bounds a chat's output at the provider.
        stream_usage: Whether a stream's usage must be asked for there.
        quirks: What the provider wants otherwise in a chat.
        tells_bill: Its replies say which model answered and what that cost.
        has_own_words: Its replies use words that are not OpenAI's; callers of this dialect get OpenAI's.
    """

    name = "openai"
    stream_type = b"text/event-stream"
    operations: frozenset[Operation] = frozenset({"chat", "complete", "embed", "moderate"})

    def __init__(
        self,
        cap_field: Literal["max_tokens", "max_completion_tokens"] = "max_tokens",
        stream_usage: Literal["asked", "always"] = "asked",
        quirks: tuple[Quirk, ...] = (),
        *,
        tells_bill: bool = False,
        has_own_words: bool = False,
    ) -> None:
        self._cap_field = cap_field
        self._asks_usage = stream_usage == "asked"
        self._tells_bill = tells_bill
        self._relay = Reworded if has_own_words else PassThrough
        self._quirks: Callable[[str], Marked] = lru_cache(maxsize=1024)(partial(marked, quirks))

    def peek(self, operation: Operation, body: bytes, named: Named | None = None) -> Peek:
        """See `ports.FaceDialect`; nothing stands outside the body."""
        return requests.peek(operation, body)

    def parse(self, operation: Operation, peek: Peek) -> Request:
        """See `ports.FaceDialect`."""
        if operation == "chat":
            return parse_chat(peek.body)
        if operation == "embed":
            return parse_embedding(peek.body)
        if operation == "complete":
            return parse_completion(peek.body)
        if operation == "moderate":
            return parse_moderation(peek.body)
        raise InvalidRequest(f"`{peek.model}` cannot {operation} for callers of OpenAI's API.", param="model")

    def relay(self, call_id: str, operation: Operation, peek: Peek, upstream: object = None) -> PassThrough:
        """See `ports.FaceDialect`."""
        speaker = upstream if isinstance(upstream, OpenAI) else self
        return speaker._relay(wants_usage=peek.wants_usage, tells_bill=speaker._tells_bill)

    def encoder(self, call_id: str, peek: Peek, asked: Request) -> ChatEncoder | CompletionEncoder:
        """See `ports.FaceDialect`."""
        if isinstance(asked, CompletionRequest):
            return CompletionEncoder(call_id, peek.model, wants_usage=peek.wants_usage)
        return ChatEncoder(call_id, peek.model, wants_usage=peek.wants_usage)

    def write(self, call_id: str, peek: Peek, asked: Request, result: Result) -> bytes:
        """See `ports.FaceDialect`."""
        if isinstance(result, Answer) and isinstance(asked, CompletionRequest):
            return write_completion(call_id, peek.model, result)
        if isinstance(result, Moderations):
            return msgspec.json.encode(result.raw)
        if isinstance(result, Answer):
            return write_chat(call_id, peek.model, result)
        assert isinstance(result, Embeddings) and isinstance(asked, EmbedRequest)
        return write_embeddings(peek.model, result, as_base64=asked.as_base64)

    def error(self, error: GatewayError, call_id: str) -> tuple[int, list[tuple[bytes, bytes]], bytes]:
        """See `ports.FaceDialect`."""
        return errors.answer(error, call_id)

    def failed(self, error: GatewayError, call_id: str) -> bytes:
        """See `ports.FaceDialect`: the SDKs raise on a top-level `error`; no `[DONE]` follows."""
        return b"data: " + errors.render(error) + b"\n\n"

    def outgoing(
        self, operation: Operation, peek: Peek, deployment: Deployment, *, cap: int | None, warnings: list[str]
    ) -> bytes:
        """See `ports.UpstreamDialect`."""
        field = self._cap_field if operation == "chat" else "max_tokens"
        if cap is not None and cap == peek.cap and peek.cap_field in (None, "max_tokens", field):
            cap = None  # the caller said it, and in a word that the provider knows: all know `max_tokens`
        body = requests.outgoing(peek, model=deployment.model, cap_field=field, cap=cap, ask_usage=self._asks_usage)
        quirks = self._quirks(deployment.model)
        return mended(body, quirks, warnings) if quirks and operation == "chat" else body

    def build(self, asked: Request, deployment: Deployment, *, stream: bool, warnings: list[str]) -> bytes:
        """See `ports.UpstreamDialect`."""
        if isinstance(asked, EmbedRequest):
            return msgspec.json.encode(build_embedding(asked, deployment.model, warnings))
        if isinstance(asked, CompletionRequest):
            return msgspec.json.encode(build_completion(asked, deployment.model, stream=stream))
        if isinstance(asked, ModerationRequest):
            return msgspec.json.encode(build_moderation(asked, deployment.model))
        assert isinstance(asked, Conversation)
        body = build_chat(asked, deployment.model, stream=stream, cap_field=self._cap_field, warnings=warnings)
        return mended(msgspec.json.encode(body), self._quirks(deployment.model), warnings)

    def read(self, operation: Operation, body: bytes) -> Result:
        """See `ports.UpstreamDialect`."""
        if operation == "complete":
            return read_completion(body)
        if operation == "moderate":
            return read_moderations(body)
        return read_chat(body, tells_bill=self._tells_bill) if operation == "chat" else read_embeddings(body)

    def decoder(self) -> ChatDecoder:
        """See `ports.UpstreamDialect`."""
        return ChatDecoder(tells_bill=self._tells_bill)

    def read_error(self, status: int, body: bytes, retry_after_s: int | None) -> UpstreamError:
        """See `ports.UpstreamDialect`."""
        return errors.read_error(status, body, retry_after_s)


OPENAI = OpenAI()
"""As callers speak it."""
