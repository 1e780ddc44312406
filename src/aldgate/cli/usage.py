"""`aldgate usage`: what was used and what it cost, summed up or row by row."""

from typing import Annotated

import typer

from aldgate.cli.client import connect
from aldgate.cli.group import Help
from aldgate.cli.options import Csv, Json, Month, Since, Until, Url, Where
from aldgate.cli.output import say_bytes, say_json, say_table
from aldgate.core.dimensions import DIMENSIONS

COUNTS = {
    "calls": "calls",
    "errors": "errors",
    "prompt_tokens": "input tokens",
    "completion_tokens": "output tokens",
    "cached_tokens": "cached",
}

app = typer.Typer()


@app.callback(invoke_without_command=True, add_help_option=False)
def usage(
    context: typer.Context,
    by: Annotated[str, typer.Option(help=f"What to sum by, separated by commas: {', '.join(DIMENSIONS)}.")] = "key,model,day",
    since: Since = None,
    until: Until = None,
    month: Month = None,
    where: Where = None,
    limit: Annotated[int | None, typer.Option(min=1, help="Rows at most.")] = None,
    url: Url = None,
    as_csv: Csv = False,
    as_json: Json = False,
    show_help: Help = False,
) -> None:
    """Sum calls, tokens and cost."""
    del show_help
    if context.invoked_subcommand is not None:
        return
    groups = [group.strip() for group in by.split(",") if group.strip()]
    unknown = [group for group in groups if group not in DIMENSIONS]
    if unknown:
        raise typer.BadParameter(f"`{unknown[0]}` is none of {', '.join(DIMENSIONS)}", param_hint="--by")
    query = [("group_by", ",".join(groups)), *asked(since, until, month, where)]
    query += [] if limit is None else [("limit", str(limit))]
    if as_csv:
        return say_bytes(connect(url).fetch("/v1/usage", accept="text/csv", query=query))
    answer = connect(url).call("GET", "/v1/usage", query=query)
    if as_json:
        return say_json(answer)
    # 40 ms that `--help` and `--json` need not pay.
    from aldgate.core.terms import format_usd

    rows = [
        [*(row.get(group) for group in groups), *(row[name] for name in COUNTS), f"${format_usd(row['cost_microusd'])}"]
        for row in answer["data"]
    ]
    say_table([*groups, *COUNTS.values(), "cost"], rows)


@app.command()
def export(since: Since = None, until: Until = None, month: Month = None, where: Where = None, url: Url = None) -> None:
    """Print the ledger itself as CSV, one line for each attempt at a call."""
    query = asked(since, until, month, where)
    say_bytes(connect(url, admin=True).fetch("/admin/ledger", accept="text/csv", query=query))


def asked(since: str | None, until: str | None, month: str | None, where: list[str] | None) -> list[tuple[str, str]]:
    """The parameters that say which rows.

    Raises:
        BadParameter: One of `where` is not `dimension=value`.
    """
    query = [(name, value) for name, value in (("since", since), ("until", until), ("month", month)) if value is not None]
    for text in where or []:
        name, sign, value = text.partition("=")
        if name not in DIMENSIONS or not sign or not value:
            raise typer.BadParameter(f"`{text}` is not like model=lab/gpt-4.1", param_hint="--where")
        query.append((name, value))
    return query
