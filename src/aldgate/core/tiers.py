"""Service tiers: the same model at another price, for patience or for haste.

OpenAI: https://developers.openai.com/api/docs/guides/flex-processing and .../fast-mode (priority processing's new name). Gemini:
https://ai.google.dev/gemini-api/docs/optimization. Anthropic: https://platform.claude.com/docs/en/api/service-tiers.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Literal, cast, get_args

import msgspec

Tier = Literal["flex", "batch", "priority", "fast"]
TIERS: frozenset[str] = frozenset(get_args(Tier))
DEARER = frozenset({"priority", "fast"})
"""What they cost more cannot be derived from the usual price: it differs from model to model."""
_SAID = {
    "flex": "flex",
    "batch": "batch",
    "priority": "priority",
    "fast": "priority",
    "service_tier_flex": "flex",
    "service_tier_priority": "priority",
    "on_demand_flex": "flex",
    "on_demand_priority": "priority",
}
_FIELDS = ("service_tier", "serviceTier")
_ASKED = re.compile(rb'"(?:service_tier|serviceTier)"\s*:\s*"(\w{1,40})"')
_SPEED = re.compile(rb'"speed"\s*:\s*"fast"')


def tier_of(said: object) -> str:
    """The tier that a provider or a caller names; empty for the usual one, and for what nobody is known to charge for."""
    return _SAID.get(said.lower(), "") if isinstance(said, str) else ""


def asked_tier(body: bytes) -> str:
    """The tier that a request asks for: the dearest, where parsers could disagree about which one it names."""
    if b'ier"' not in body and b'"speed"' not in body and b"\\u00" not in body:
        return ""
    if _SPEED.search(body) is not None:
        return "fast"
    found = {tier_of(word.decode()) for word in _ASKED.findall(body)}
    if b"\\u00" in body:
        found |= _spelt(body)
    return next((tier for tier in ("fast", "priority", "flex", "batch") if tier in found), "")


def _spelt(body: bytes) -> set[str]:
    """The tiers that are named in escapes."""
    try:
        members: Any = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return set()
    if not isinstance(members, dict):
        return set()
    asked = cast(Mapping[str, Any], members)
    return {tier_of(asked.get(name)) for name in _FIELDS} | ({"fast"} if asked.get("speed") == "fast" else set())
