"""Reads of a request to Ollama what the gate decides on, and prepares the bytes that go on to a server of the same dialect.

Wire: https://docs.ollama.com/api
"""

from __future__ import annotations

from typing import Annotated, Any, TypeVar

import msgspec

from aldgate.core.calls import Peek
from aldgate.dialects.governed import rewritten, with_members, with_model
from aldgate.dialects.reading import read_body

Name = Annotated[str, msgspec.Meta(min_length=1)]
Seen = TypeVar("Seen", bound=msgspec.Struct)

_GOVERNED = (b'"model"', b'"stream"', b'"options"', b'"num_predict"')
_LATEST = ":latest"


class _Options(msgspec.Struct):
    num_predict: int | None = None


class _Message(msgspec.Struct):
    images: list[Any] | None = None


class ChatPeek(msgspec.Struct):
    """Of `/api/chat` and `/api/generate`: an answer is streamed unless the caller says no."""

    model: Name
    stream: bool | None = None
    options: _Options | None = None
    messages: list[_Message] = []
    images: list[Any] | None = None

    def count_images(self) -> int:
        """Pictures in the messages, or beside the prompt."""
        return sum(len(each.images or ()) for each in (*self.messages, _Message(self.images)))


class _EmbedPeek(msgspec.Struct):
    model: Name


class _Whole(msgspec.Struct):
    options: dict[str, Any] | None = None


_chat = msgspec.json.Decoder(ChatPeek)
_embed = msgspec.json.Decoder(_EmbedPeek)
_whole = msgspec.json.Decoder(_Whole)


def peek_chat(body: bytes) -> Peek:
    """Read the governed fields of the body of `POST /api/chat` or `/api/generate`.

    Raises:
        InvalidRequest: Not JSON, not UTF-8, nested too deep, a field of a wrong type or value, an ambiguous key.
    """
    body, seen = _decoded(body, _chat)
    cap = seen.options.num_predict if seen.options is not None else None
    bounded = cap if cap is not None and cap > 0 else None  # -1 is without end, -2 until the context is full
    return Peek(body=body, model=bare(seen.model), stream=seen.stream is not False, cap=bounded, images=seen.count_images())


def peek_embed(body: bytes) -> Peek:
    """The same of `POST /api/embed` and `/api/embeddings`."""
    body, seen = _decoded(body, _embed)
    return Peek(body=body, model=bare(seen.model))


def bare(model: str) -> str:
    """The name without the tag that Ollama takes for granted (https://docs.ollama.com/api#model-names)."""
    return model.removesuffix(_LATEST) or model


def _decoded(body: bytes, decoder: msgspec.json.Decoder[Seen]) -> tuple[bytes, Seen]:
    return read_body(body, _GOVERNED, lambda body: (body, decoder.decode(body)), _rewritten)


def _rewritten(body: bytes, governed: tuple[bytes, ...]) -> bytes:
    """Write `options` anew too: a bound that stands there twice must not be read twice."""
    body = rewritten(body, governed)
    options = _whole.decode(body).options
    return body if options is None else with_members(body, {"options": options})


def outgoing(seen: Peek, *, model: str, cap: int | None) -> bytes:
    """The bytes for a server of the same dialect: the model's name swapped, the bound on output put in where it must be."""
    body = with_model(seen.body, model)
    if cap is None or cap == seen.cap:
        return body
    return with_members(body, {"options": {**(_whole.decode(body).options or {}), "num_predict": cap}})
