"""What a call may use at the most, which money is held for, and what it likely uses, which token limits are."""

from __future__ import annotations

import re

from aldgate.core.calls import Call, Peek
from aldgate.core.errors import PriceUnknown
from aldgate.core.rights import EXPECTED_OUTPUT
from aldgate.core.routes import Deployment
from aldgate.core.tiers import asked_tier
from aldgate.core.usage import Usage
from aldgate.gate.money.fees import fee_tool, with_known_fees
from aldgate.gate.money.purses import Cost

FIRST_STEP = "The first part of this stream"
LEGACY_MAX_TOKENS = 16
"""What /v1/completions generates when nobody says (https://platform.openai.com/docs/api-reference/completions/create)."""
MEDIA = {b"image_url": 40_000, b"file": 200_000, b"input_audio": 40_000}
"""Key of input that is more tokens than bytes, because it is only named or denser than text -> the most one of it may come to.

gpt-4o-mini counts 36,835 tokens for the largest image (https://platform.openai.com/docs/guides/images-vision). The other
dialects' keys are in `_OTHER_MEDIA`.
"""
_ALL = 2_000_000
"""The most that a model of Google's can read: an hour of film is a million tokens, in a few bytes if nothing moves."""
_TOOL = 1_000_000
"""What a provider reads beside the request where it runs a tool, continues a conversation or fills in a prompt that it keeps."""
_OTHER_MEDIA = {
    **dict.fromkeys((b"url", b"file_id", b"file_url"), 200_000),
    **dict.fromkeys((b"fileData", b"file_data", b"inlineData", b"inline_data", b"cachedContent", b"cached_content"), _ALL),
    **dict.fromkeys((b"googleSearch", b"google_search", b"googleSearchRetrieval", b"google_search_retrieval"), _TOOL),
    **dict.fromkeys((b"googleMaps", b"google_maps", b"urlContext", b"url_context", b"fileSearch", b"file_search"), _TOOL),
    **dict.fromkeys((b"codeExecution", b"code_execution", b"enterpriseWebSearch", b"enterprise_web_search"), _TOOL),
    **dict.fromkeys((b"retrieval", b"conversation", b"web_search_options", b"mcp_servers", b"mcpServers"), _TOOL),
}
_KEYS = b"|".join((*MEDIA, *_OTHER_MEDIA))
_MIME = rb'"(?:mimeType|mime_type|media_type)"\s*:\s*"image/[a-z+]+"'
_DATA = rb'"data"\s*:\s*"[^"\\]*"'
_MEDIA = re.compile(
    rb'"(?:inlineData|inline_data)"\s*:\s*\{\s*(?P<image>%b\s*,\s*%b|%b\s*,\s*%b)\s*\}' % (_MIME, _DATA, _DATA, _MIME)
    + rb'|"image_url"\s*:\s*\{\s*(?P<picture>"url")\s*:'
    + rb'|"source"\s*:\s*\{\s*(?:(?P<base64>"type"\s*:\s*"base64"\s*,\s*%b\s*,\s*%b\s*\})' % (_MIME, _DATA)
    + rb'|"type"\s*:\s*"(?:(?P<text>text|content)|url|file)"|(?P<source>))'
    rb'|"type"\s*:\s*"(?P<tool>(?:web_search|web_search_preview|web_fetch|code_execution|file_search|code_interpreter'
    rb'|image_generation|mcp|mcp_toolset|advisor)(?:_[0-9_]+)?|[^"\\]*\\u00[2-7][^"]*)"'
    rb'|"prompt"\s*:\s*(?P<prompt>\{)'
    rb'|"(?P<key>%b|[^"\\]*\\u00[2-7][^"]*)"\s*:' % _KEYS
)
"""Such a key, or one spelled with escapes, which may be any of them; a tool that runs at the provider, by its type."""
_FLAT = {"image": 40_000, "picture": 40_000, "base64": 40_000, "source": 200_000, "tool": _TOOL, "prompt": _TOOL}
_TELLING = re.compile(
    rb'"(?:type|tools|conversation|prompt|web_search_options|service_tier|serviceTier|speed|%b)"'
    % b"|".join(key for key, most in _OTHER_MEDIA.items() if most == _ALL)
)
"""Every part that is not plain text says its type, or is one of Gemini's; and these name a service tier."""
GENERATES = frozenset({"chat", "complete"})
"""Operations whose answers are made of tokens that are charged for."""


