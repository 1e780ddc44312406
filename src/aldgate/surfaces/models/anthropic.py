"""The list of models as Anthropic's clients read it, page by page (https://platform.claude.com/docs/en/api/models-list)."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qs

from aldgate.core.errors import InvalidRequest
from aldgate.core.routes import Deployment

Object = dict[str, Any]

_USUAL_PAGE = 20
_LARGEST_PAGE = 1000


def one(name: str, deployments: Sequence[Deployment], created: int) -> Object:
    """One model, by the first of those that may answer to its name. `created`: Unix seconds."""
    facts = deployments[0].facts
    return {
        "id": name,
        "type": "model",
        "display_name": name,
        "created_at": datetime.fromtimestamp(created, UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "lifecycle": "active",
        "max_input_tokens": facts.context_window,
        "max_tokens": facts.max_output,
    }


def page(models: Sequence[Object], query: bytes) -> Object:
    """The part of `models` that `limit`, `after_id` and `before_id` ask for.

    Raises:
        InvalidRequest: The limit is no number from 1 to 1000, or an id is of no model here.
    """
    asked = {name: values[-1] for name, values in parse_qs(query.decode("latin-1")).items()}
    limit = _limit(asked.get("limit", str(_USUAL_PAGE)))
    ids = [model["id"] for model in models]
    start, end = 0, len(ids)
    if "after_id" in asked:
        start = _place(ids, asked["after_id"], "after_id") + 1
    if "before_id" in asked:
        end = _place(ids, asked["before_id"], "before_id")
        start = max(start, end - limit) if "after_id" not in asked else start
    shown = list(models[start:end][:limit])
    has_more = start > 0 if "before_id" in asked and "after_id" not in asked else start + len(shown) < end
    first, last = (shown[0]["id"], shown[-1]["id"]) if shown else (None, None)
    return {"data": shown, "has_more": has_more, "first_id": first, "last_id": last}


def _limit(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) < 10 and 1 <= int(text) <= _LARGEST_PAGE):
        raise InvalidRequest(f"`limit` is a number from 1 to {_LARGEST_PAGE}.", param="limit")
    return int(text)


def _place(ids: list[str], given: str, param: str) -> int:
    if given not in ids:
        raise InvalidRequest(f"`{param}` is of no model here.", param=param)
    return ids.index(given)
