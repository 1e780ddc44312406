"""What `/api/chat` and `/api/generate` answer, a line of a stream or the whole: both are the same object."""

from __future__ import annotations

import secrets
from collections.abc import Callable

import msgspec

from aldgate.core.conversation import Finish
from aldgate.core.usage import Usage
from aldgate.dialects.openai.logprobs import Token

NewId = Callable[[], str]

_FINISHES: dict[str, Finish] = {"length": "length", "content_filter": "content_filter"}


class Called(msgspec.Struct):
    """A function and the arguments it is called with: an object, or its text where a server imitates OpenAI."""

    name: str
    arguments: msgspec.Raw = msgspec.Raw(b"{}")

    @property
    def text(self) -> str:
        """The arguments as JSON text."""
        raw = bytes(self.arguments)
        return msgspec.json.decode(raw, type=str) if raw.startswith(b'"') else raw.decode()


class Call(msgspec.Struct):
    """A tool call. Its own `index` is not read: servers give every call the first one."""

    function: Called
    id: str | None = None


class Said(msgspec.Struct):
    """More of the message, or all of it."""

    content: str | None = None
    thinking: str | None = None
    tool_calls: list[Call] | None = None


class Piece(msgspec.Struct):
    """A line of a stream, or a whole reply; `response` and `thinking` stand in the place of `message` in `/api/generate`."""

    model: str = ""
    message: Said | None = None
    response: str | None = None
    thinking: str | None = None
    done: bool = False
    done_reason: str | None = None
    logprobs: list[Token] | None = None
    prompt_eval_count: int | None = None
    eval_count: int | None = None

    @property
    def usage(self) -> Usage | None:
        """Tokens, once they are known; a prompt that is still in the server's memory is not counted by older ones."""
        if self.prompt_eval_count is None and self.eval_count is None:
            return None
        return Usage(max(0, self.prompt_eval_count or 0), max(0, self.eval_count or 0))

    @property
    def says_something(self) -> bool:
        """True if it carries output."""
        said = self.message
        return bool(self.response or self.thinking or (said and (said.content or said.thinking or said.tool_calls)))

    def finish(self, *, has_calls: bool) -> Finish:
        """Why it ended; servers say `stop` although tools were called."""
        finish = _FINISHES.get(self.done_reason or "", "stop")
        return "tool_calls" if has_calls and finish == "stop" else finish


read_piece = msgspec.json.Decoder(Piece).decode


def new_call_id() -> str:
    """An id for a call that came without one."""
    return "call_" + secrets.token_hex(12)
