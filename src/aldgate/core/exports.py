"""Usage and cost exports of providers, as CSV: which columns mean what, and reading them.

Sources: OpenAI's export has the fields of its usage and cost APIs
(https://platform.openai.com/docs/api-reference/usage); Anthropic's is described at
https://support.claude.com/en/articles/9534590-cost-and-usage-reporting-in-the-claude-console, and its columns are those of files
exported in 2026. Both write days in UTC.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation

import msgspec

MICRO = 1_000_000
MOST_ROWS = 500_000
FIELDS = ("day", "model", "requests", "input", "output", "cached", "cache_write", "cost", "request_id")
"""What a column may mean. `cost` is in dollars; `input` is all of the input."""


class Layout(msgspec.Struct, frozen=True):
    """Columns by what they mean. Those of one meaning are added up; where `is_choice`, the first that is there counts."""

    name: str
    columns: Mapping[str, tuple[str, ...]]
    known_by: tuple[str, ...] = ()
    """Columns that no other layout has."""
    is_choice: bool = False


LAYOUTS = (
    Layout(
        "openai",
        {
            "day": ("start_time_iso", "start_time"),
            "model": ("model",),
            "requests": ("num_model_requests",),
            "input": ("input_tokens",),
            "output": ("output_tokens",),
            "cached": ("input_cached_tokens",),
        },
        ("num_model_requests",),
    ),
    Layout(
        "openai-cost",
        {"day": ("start_time_iso", "start_time"), "model": ("line_item",), "cost": ("amount_value",)},
        ("amount_value", "line_item"),
    ),
    Layout(
        "anthropic",
        {
            "day": ("usage_date_utc",),
            "model": ("model_version",),
            "input": (
                "usage_input_tokens_no_cache",
                "usage_input_tokens_cache_write_5m",
                "usage_input_tokens_cache_write_1h",
                "usage_input_tokens_cache_read",
            ),
            "output": ("usage_output_tokens",),
            "cached": ("usage_input_tokens_cache_read",),
            "cache_write": ("usage_input_tokens_cache_write_5m", "usage_input_tokens_cache_write_1h"),
        },
        ("usage_input_tokens_no_cache",),
    ),
    Layout(
        "anthropic-cost",
        {"day": ("usage_date_utc",), "model": ("model",), "cost": ("cost_usd",)},
        ("usage_date_utc", "cost_usd"),
    ),
    Layout(
        "generic",
        {
            "day": ("day", "date", "timestamp", "created_at", "created", "time"),
            "model": ("model", "model_name", "model_id"),
            "requests": ("requests", "calls", "num_requests"),
            "input": ("input_tokens", "prompt_tokens"),
            "output": ("output_tokens", "completion_tokens"),
            "cached": ("cached_tokens",),
            "cache_write": ("cache_write_tokens",),
            "cost": ("cost_usd", "cost", "amount_usd", "amount"),
            "request_id": ("request_id", "id", "call_id"),
        },
        is_choice=True,
    ),
)
"""The last one takes what no other knows."""


class Billed(msgspec.Struct, frozen=True):
    """One line of an export. What it does not say is None. Money in micro-dollars, days in UTC."""

    day: str
    model: str
    requests: int | None = None
    input: int | None = None
    output: int | None = None
    cached: int | None = None
    cache_write: int | None = None
    cost_microusd: int | None = None
    request_id: str | None = None


class UnreadableExport(ValueError):
    """A file that is no export, or not one that is known; the message says where and why."""


def read_export(text: str, layout: str = "", renamed: Mapping[str, str] | None = None) -> tuple[str, list[Billed]]:
    """Read an export: the layout it has, and its lines.

    Args:
        text: The file; separated by commas, semicolons or tabs.
        layout: Name of one of `LAYOUTS`; found by the columns if empty.
        renamed: Column for each of `FIELDS` that the layout has elsewhere.

    Raises:
        UnreadableExport: It cannot be read.
    """
    text = text.removeprefix("\ufeff")
    head = text.partition("\n")[0]
    separator = max(",;\t", key=head.count)
    try:
        rows = csv.DictReader(io.StringIO(text, newline=""), delimiter=separator, restval="")
        names = [name.strip() for name in rows.fieldnames or ()]
        rows.fieldnames = names
        form = _layout(layout, names)
        columns = _columns(form, names, renamed or {})
        lines: list[Billed] = []
        for row in rows:
            if len(lines) >= MOST_ROWS:
                raise UnreadableExport(f"there are more than {MOST_ROWS} lines; take a shorter period")
            billed = _line(columns, row, rows.line_num)
            lines += [] if billed is None else [billed]
    except csv.Error as error:
        raise UnreadableExport(f"this is no CSV: {error}") from None
    return form.name, lines


def _layout(name: str, columns: Sequence[str]) -> Layout:
    if name:
        found = next((layout for layout in LAYOUTS if layout.name == name), None)
        if found is None:
            raise UnreadableExport(f"`layout` is one of {', '.join(layout.name for layout in LAYOUTS)}")
        return found
    return next(layout for layout in LAYOUTS if set(layout.known_by) <= set(columns))


def _columns(layout: Layout, names: Sequence[str], renamed: Mapping[str, str]) -> dict[str, tuple[str, ...]]:
    unknown = [name for name in renamed if name not in FIELDS]
    if unknown:
        raise UnreadableExport(f"`{unknown[0]}` is none of {', '.join(FIELDS)}")
    missing = [column for column in renamed.values() if column not in names]
    if missing:
        raise UnreadableExport(f"there is no column `{missing[0]}`")
    columns: dict[str, tuple[str, ...]] = {}
    for field, candidates in layout.columns.items():
        there = tuple(name for name in candidates if name in names)
        columns[field] = there[:1] if layout.is_choice or field == "day" else there
    columns |= {field: (column,) for field, column in renamed.items()}
    for field in ("day", "model"):
        if not columns.get(field):
            raise UnreadableExport(f"no column says the {field}; there are {', '.join(names)[:500] or 'none'}")
    if not any(columns.get(field) for field in ("requests", "input", "output", "cost")):
        raise UnreadableExport("no column says requests, tokens or cost")
    return {field: there for field, there in columns.items() if there}


def _line(columns: Mapping[str, tuple[str, ...]], row: Mapping[str, str], number: int) -> Billed | None:
    """A line; None if it is empty, as OpenAI's are for days without use."""
    said = {field: [row[name].strip() for name in names if row[name].strip()] for field, names in columns.items()}
    if not said["day"] or not said["model"]:
        return None
    try:
        counts = {
            field: _count(said[field])
            for field in ("requests", "input", "output", "cached", "cache_write")
            if field in said and said[field]
        }
        return Billed(
            day=_day(said["day"][0]),
            model=_model(said["model"][0]),
            cost_microusd=_microusd(said["cost"]) if said.get("cost") else None,
            request_id=said["request_id"][0] if said.get("request_id") else None,
            **counts,
        )
    except (ValueError, OverflowError, InvalidOperation, OSError) as error:
        raise UnreadableExport(f"line {number}: {error or 'a figure is none'}") from None


def _count(values: Sequence[str]) -> int:
    return sum(int(_decimal(value)) for value in values)


def _microusd(values: Sequence[str]) -> int:
    return round(sum(_decimal(value.lstrip("$")) for value in values) * MICRO)


def _decimal(value: str) -> Decimal:
    number = Decimal(value.replace(",", ""))
    if not number.is_finite() or abs(number) > 10**15:
        raise ValueError(f"`{value[:50]}` is no figure")
    return number


def _day(value: str) -> str:
    if re.fullmatch(r"\d{9,11}(\.\d+)?", value, re.ASCII):
        at = datetime.fromtimestamp(float(value), UTC)
    else:
        at = datetime.fromisoformat(value.removesuffix(" UTC"))
        at = at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)
    return at.strftime("%Y-%m-%d")


def _model(value: str) -> str:
    """OpenAI's costs say `gpt-4.1-2025-04-14, input` and so on."""
    return value.partition(", ")[0]
