"""Options that several commands share."""

from pathlib import Path
from typing import Annotated

import typer

Url = Annotated[str | None, typer.Option(help="Where the gate answers; else ALDGATE_URL, else http://127.0.0.1:8000.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
ConfigFile = Annotated[
    Path | None, typer.Option("--config", help="TOML file; else ALDGATE_CONFIG, else ./aldgate.toml if it exists.")
]
