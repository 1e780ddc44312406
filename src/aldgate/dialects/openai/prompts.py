"""What only OpenAI's wire has, in neutral words and back: legacy completions and moderations.

They reach no provider of another wire; they are read only where somebody has to see their texts.
Shapes: https://platform.openai.com/docs/api-reference/completions and /moderations.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any, cast

import msgspec

from aldgate.core.conversation import Answer, Finish, Text
from aldgate.core.errors import InvalidRequest, UpstreamError, UpstreamInvalid
from aldgate.core.events import Event, Finished, TextDelta, UsageReported
from aldgate.core.operations import CompletionRequest, ModerationRequest, Moderations
from aldgate.core.usage import Usage
from aldgate.dialects.openai import types
from aldgate.dialects.openai.answers import usage_of
from aldgate.dialects.openai.encoder import DONE
from aldgate.dialects.openai.errors import ErrorBody, error_in_reply
from aldgate.dialects.openai.finish import FAILURES, finish_of
from aldgate.dialects.openai.parse import ORIGIN, decode
from aldgate.dialects.openai.usage import UsageBody

Object = dict[str, Any]

_ONE_CHOICE = ("n", "best_of")
_OWN = frozenset({"model", "prompt", "suffix", "max_tokens", "stream", "stream_options", "echo", "logprobs", *_ONE_CHOICE})


class _Choice(msgspec.Struct):
    text: str = ""
    finish_reason: str | None = None


class _Completion(msgspec.Struct):
    choices: list[_Choice] = []
    usage: UsageBody | None = None
    error: ErrorBody | str | None = None
    id: str | None = None
    model: str | None = None


class _Fault(msgspec.Struct):
    error: ErrorBody | str | None = None


_completion = msgspec.json.Decoder(_Completion)
_fault = msgspec.json.Decoder(_Fault)


def parse_completion(body: bytes) -> CompletionRequest:
    """Body of `POST /v1/completions`: one prompt as text, and one answer to it.

    Raises:
        InvalidRequest: A field is wrong, or asks for more than one answer, for the prompt again or for probabilities.
    """
    asked = decode(body, types.CompletionRequest)
    prompt = asked.prompt[0] if isinstance(asked.prompt, list) and len(asked.prompt) == 1 else asked.prompt
    if not isinstance(prompt, str):
        raise InvalidRequest("`prompt` must be one text: token ids and several prompts cannot be read here.", param="prompt")
    for name in _ONE_CHOICE:
        if (getattr(asked, name) or 1) > 1:
            raise InvalidRequest(f"`{name}` must be 1: one answer can be read here.", param=name)
    if asked.echo or asked.logprobs is not None:
        raise InvalidRequest("`echo` and `logprobs` cannot be had here.", param="echo" if asked.echo else "logprobs")
    given = cast(Object, msgspec.json.decode(body))
    others = {name: value for name, value in given.items() if name not in _OWN and value is not None}
    return CompletionRequest(ORIGIN, prompt, asked.suffix, asked.max_tokens, others)


def build_completion(asked: CompletionRequest, model: str, *, stream: bool) -> Object:
    """The body again."""
    body: Object = {**asked.others, "model": model, "prompt": asked.prompt}
    if asked.suffix is not None:
        body["suffix"] = asked.suffix
    if asked.max_output_tokens is not None:
        body["max_tokens"] = asked.max_output_tokens
    if stream:
        body |= {"stream": True, "stream_options": {"include_usage": True}}
    return body


def read_completion(body: bytes) -> Answer:
    """A whole completion.

    Raises:
        UpstreamError: It is none, or an error in the dress of one.
    """
    try:
        reply = _completion.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise UpstreamInvalid(f"The provider's reply is not what was asked for: {error}.") from None
    if reply.error is not None:
        raise error_in_reply(reply.error)
    if not reply.choices:
        raise UpstreamInvalid("The provider's reply holds no choice.")
    choice = reply.choices[0]
    if choice.finish_reason in FAILURES:
        raise UpstreamError("The provider gave up in the middle of its answer.")
    finish = finish_of(choice.finish_reason, has_calls=False)
    return Answer([Text(choice.text)], finish, reply.usage and reply.usage.canonical(), reply.id or "", reply.model or "")


def write_completion(call_id: str, model: str, answer: Answer) -> bytes:
    """A whole completion. `model` is the name the caller used."""
    text = "".join(part.text for part in answer.parts if isinstance(part, Text))
    body = _head(call_id, model)
    body["choices"] = [_choice(text, answer.finish)]
    if answer.usage is not None:
        body["usage"] = usage_of(answer.usage)
    return msgspec.json.encode(body)


def _head(call_id: str, model: str) -> Object:
    return {"id": f"cmpl-{call_id}", "object": "text_completion", "created": int(time.time()), "model": model}


def _choice(text: str, finish: Finish | None) -> Object:
    return {"index": 0, "text": text, "logprobs": None, "finish_reason": finish}


class CompletionEncoder:
    """Implements `ports.Encoder` for legacy completions; see `ChatEncoder`."""

    def __init__(self, call_id: str, model: str, *, wants_usage: bool) -> None:
        self._head = _head(call_id, model)
        self._wants_usage = wants_usage
        self._finish: Finish = "stop"
        self._usage: Usage | None = None

    def feed(self, events: Sequence[Event]) -> bytes:
        """See `ports.Encoder`."""
        out: list[bytes] = []
        for event in events:
            match event:
                case TextDelta():
                    out.append(self._chunk([_choice(event.text, None)]))
                case Finished():
                    self._finish = event.reason
                case UsageReported():
                    self._usage = event.usage
                case _:
                    pass
        return b"".join(out)

    def end(self) -> bytes:
        """See `ports.Encoder`."""
        last = self._chunk([_choice("", self._finish)])
        if self._wants_usage:
            last += self._chunk([], usage_of(self._usage or Usage()))
        return last + DONE

    def _chunk(self, choices: list[Object], usage: Object | None = None) -> bytes:
        body = {**self._head, "choices": choices}
        if self._wants_usage:
            body["usage"] = usage
        return b"data: " + msgspec.json.encode(body) + b"\n\n"


def parse_moderation(body: bytes) -> ModerationRequest:
    """Body of `POST /v1/moderations`.

    Raises:
        InvalidRequest: `input` is neither text nor a list of texts or parts.
    """
    asked = decode(body, types.ModerationRequest)
    inputs: list[Any] = [asked.input] if isinstance(asked.input, str) else asked.input
    if not all(isinstance(each, str | dict) for each in inputs):
        raise InvalidRequest("`input` must be a text, or a list of texts or parts.", param="input")
    return ModerationRequest(ORIGIN, inputs, isinstance(asked.input, list))


def build_moderation(asked: ModerationRequest, model: str) -> Object:
    """The body again."""
    return {"model": model, "input": asked.inputs if asked.is_list else asked.inputs[0]}


def read_moderations(body: bytes) -> Moderations:
    """The verdicts.

    Raises:
        UpstreamError: It is no such reply, or an error in the dress of one.
    """
    try:
        fault = _fault.decode(body).error
        raw = msgspec.json.decode(body, type=dict[str, Any])
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise UpstreamInvalid("The provider's reply is not what was asked for.") from None
    if fault is not None:
        raise error_in_reply(fault)
    return Moderations(raw)
