"""`aldgate worker`: work on jobs, and answer nobody."""

import importlib
from pathlib import Path
from typing import Annotated

import typer

from aldgate.cli.options import ConfigFile

ENTRY = "aldgate.app:work"
"""What works, given the settings. A text, as in `serve`."""


def worker(
    engines: Annotated[str, typer.Option(metavar="NAME,NAME", help="Engines to work for; all if nothing is said.")] = "",
    data: Annotated[Path | None, typer.Option(metavar="DIR", help="Directory of everything that is kept.")] = None,
    config: ConfigFile = None,
    host: Annotated[str, typer.Option(help="Address of --port.")] = "127.0.0.1",
    port: Annotated[
        int | None, typer.Option(min=0, max=65_535, help="Port where /health and /ready answer; else nothing is listened on.")
    ] = None,
) -> None:
    """Work on jobs beside a gate, on this machine or another, until told to stop. Needs PostgreSQL."""
    # Decoding settings loads msgspec (40 ms), which `--help` need not pay.
    from aldgate.config.check import check_worker
    from aldgate.config.loader import load

    settings = load(flags={} if data is None else {"data": str(data)}, file=config)
    check_worker(settings)
    names = [name.strip() for name in engines.split(",") if name.strip()]
    module, _, attribute = ENTRY.partition(":")
    getattr(importlib.import_module(module), attribute)(settings, names, None if port is None else (host, port))
