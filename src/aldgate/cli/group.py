"""A command that only holds other commands."""

from typing import Annotated

import typer


def _show_help(context: typer.Context, is_wanted: bool) -> None:
    if is_wanted:
        typer.echo(context.get_help())
        raise typer.Exit


# Typer's own `--help` of a group is unset, not False, when a command within is called, and converting an unset option makes
# typer import pydantic (120 ms). An option of ours that defaults to False spares `aldgate keys create --help` that.
Help = Annotated[bool, typer.Option("--help", is_eager=True, callback=_show_help, help="Show this message and exit.")]


def group(text: str) -> typer.Typer:
    """A group of commands whose help says `text`."""
    app = typer.Typer()

    def enter(show_help: Help = False) -> None:
        del show_help

    app.callback(help=text, add_help_option=False)(enter)
    return app
