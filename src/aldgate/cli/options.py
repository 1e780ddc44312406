"""Options that several commands share."""

from pathlib import Path
from typing import Annotated

import typer

Url = Annotated[str | None, typer.Option(help="Where the gate answers; else ALDGATE_URL, else http://127.0.0.1:8000.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Csv = Annotated[bool, typer.Option("--csv", help="Print CSV.")]
Since = Annotated[str | None, typer.Option(help="First day or time (UTC), like 2026-11-01, or so long ago, like 7d.")]
Until = Annotated[str | None, typer.Option(help="Day or time to stop before.")]
Month = Annotated[str | None, typer.Option(help="Only this month (UTC), like 2026-11.")]
Where = Annotated[
    list[str] | None, typer.Option(metavar="DIMENSION=VALUE", help="Only these, like model=lab/gpt-4.1; repeatable.")
]
ConfigFile = Annotated[
    Path | None, typer.Option("--config", help="TOML file; else ALDGATE_CONFIG, else ./aldgate.toml if it exists.")
]
