"""What a call may use at the most, which money is held for, and what it likely uses, which token limits are."""

from __future__ import annotations

import re

from aldgate.core.calls import Call, Peek
from aldgate.core.errors import PriceUnknown
from aldgate.core.routes import Deployment
from aldgate.core.usage import Usage

EXPECTED_OUTPUT = 512
"""Output tokens a token limit expects of a call that names no bound itself. Money is never guessed: see `dearest`."""
LEGACY_MAX_TOKENS = 16
"""What /v1/completions generates when nobody says (https://platform.openai.com/docs/api-reference/completions/create)."""
MEDIA = {b"image_url": 40_000, b"file": 200_000, b"input_audio": 40_000}
"""Key of input that is more tokens than bytes, because it is only named or denser than text -> the most one of it may come to.

gpt-4o-mini counts 36,835 tokens for the largest image (https://platform.openai.com/docs/guides/images-vision). The other
dialects' keys are in `_OTHER_MEDIA`.
"""
_OTHER_MEDIA = {
    **dict.fromkeys((b"url", b"file_id", b"fileData", b"file_data", b"fileUri"), 200_000),
    **dict.fromkeys((b"inlineData", b"inline_data"), 40_000),
    **dict.fromkeys((b"cachedContent", b"cached_content"), 2_000_000),  # the most that a model of Google's can read
}
_MEDIA = re.compile(
    rb'"(?:(image_url|file|input_audio|url|file_id|fileData|file_data|fileUri|inlineData|inline_data|cachedContent|cached_content)'
    rb'|[^"\\]*\\u00[^"]*)"\s*:'
)
"""Such a key, or one spelled with escapes, which may be any of them."""
_TYPED = (
    b'"type"',
    b"\\u00",
    b'"fileData"',
    b'"file_data"',
    b'"inlineData"',
    b'"inline_data"',
    b'"cachedContent"',
    b'"cached_content"',
)
"""Every part that is not plain text says its type, or is one of Gemini's."""
GENERATES = frozenset({"chat", "complete"})
"""Operations whose answers are made of tokens that are charged for."""


def expected_tokens(call: Call) -> int:
    """Tokens a call will likely use: a quarter of the body's bytes, and its own bound on output, or a modest guess."""
    peek = call.peek
    expected = -(-len(peek.body) // 4)
    if call.operation not in GENERATES:
        return expected
    if peek.cap is not None:
        return expected + peek.cap * peek.choices
    limits = call.principal.policy.limits
    tightest = min(limits.tpm or 1 << 62, limits.tpd or 1 << 62)
    return expected + max(1, min(EXPECTED_OUTPUT, tightest // 4)) * peek.choices


def cap_of(call: Call, candidates: tuple[Deployment, ...], default: int) -> int | None:
    """Output tokens per choice that the call must be held to: the caller's word, or ours where output costs anything."""
    if call.operation not in GENERATES:
        return None
    if call.peek.cap is not None:
        return call.peek.cap
    most = most_input(call.peek)
    if not any(candidate.price is not None and candidate.price.at(most).output for candidate in candidates):
        return None
    return LEGACY_MAX_TOKENS if call.operation == "complete" else default


def dearest(call: Call, candidates: tuple[Deployment, ...], cap: int | None) -> int:
    """An upper bound of the cost in micro-dollars, whichever of `candidates` comes to answer. All their prices are known."""
    usage = Usage(input_tokens=most_input(call.peek), output_tokens=(cap or 0) * call.peek.choices, requests=call.peek.requests)
    return max(candidate.price.bound(usage) for candidate in candidates if candidate.price is not None)


def priced(candidates: tuple[Deployment, ...]) -> tuple[Deployment, ...]:
    """Those whose price is known.

    Raises:
        PriceUnknown: None is.
    """
    known = tuple(candidate for candidate in candidates if candidate.price is not None)
    if not known:
        raise PriceUnknown(
            f"Nobody knows the price of `{candidates[0].id}`, so a key with a budget may not call it."
            f' Its operator can set one under [prices."{candidates[0].id}"].'
        )
    return known


def most_input(peek: Peek) -> int:
    """The most tokens a request can be: text has no more of them than bytes; media counts by `MEDIA`."""
    body = peek.body
    known = len(body) + peek.images * MEDIA[b"image_url"]
    if not any(mark in body for mark in _TYPED):
        return known
    return known + sum(MEDIA.get(key) or _OTHER_MEDIA.get(key, 200_000) for key in _MEDIA.findall(body))


def counted(call: Call, output_tokens: int) -> Usage:
    """Our own count where the provider reports none: four bytes of the request are about a token."""
    return Usage(input_tokens=-(-len(call.peek.body) // 4), output_tokens=output_tokens if call.operation in GENERATES else 0)
