"""`builtin/echo`: answers a chat with its last user message and a prompt with itself, without any model."""

import time
from collections.abc import Callable
from typing import Annotated

import msgspec
from msgspec import Meta, Struct

from aldgate.core.calls import Attempt
from aldgate.core.errors import InvalidRequest
from aldgate.dialects.openai.types import ChatRequest, CompletionRequest
from aldgate.engines.builtin.chat_answer import answer_chat
from aldgate.engines.builtin.chat_reply import ChatReply
from aldgate.engines.builtin.completion_reply import CompletionReply, answer_completion
from aldgate.engines.builtin.pause import Later, Pause, call_later
from aldgate.engines.builtin.reply import EVENTS, JSON, Reply
from aldgate.engines.builtin.request import decode

_chat = msgspec.json.Decoder(ChatRequest)
_completion = msgspec.json.Decoder(CompletionRequest)


MOST_BYTES = 67_108_864
"""The most a reply may say, over all its choices."""


class EchoOptions(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How fast the echo is, so that it can stand in for a model in a load test. Milliseconds; 0 is at once."""

    first_byte_ms: Annotated[float, Meta(ge=0)] = 0
    """Until the reply's head."""
    per_token_ms: Annotated[float, Meta(ge=0)] = 0
    """For each word after that; a reply that is not streamed comes when all its words are done."""


class Echo:
    """The echo.

    Args:
        options: Its pace.
        now: Unix seconds.
        later: Where waiting comes from.
    """

    def __init__(self, options: EchoOptions, *, now: Callable[[], float] = time.time, later: Later = call_later) -> None:
        self._first_byte_s = options.first_byte_ms / 1000
        self._word_s = options.per_token_ms / 1000
        self._now = now
        self._later = later

    async def start(self, attempt: Attempt) -> Reply:
        """Answer a chat or a completion.

        Raises:
            InvalidRequest: The body is not such a request.
        """
        reply, include_usage = self._complete(attempt) if attempt.operation == "complete" else self._chat(attempt)
        if self._first_byte_s:
            await Pause(self._later).wait(self._first_byte_s)
        pieces = reply.stream(include_usage) if attempt.stream else reply.whole()
        return Reply(pieces, EVENTS if attempt.stream else JSON, self._word_s, self._later)

    def _chat(self, attempt: Attempt) -> tuple[ChatReply, bool]:
        request = decode(_chat, attempt.body)
        include_usage = _include_usage(request, attempt.stream)
        if len(attempt.body) * (request.n or 1) > MOST_BYTES:
            raise InvalidRequest(f"So many choices of so long a text are over {MOST_BYTES} bytes.", param="n")
        return ChatReply(*self._head(attempt), answer_chat(request), request.n or 1), include_usage

    def _complete(self, attempt: Attempt) -> tuple[CompletionReply, bool]:
        request = decode(_completion, attempt.body)
        if len(attempt.body) * (request.n or 1) > MOST_BYTES:
            raise InvalidRequest(f"So many choices of so long a text are over {MOST_BYTES} bytes.", param="n")
        include_usage = _include_usage(request, attempt.stream)
        return CompletionReply(*self._head(attempt), *answer_completion(request)), include_usage

    def _head(self, attempt: Attempt) -> tuple[str, int, str]:
        return attempt.call_id.removeprefix("req-"), int(self._now()), attempt.deployment.id


def _include_usage(request: ChatRequest | CompletionRequest, stream: bool) -> bool:
    if request.stream_options and not stream:
        raise InvalidRequest("`stream_options` is only allowed with `stream: true`.", param="stream_options")
    return bool(request.stream_options and request.stream_options.include_usage)
