"""`aldgate reconcile`: the ledger beside a provider's own export."""

from pathlib import Path
from typing import Annotated, Any

import typer

from aldgate.cli.client import connect
from aldgate.cli.errors import CliError
from aldgate.cli.options import Json, Month, Url
from aldgate.cli.output import note, say_json, say_table

_FIGURES = ("requests", "input", "output")


def reconcile(
    provider: Annotated[str, typer.Argument(help="The provider, by its name in the configuration.")],
    file: Annotated[Path, typer.Argument(help="Its usage or cost export, as CSV.")],
    month: Month = None,
    layout: Annotated[str, typer.Option(help="openai[-cost], anthropic[-cost] or generic; else told by the columns.")] = "",
    column: Annotated[list[str] | None, typer.Option(help="Where something stands, like day=Date; repeatable.")] = None,
    model: Annotated[list[str] | None, typer.Option(help="Its name there and here, like 'Big One=big-1'; repeatable.")] = None,
    tolerance_ppm: Annotated[int | None, typer.Option(min=0, help="What is no difference, in millionths; else 1000.")] = None,
    tolerance_microusd: Annotated[int | None, typer.Option(min=0, help="So much money is none; 10000 by default.")] = None,
    url: Url = None,
    as_json: Json = False,
) -> None:
    """Compare the ledger with a provider's export, and explain each difference. Nothing is changed."""
    try:
        data = file.read_bytes()
    except OSError as error:
        raise CliError(f"{file} cannot be read: {error.strerror}", hint="name the CSV file of the export") from None
    asked = {
        "provider": provider,
        "month": month,
        "layout": layout or None,
        "tolerance_ppm": tolerance_ppm,
        "tolerance_microusd": tolerance_microusd,
    }
    query = [(name, str(value)) for name, value in asked.items() if value is not None]
    query += [("column", each) for each in column or []] + [("model", each) for each in model or []]
    report = connect(url, admin=True).send("/admin/reconcile", data, kind="text/csv", query=query)
    if as_json:
        return say_json(report)
    differences = [*report["differences"], *report.get("requests", [])]
    if differences:
        say_table(["day", "model", "what", "here", "there", "why"], [_row(each) for each in differences])
    note(f"{report['agreeing']} of {report['compared']} days and models agree; layout {report['layout']}.")
    if differences:
        raise typer.Exit(1)


def _row(difference: dict[str, Any]) -> list[Any]:
    name = difference.get("request_id")
    why = f"{name}: {difference['message']}" if name else difference["message"]
    sides = (_side(difference["ours"]), _side(difference["theirs"]))
    return [difference["day"], difference["model"], difference["kind"], *sides, why]


def _side(figures: dict[str, Any] | None) -> str | None:
    if figures is None:
        return None
    said = [f"{name} {figures[name]}" for name in _FIGURES if figures[name] is not None]
    cost = figures["cost_microusd"]
    return ", ".join([*said, *([] if cost is None else [f"${cost / 1_000_000:.6f}"])])
