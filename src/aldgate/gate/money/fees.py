"""Tools that run at the provider for a fee of their own, which no answer tells: file search, containers, Google's searches, maps.

https://platform.openai.com/docs/pricing#built-in-tools, https://ai.google.dev/gemini-api/docs/pricing,
https://platform.claude.com/docs/en/agents-and-tools/tool-use/code-execution-tool#usage-and-pricing. What only adds tokens to a
call (fetches, URL context, MCP) is none of these, nor is a search of the web that answers count (`Usage.searches`).
"""

from __future__ import annotations

import re

from aldgate.core.calls import Peek
from aldgate.core.errors import PriceUnknown
from aldgate.core.routes import Deployment

_TYPES = rb"file_search|code_interpreter|code_execution|image_generation"
_KEYS = (
    rb"googleSearch|google_search|googleSearchRetrieval|google_search_retrieval|googleMaps|google_maps|enterpriseWebSearch"
    rb"|enterprise_web_search|vertexAiSearch|vertex_ai_search|vertexRagStore|vertex_rag_store|web_search_options"
)
_FEE = re.compile(
    rb'"type"\s*:\s*"(?P<type>(?:%b)(?:_20[0-9_]+)?|[^"\\]*\\u00[2-7][^"]*)"|"(?P<key>%b)"\s*:\s*\{' % (_TYPES, _KEYS)
)
"""Such a tool, by its type or its key; or a type that is spelled with escapes, which may be any."""


def fee_tool(peek: Peek) -> str:
    """The first tool with a fee of its own that a request brings; empty if there is none."""
    tool = peek.fee_tool
    if tool is None:
        body = peek.body
        found = _FEE.search(body) if b'"tools"' in body or b'"web_search_options"' in body or b"\\u00" in body else None
        tool = peek.fee_tool = "" if found is None else (found["type"] or found["key"]).decode("utf-8", "replace")
    return tool


def with_known_fees(candidates: tuple[Deployment, ...], peek: Peek) -> tuple[Deployment, ...]:
    """Those of which it is known what the request's tools cost. A model that costs nothing has free tools.

    Raises:
        PriceUnknown: There is none.
    """
    tool = fee_tool(peek)
    if not tool:
        return candidates
    known = tuple(each for each in candidates if each.price is not None and each.price.covers_tools)
    if not known:
        raise PriceUnknown(
            f"Nobody knows what the tool `{tool}` costs at `{candidates[0].id}`, so a key with a budget may not bring it."
            f' Its operator can say it as `tools` under [prices."{candidates[0].id}"].'
        )
    return known
