"""`aldgate serve`: start the gate."""

import importlib
from pathlib import Path
from typing import Annotated

import typer

from aldgate.cli.options import ConfigFile

ENTRY = "aldgate.app:serve"
"""What serves, given the settings. A text, because nothing here may import the whole gate before the settings are known good."""


def serve(
    host: Annotated[str | None, typer.Option(help="Address to bind; 127.0.0.1 if nothing says otherwise.")] = None,
    port: Annotated[
        list[int] | None,
        typer.Option(min=0, max=65_535, help="Port to bind; repeat it for several; 8000 if nothing says otherwise."),
    ] = None,
    data: Annotated[Path | None, typer.Option(metavar="DIR", help="Directory of everything that is kept.")] = None,
    config: ConfigFile = None,
    workers: Annotated[
        int | None, typer.Option(min=1, help="Processes that serve; more than 1 needs PostgreSQL and Valkey.")
    ] = None,
    no_worker: Annotated[bool, typer.Option("--no-worker", help="Leave jobs to `aldgate worker`.")] = False,
) -> None:
    """Start the gate and run it until it is told to stop."""
    # Decoding settings loads msgspec (40 ms), which `--help` need not pay.
    from aldgate.config.check import check_workers
    from aldgate.config.loader import load

    settings = load(flags=_flags(host, port or [], data, workers, no_worker), file=config)
    check_workers(settings)
    module, _, attribute = ENTRY.partition(":")
    getattr(importlib.import_module(module), attribute)(settings)


def _flags(host: str | None, ports: list[int], data: Path | None, workers: int | None, no_worker: bool) -> dict[str, str]:
    given = {
        "server.host": host,
        "server.port": str(ports[0]) if ports else None,
        "server.listen": ",".join(f":{port}" for port in ports) if len(ports) > 1 else None,
        "data": None if data is None else str(data),
        "server.workers": None if workers is None else str(workers),
        "jobs.worker": "false" if no_worker else None,
    }
    return {path: text for path, text in given.items() if text is not None}
