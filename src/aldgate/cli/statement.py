"""`aldgate statement`: a month of one account."""

from typing import Annotated
from urllib.parse import quote

import typer

from aldgate.cli.client import connect
from aldgate.cli.options import Csv, Json, Url
from aldgate.cli.output import say_bytes, say_json


def statement(
    account: Annotated[str, typer.Argument(help="Its id, or kind:name like team:search, or a key's id.")],
    month: Annotated[str, typer.Option(help="The month (UTC), like 2026-11.")],
    url: Url = None,
    as_csv: Csv = False,
    as_json: Json = False,
) -> None:
    """Print a month's statement: by model, by day, and how budgets went."""
    path, gate = f"/admin/statements/{quote(account, safe='')}", connect(url, admin=True)
    if as_json:
        return say_json(gate.call("GET", path, query={"month": month}))
    kind = "text/csv" if as_csv else "text/plain"
    say_bytes(gate.fetch(path, accept=kind, query=[("month", month)]))
