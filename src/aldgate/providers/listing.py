"""What `GET /models` of servers that speak OpenAI's wire tells of a model beside its name. Each tells it in words of its own.

- OpenAI: `shutdown_date` (https://platform.openai.com/docs/api-reference/models/object)
- OpenRouter: `context_length`, `top_provider`, `architecture`, `supported_parameters`, `pricing` in dollars per token
  (https://openrouter.ai/docs/api-reference/list-available-models)
- Mistral: `max_context_length`, `capabilities`, `deprecation` (https://docs.mistral.ai/api/#tag/models)
- Groq: `context_window`, `max_completion_tokens` (https://console.groq.com/docs/api-reference#models)
- vLLM: `max_model_len`; llama.cpp: `meta.n_ctx_train`; Together: `context_length`

What is not of the expected shape is as good as not told: a list with an odd entry is still a list.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, date, datetime
from decimal import Decimal, InvalidOperation
from typing import Any, cast

import msgspec

from aldgate.core.prices import MILLION, Price
from aldgate.core.routes import Facts

_PARAMETERS = {"tools": "tools", "reasoning": "reasoning", "structured_outputs": "json_schema"}
_INPUTS = {"image": "vision", "audio": "audio", "file": "documents"}
_CAPABILITIES = {"function_calling": "tools", "vision": "vision", "audio": "audio", "reasoning": "reasoning"}


class Listed(msgspec.Struct):
    """One model of such a list."""

    id: str
    owned_by: str | None = None
    shutdown_date: Any = None
    deprecation: Any = None
    context_length: Any = None
    context_window: Any = None
    max_context_length: Any = None
    max_model_len: Any = None
    max_completion_tokens: Any = None
    meta: Any = None
    top_provider: Any = None
    architecture: Any = None
    supported_parameters: Any = None
    capabilities: Any = None
    pricing: Any = None

    def facts(self) -> Facts:
        """All that is told."""
        said = dict(self._said())
        windows = (self.context_window, self.context_length, self.max_context_length, self.max_model_len)
        trained = _table(self.meta).get("n_ctx_train")
        made = (self.max_completion_tokens, _table(self.top_provider).get("max_completion_tokens"))
        return Facts(
            context_window=_first(*windows, trained),
            max_output=_first(*made),
            can=frozenset(word for word, is_there in said.items() if is_there),
            cannot=frozenset(word for word, is_there in said.items() if not is_there),
            ends_on=_day(self.shutdown_date) or _day(self.deprecation),
        )

    def _said(self) -> list[tuple[str, bool]]:
        said: list[tuple[str, bool]] = []
        parameters, inputs = _list(self.supported_parameters), _list(_table(self.architecture).get("input_modalities"))
        if parameters is not None:
            said += [(word, name in parameters) for name, word in _PARAMETERS.items()]
        if inputs is not None:
            said += [(word, name in inputs) for name, word in _INPUTS.items()]
        told = _table(self.capabilities)
        return said + [(word, told[name]) for name, word in _CAPABILITIES.items() if isinstance(told.get(name), bool)]

    def price(self) -> Price | None:
        """The price, where it is told in dollars per token as OpenRouter does; None if nothing is, or it depends."""
        told = _table(self.pricing)
        given, made = _per_million(told.get("prompt")), _per_million(told.get("completion"))
        if given is None or made is None:
            return None
        return Price(
            input=given,
            output=made,
            cached=_per_million(told.get("input_cache_read")),
            cache_write=_per_million(told.get("input_cache_write")),
            request=_per_million(told.get("request")) or 0,
            version="the provider's list",
        )


def _table(value: Any) -> Mapping[str, Any]:
    return cast(Mapping[str, Any], value) if isinstance(value, Mapping) else {}


def _list(value: Any) -> list[Any] | None:
    return cast(list[Any], value) if isinstance(value, list) else None


def _first(*values: Any) -> int | None:
    return next((value for value in values if isinstance(value, int) and not isinstance(value, bool) and value > 0), None)


def _day(value: Any) -> str | None:
    """A day as ISO date, given as one, as a time in ISO 8601, or in Unix seconds."""
    try:
        if isinstance(value, str):
            return date.fromisoformat(value[:10]).isoformat()
        is_time = isinstance(value, int | float) and value > 0
        return datetime.fromtimestamp(value, UTC).date().isoformat() if is_time else None
    except (ValueError, OverflowError, OSError):
        return None


def _per_million(dollars: Any) -> int | None:
    """Dollars for one, written as text -> micro-dollars per million, rounded up. Below 0 is "it depends"."""
    try:
        price = Decimal(dollars) if isinstance(dollars, str) else None
    except InvalidOperation:
        return None
    if price is None or not price.is_finite() or not 0 <= price < 1000:
        return None
    return -int(-(price * MILLION * MILLION) // 1)
