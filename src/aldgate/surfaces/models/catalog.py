"""One model as OpenAI's clients read it, with all that is known of it besides, and as a catalogue of models lists it.

OpenAI's clients skip what they do not know (https://platform.openai.com/docs/api-reference/models/object). The other half, `name`
to `availability`, is what the clients of Pluggably's gateway read; they refuse a modality other than text, image and 3d.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from urllib.parse import parse_qs

from aldgate.core.defaults import cost_of
from aldgate.core.errors import InvalidRequest
from aldgate.core.kinds import told_operations
from aldgate.core.prices import Price
from aldgate.core.routes import Deployment
from aldgate.core.terms import format_usd

Object = dict[str, Any]
LARGEST_PAGE = 1000
CATALOGUED = frozenset({"text", "image", "3d"})
_MODALITIES = {"embed": "embedding", "rerank": "rerank", "moderate": "moderation", "mesh": "3d"}
_PRICES = {"input": "input", "output": "output", "cached": "cached_input", "cache_write": "cache_write"}


def one(name: str, deployments: Sequence[Deployment], created: int) -> Object:
    """One model, by the first of those that may answer to its name, with the prices of the dearest. `created`: Unix seconds."""
    deployment = deployments[0]
    facts = deployment.facts
    modality = _modality(deployment)
    known = dict.fromkeys(sorted(facts.can), True) | dict.fromkeys(sorted(facts.cannot), False)
    return {
        "id": name,
        "object": "model",
        "created": created,
        "owned_by": deployment.backend,
        "context_window": facts.context_window,
        "max_output_tokens": facts.max_output,
        "capabilities": {"max_context_tokens": facts.context_window, "output_formats": [modality], **known},
        "shutdown_date": facts.ends_on,
        "deprecated": facts.is_deprecated,
        "prices": _dearest(deployments),
        "name": name,
        "version": "",
        "modality": modality,
        "provider": deployment.backend,
        "source": {"type": "local" if deployment.origin in ("builtin", "discovered") else "url", "uri": None},
        "size_bytes": None,
        "local_path": None,
        "last_used_at": None,
        "is_default": False,
        "status": "available",
        "availability": {"provider": deployment.backend, "access": "available", "credits_status": "unknown"},
    }


def page(models: Sequence[Object], query: bytes) -> Object:
    """The part of `models` that `modality`, `limit` and `cursor` ask for: as `data`, and those of a catalogue as `models`.

    Raises:
        InvalidRequest: The limit is no number from 1 to 1000, or the cursor none of ours.
    """
    asked = {name: values[-1] for name, values in parse_qs(query.decode("latin-1")).items()}
    wanted = [model for model in models if asked.get("modality") in (None, model["modality"])]
    start, end = 0, len(wanted)
    if "limit" in asked:  # without it a cursor means nothing, and all are listed
        limit = _number("limit", asked["limit"], 1, LARGEST_PAGE)
        start = _number("cursor", asked.get("cursor", "0"), 0, 10**9)
        end = min(end, start + limit)
    shown = wanted[start:end]
    following = str(end) if end < len(wanted) else None
    catalogued = [model for model in shown if model["modality"] in CATALOGUED]
    return {"object": "list", "data": shown, "models": catalogued, "next_cursor": following}


def _modality(deployment: Deployment) -> str:
    operations = told_operations(deployment) or frozenset({"chat"})
    return "text" if operations & {"chat", "complete"} else _MODALITIES.get(min(operations), min(operations))


def _dearest(deployments: Sequence[Deployment]) -> Object | None:
    """The prices of the one that a typical call costs most at, and whose they are where that is a question."""
    priced = [(each, each.price) for each in deployments if each.price is not None]
    if not priced:
        return None
    dearest, price = max(priced, key=lambda each: cost_of(each[0]))
    whose = {"deployment": dearest.id, "dearest_of": len(deployments)} if len(deployments) > 1 else {}
    return _prices(price) | whose


def _prices(price: Price) -> Object:
    """Dollars per million tokens, and per request, as exact decimals."""
    told = {shown: format_usd(value) for name, shown in _PRICES.items() if (value := getattr(price, name)) is not None}
    return {**told, "request": format_usd(-(-price.request // 1_000_000)), "version": price.version}


def _number(name: str, text: str, least: int, most: int) -> int:
    if not (text.isascii() and text.isdigit() and len(text) < 12 and least <= int(text) <= most):
        raise InvalidRequest(f"`{name}` is a number from {least} to {most}.", param=name)
    return int(text)
