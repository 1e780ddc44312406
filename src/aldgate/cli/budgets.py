"""`aldgate budgets`: where the money of budgets is, and what lost processes may have spent of it."""

from typing import Annotated

import typer

from aldgate.cli.client import connect
from aldgate.cli.group import group
from aldgate.cli.options import Json, Url
from aldgate.cli.output import note, say_json, say_table

app = group("Show where the money of budgets is, and return what lost processes had.")

Account = Annotated[str | None, typer.Option(help="Id of the key or account.")]


@app.command("list")
def list_budgets(
    account: Account = None,
    lost: Annotated[bool, typer.Option(help="Only budgets that lost processes may have spent from.")] = False,
    url: Url = None,
    as_json: Json = False,
) -> None:
    """List budgets: what is spent, what processes have, what lost ones may have spent."""
    query = {"lost": str(lost).lower(), **({} if account is None else {"account": account})}
    answer = connect(url, admin=True).call("GET", "/admin/budgets", query=query)
    if as_json:
        return say_json(answer)
    # 40 ms that `--help` and `--json` need not pay.
    from aldgate.core.terms import format_usd

    columns = ["account", "period", "limit", "settled", "outstanding", "presumed", "lost processes"]
    amounts = ("limit", "settled", "outstanding", "presumed")
    rows = [
        [
            *(budget[name] for name in ("account", "period")),
            *(f"${format_usd(budget[f'{name}_microusd'])}" for name in amounts),
            ", ".join(part["process"] for part in budget["lost"]) or None,
        ]
        for budget in answer["data"]
    ]
    say_table(columns, rows)
    if answer["has_more"]:
        note("There are more; ask for one --account, or for --lost ones.")


@app.command()
def release(
    account: Account = None,
    period: Annotated[str | None, typer.Option(help="Name of the period, like 2026-11.")] = None,
    process: Annotated[str | None, typer.Option(help="Id of the lost process.")] = None,
    everything: Annotated[bool, typer.Option("--all", help="All that lost processes had.")] = False,
    url: Url = None,
    as_json: Json = False,
) -> None:
    """Count as unspent what lost processes had and did not report. Late reports are counted all the same."""
    given = {"account": account, "period": period, "process": process}
    body = {name: value for name, value in given.items() if value is not None}
    if everything == bool(body):
        raise typer.BadParameter("say of which --account, --period or --process, or --all", param_hint="--all")
    answer = connect(url, admin=True).call("POST", "/admin/budgets/release", body=body or {"all": True})
    if as_json:
        return say_json(answer)
    # 40 ms that `--help` and `--json` need not pay.
    from aldgate.core.terms import format_usd

    note(f"${format_usd(answer['released_microusd'])} can be spent again.")
