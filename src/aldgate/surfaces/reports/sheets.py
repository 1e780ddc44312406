"""Tables as CSV: streamed, and so that no cell is a formula to the program that opens them."""

from __future__ import annotations

import csv
import io
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any

from starlette.responses import StreamingResponse

from aldgate.core.errors import InvalidRequest

FORMATS = ("json", "csv")
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20")
"""What makes a spreadsheet take a cell for a formula (https://owasp.org/www-community/attacks/CSV_Injection)."""


def format_of(query: Mapping[str, str], accept: str, formats: Sequence[str] = FORMATS) -> str:
    """The format that is wanted: `format`, else what `Accept` begins with, else JSON.

    Raises:
        InvalidRequest: There is no such format here.
    """
    wanted = query.get("format")
    if wanted is None:
        kind = accept.partition(",")[0].partition(";")[0].strip().lower()
        wanted = {"text/csv": "csv", "text/plain": "text"}.get(kind, "json")
        return wanted if wanted in formats else "json"
    if wanted not in formats:
        raise InvalidRequest(f"`format` is one of {', '.join(formats)}.", param="format")
    return wanted


def cell(value: Any) -> Any:
    """A value as a cell. Text that a spreadsheet would calculate gets an apostrophe in front; numbers are left alone."""
    if isinstance(value, str) and value.lstrip(" ").startswith(_FORMULA):
        return "'" + value
    return "" if value is None else value


def lines(rows: Sequence[Sequence[Any]]) -> bytes:
    """Rows as CSV (RFC 4180)."""
    text = io.StringIO()
    csv.writer(text).writerows([cell(value) for value in row] for row in rows)
    return text.getvalue().encode(errors="replace")


def sheet(name: str, columns: Sequence[str], pages: AsyncIterator[Sequence[Sequence[Any]]]) -> StreamingResponse:
    """The answer that is a table: its first line says what is in which column."""

    async def pieces() -> AsyncIterator[bytes]:
        yield lines([columns])
        async for page in pages:
            yield lines(page)

    headers = {
        "content-disposition": f'attachment; filename="{name}.csv"',
        "cache-control": "no-store",
        "x-content-type-options": "nosniff",
    }
    return StreamingResponse(pieces(), 200, headers, "text/csv; charset=utf-8")