def expected_tokens(call: Call) -> int:
    """Tokens a call will likely use: a quarter of the body's bytes, and its own bound on output, or a modest guess."""
    peek = call.peek
    expected = -(-len(peek.body) // 4)
    if call.operation not in GENERATES:
        return expected
    rights = call.principal.rights
    if peek.cap is None:
        return expected + rights.expected_output * peek.choices
    most = rights.max_output_tokens
    return expected + (peek.cap if most is None or peek.cap < most else most) * peek.choices


def lesser(one: int | None, other: int | None) -> int | None:
    """The smaller of two bounds, of which each may not be there."""
    if one is None or other is None:
        return other if one is None else one
    return one if one < other else other


def cap_of(call: Call, candidates: tuple[Deployment, ...], default: int) -> int | None:
    """Output tokens per choice that the call must be held to: the caller's word, its policy's, or ours where output costs."""
    if call.operation not in GENERATES:
        return None
    said = lesser(call.peek.cap, call.principal.rights.max_output_tokens)
    if call.peek.cap is not None:
        return said
    if not _charges_output(candidates, call.peek):
        return said
    default = LEGACY_MAX_TOKENS if call.operation == "complete" else default
    return default if said is None else min(default, said)


def _charges_output(candidates: tuple[Deployment, ...], peek: Peek) -> bool:
    for candidate in candidates:
        price = candidate.price
        if price is not None and (price if price.dearer is None else price.at(most_input(peek))).output:
            return True
    return False


def cost_of(call: Call, candidates: tuple[Deployment, ...], cap: int | None, first: int | None = None) -> Cost:
    """What it can cost and what it likely costs, whichever of `candidates` comes to answer. All their prices are known.

    `first`: of `cap`, what is to be held for at the beginning, where the call is a stream that reserves in steps.
    """
    most = dearest(call, candidates, cap if first is None else first)
    choices = call.peek.choices
    likely = most
    if call.principal.rights.has_soft_budget:
        output = EXPECTED_OUTPUT * choices if cap is None else min(cap, EXPECTED_OUTPUT) * choices
        expected = counted(call, output)
        usage = used_by(call.peek, expected.input_tokens, expected.output_tokens)
        likely = min(most, max(each.price.cost(usage) for each in candidates if each.price is not None))
    if first is None or first == cap:
        return Cost(most, likely)
    return Cost(most, likely, FIRST_STEP, first * choices)


def dearest(call: Call, candidates: tuple[Deployment, ...], cap: int | None) -> int:
    """An upper bound of the cost in micro-dollars, whichever of `candidates` comes to answer. All their prices are known."""
    peek = call.peek
    most, output, tier, tools = most_input(peek), (cap or 0) * peek.choices, tier_of(peek), int(bool(fee_tool(peek)))
    dearest = 0
    for candidate in candidates:
        if candidate.price is not None:
            bound = candidate.price.bound(most, output, peek.requests, tier, tools)
            dearest = bound if bound > dearest else dearest
    return dearest


def used_by(peek: Peek, input_tokens: int, output_tokens: int = 0) -> Usage:
    """What a request uses with so many tokens."""
    return Usage(input_tokens, output_tokens, requests=peek.requests, tools=1 if fee_tool(peek) else 0, tier=tier_of(peek))


def tier_of(peek: Peek) -> str:
    """The service tier that a request asks for."""
    if peek.tier is None:
        _look_through(peek)
    return peek.tier or ""


def payable(candidates: tuple[Deployment, ...], peek: Peek) -> tuple[Deployment, ...]:
    """Those of which it is known what the request costs, with its service tier and the provider's tools that it brings.

    Raises:
        PriceUnknown: There is none.
    """
    return with_known_fees(priced(candidates, tier_of(peek)), peek)


def priced(candidates: tuple[Deployment, ...], tier: str = "") -> tuple[Deployment, ...]:
    """Those whose price is known, in the service tier that is asked for.

    Raises:
        PriceUnknown: None is.
    """
    if not tier and len(candidates) == 1 and candidates[0].price is not None:
        return candidates
    known = tuple(candidate for candidate in candidates if candidate.price is not None)
    if not known:
        raise PriceUnknown(
            f"Nobody knows the price of `{candidates[0].id}`, so a key with a budget may not call it."
            f' Its operator can set one under [prices."{candidates[0].id}"].'
        )
    covered = tuple(candidate for candidate in known if candidate.price is not None and candidate.price.covers(tier))
    if not covered:
        raise PriceUnknown(
            f"Nobody knows what `{known[0].id}` costs in the service tier `{tier}`, so a key with a budget may not ask for it."
            f' Its operator can say it under [prices."{known[0].id}".tiers.{tier}].'
        )
    return covered


def most_input(peek: Peek) -> int:
    """The most tokens a request can be: text has no more of them than bytes; media counts by `MEDIA`."""
    if peek.most_input < 0:
        _look_through(peek)
    return peek.most_input


def _look_through(peek: Peek) -> None:
    """Find in the body what costs more or less than text does."""
    body = peek.body
    peek.most_input = len(body) + peek.images * MEDIA[b"image_url"]
    if (b"\\" in body and b"\\u00" in body) or _TELLING.search(body) is not None:  # one byte is found much sooner than several
        peek.most_input += sum(map(_most_of, _MEDIA.finditer(body)))
        peek.tier = asked_tier(body)
    else:
        peek.tier = peek.fee_tool = ""


def _most_of(found: re.Match[bytes]) -> int:
    key = found["key"]
    if key is None:
        return _FLAT.get(found.lastgroup or "", 0)
    return MEDIA.get(key) or _OTHER_MEDIA.get(key, _ALL)


def counted(call: Call, output_tokens: int) -> Usage:
    """Our own count where the provider reports none: four bytes of the request are about a token."""
    return Usage(input_tokens=-(-len(call.peek.body) // 4), output_tokens=output_tokens if call.operation in GENERATES else 0)
