"""The dialect of `/api/v1/generate`, as the DSP AI Gateway spoke it. No provider does, so every call is translated.

`{"text", "model", "usage"}` for an answer, `{"detail": "text"}` for an error.
"""

from __future__ import annotations

from typing import NoReturn

import msgspec

from aldgate.core.calls import Named, Peek
from aldgate.core.conversation import Answer, Conversation, Refusal, Text
from aldgate.core.errors import GatewayError, InvalidRequest
from aldgate.core.operations import Request, Result
from aldgate.core.principals import Operation
from aldgate.core.usage import Usage
from aldgate.dialects.openai.errors import headers_of
from aldgate.dialects.prompt import requests


class Prompt:
    """Implements `ports.FaceDialect`."""

    name = "prompt"
    stream_type = b"application/json"

    def peek(self, operation: Operation, body: bytes, named: Named | None = None) -> Peek:
        """See `ports.FaceDialect`; nothing stands outside the body."""
        return requests.peek(body)

    def parse(self, operation: Operation, peek: Peek) -> Conversation:
        """See `ports.FaceDialect`."""
        return requests.parse(peek.body)

    def relay(self, call_id: str, operation: Operation, peek: Peek, upstream: object = None) -> NoReturn:
        """No provider has this dialect's name."""
        raise InvalidRequest("Prompts are always translated.")

    def encoder(self, call_id: str, peek: Peek, asked: Request) -> NoReturn:
        """Answers to prompts come whole."""
        raise InvalidRequest("The answer to a prompt cannot be streamed.", param="stream")

    def write(self, call_id: str, peek: Peek, asked: Request, result: Result) -> bytes:
        """See `ports.FaceDialect`: the model is named as the caller named it."""
        assert isinstance(result, Answer)
        text = "".join(part.text for part in result.parts if isinstance(part, Text | Refusal))
        used = result.usage or Usage()
        usage = requests.PromptUsage(used.input_tokens, used.output_tokens, used.total_tokens)
        return msgspec.json.encode(requests.PromptReply(text, requests.read(peek.body).model or result.model, usage))

    def error(self, error: GatewayError, call_id: str) -> tuple[int, list[tuple[bytes, bytes]], bytes]:
        """See `ports.FaceDialect`."""
        body = self.failed(error, call_id)
        return error.status, headers_of(error, body, call_id), body

    def failed(self, error: GatewayError, call_id: str) -> bytes:
        """See `ports.FaceDialect`."""
        return msgspec.json.encode({"detail": error.message, "code": error.code})


PROMPT = Prompt()
