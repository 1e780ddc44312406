"""`aldgate audit`: what administrators did, and whether the record of it is whole."""

from typing import Annotated

import typer

from aldgate.cli.client import connect
from aldgate.cli.group import group
from aldgate.cli.options import Json, Since, Until, Url
from aldgate.cli.output import note, say, say_bytes, say_json, say_table

app = group("Show and check the record of administrative acts.")

Filter = Annotated[list[str] | None, typer.Option(help="Only these; repeatable.")]


@app.command("list")
def list_acts(
    who: Filter = None,
    act: Filter = None,
    target: Filter = None,
    outcome: Annotated[str | None, typer.Option(help="done or refused.")] = None,
    since: Since = None,
    until: Until = None,
    before: Annotated[int | None, typer.Option(min=1, help="Only rows with lower numbers: the page behind this one.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=1000, help="Rows at most.")] = 100,
    url: Url = None,
    as_json: Json = False,
) -> None:
    """List acts, the newest first."""
    one = {"outcome": outcome, "since": since, "until": until, "before": before, "limit": limit}
    query = [(name, str(value)) for name, value in one.items() if value is not None]
    query += [(name, value) for name, values in (("who", who), ("act", act), ("target", target)) for value in values or []]
    answer = connect(url, admin=True).call("GET", "/admin/audit", query=query)
    if as_json:
        return say_json(answer)
    columns = ["seq", "at", "who_name", "origin", "act", "target", "outcome", "details"]
    say_table([*columns[:2], "who", *columns[3:]], [[row[name] for name in columns] for row in answer["data"]])


@app.command()
def verify(
    anchor: Annotated[list[str] | None, typer.Option(help="An anchor of before, NUMBER:HASH; repeatable.")] = None,
    url: Url = None,
    as_json: Json = False,
) -> None:
    """Look for rows that were changed, removed, put in or moved. Exits with 1 if there are any."""
    query = [("anchor", each) for each in anchor or []]
    answer = connect(url, admin=True).call("GET", "/admin/audit/verify", query=query)
    if as_json:
        say_json(answer)
    else:
        for finding in answer["findings"]:
            say(finding["message"])
        note(f"{answer['rows']} rows, {'whole' if answer['is_whole'] else 'NOT whole'}; anchor {answer['anchor']}")
    if not answer["is_whole"]:
        raise typer.Exit(1)


@app.command()
def anchor(url: Url = None, as_json: Json = False) -> None:
    """Print how far the log has come, to be kept where nobody who can write to the database can."""
    answer = connect(url, admin=True).call("GET", "/admin/audit/anchor")
    if as_json:
        return say_json(answer)
    said = answer["anchor"]
    if said is None:
        return note("Nothing was done yet.")
    say(said)


@app.command()
def export(since: Since = None, until: Until = None, url: Url = None) -> None:
    """Print the whole log as CSV, the oldest first."""
    query = [(name, value) for name, value in (("since", since), ("until", until)) if value is not None]
    say_bytes(connect(url, admin=True).fetch("/admin/audit", accept="text/csv", query=query))
