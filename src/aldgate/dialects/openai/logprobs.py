"""Log probabilities in OpenAI's words (https://platform.openai.com/docs/api-reference/chat/object), which are Ollama's, too."""

from __future__ import annotations

from typing import Any

import msgspec

from aldgate.core.conversation import TokenLogprob


class _Other(msgspec.Struct):
    token: str
    logprob: float
    bytes: list[int] | None = None


class Token(_Other):
    """A token with the likeliest in its place."""

    top_logprobs: list[_Other] | None = None


class _Logprobs(msgspec.Struct):
    """Of a choice, or of a piece of one."""

    content: list[Token] | None = None
    refusal: list[Token] | None = None


def read_logprobs(given: Any) -> list[TokenLogprob]:
    """The tokens of a choice, none where they are told in other words: legacy completions and some servers have their own."""
    try:
        told = msgspec.convert(given, _Logprobs)
    except msgspec.ValidationError:
        return []
    return tokens_of([*(told.content or ()), *(told.refusal or ())])


def tokens_of(told: list[Token]) -> list[TokenLogprob]:
    """Tokens in neutral words."""
    return [
        TokenLogprob(
            each.token,
            each.logprob,
            each.bytes,
            [TokenLogprob(other.token, other.logprob, other.bytes) for other in each.top_logprobs or ()],
        )
        for each in told
    ]


def logprobs_of(tokens: list[TokenLogprob]) -> dict[str, Any] | None:
    """They as a choice has them, None for none."""
    return {"content": content_of(tokens), "refusal": None} if tokens else None


def content_of(tokens: list[TokenLogprob]) -> list[dict[str, Any]]:
    """The list alone."""
    return [_said(each) | {"top_logprobs": [_said(other) for other in each.instead]} for each in tokens]


def _said(each: TokenLogprob) -> dict[str, Any]:
    raw = list(each.token.encode()) if each.raw is None else each.raw
    return {"token": each.token, "logprob": each.logprob, "bytes": raw}
