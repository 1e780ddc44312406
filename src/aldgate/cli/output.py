"""What commands print: data to stdout, remarks to stderr, and nothing that could drive a terminal."""

import json
from collections.abc import Generator, Iterable, Sequence
from contextlib import contextmanager
from typing import Any

import typer

from aldgate.cli.errors import CliError

# C0 and C1 controls but for line break and tab: a model's or a server's text must not move the cursor or rename the window.
_CONTROLS = {code: None for code in (*range(32), *range(127, 160)) if chr(code) not in "\n\t"}


def plain(text: str) -> str:
    """`text` without the control characters that terminals obey."""
    return text.translate(_CONTROLS)


def say(text: str) -> None:
    """Print data."""
    with _writing():
        typer.echo(plain(text))


def note(text: str) -> None:
    """Print a remark for the person at the terminal, out of the data's way."""
    typer.echo(plain(text), err=True)


def say_json(value: Any) -> None:
    """Print data for programs."""
    with _writing():
        typer.echo(json.dumps(value, indent=2, ensure_ascii=False))


def say_bytes(pieces: Iterable[bytes]) -> None:
    """Pass data through as it is: a table for another program, in a file or a pipe."""
    with _writing():
        for piece in pieces:
            typer.echo(piece, nl=False)


def say_table(columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    """Print rows under headings: fitted to a terminal, unfolded into a pipe."""
    # 80 ms that commands which print no table need not pay.
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = Console(highlight=False)
    if not console.is_terminal:
        console = Console(highlight=False, width=10_000)
    table = Table(box=SIMPLE_HEAD if console.is_terminal else None, pad_edge=False)
    for column in columns:
        table.add_column(column)
    for row in rows:
        table.add_row(*(Text("-" if cell is None else plain(str(cell)).replace("\n", " ")) for cell in row))
    with _writing():
        console.print(table)


@contextmanager
def _writing() -> Generator[None]:
    try:
        yield
    except BrokenPipeError:
        raise  # whoever reads has seen enough; the command ends without a word
    except OSError as error:
        message = f"standard output cannot be written: {error.strerror or error}"
        raise CliError(message, hint="what was asked for has been done; make room, and look before asking again") from error
