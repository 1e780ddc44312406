"""`aldgate db`: whether the database's tables are as this version needs them, and making them so. The gate need not run."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from aldgate.cli.errors import CliError
from aldgate.cli.group import group
from aldgate.cli.options import ConfigFile, Json
from aldgate.cli.output import note, say, say_json

if TYPE_CHECKING:
    from aldgate.store.schema import Shape

app = group("Check the tables of the database, and upgrade them before a new version starts.")

Data = Annotated[Path | None, typer.Option(metavar="DIR", help="Directory of everything that is kept.")]


@app.command()
def check(config: ConfigFile = None, data: Data = None, as_json: Json = False) -> None:
    """Say what the tables lack. Exits with 1 if anything, or if a newer version has changed them; changes nothing."""
    from aldgate.store.schema import REVISION

    shape, _ = _shapes(config, data, upgrades=False)
    if as_json:
        missing = [step._asdict() for step in shape.missing]
        say_json({"revision": shape.revision, "newest": REVISION, "missing": missing, "is_newer": shape.is_newer})
    else:
        for step in shape.missing:
            say(f"{step.revision}  {step.what}")
    if shape.is_newer:
        raise _newer(shape)
    if shape.missing:
        note(f"at {shape.revision or 'nothing'}; `aldgate db upgrade`, or the next start, brings it to {REVISION}")
        raise typer.Exit(1)
    note(f"ok: at {REVISION}")


@app.command()
def upgrade(config: ConfigFile = None, data: Data = None, as_json: Json = False) -> None:
    """Bring the tables to the newest shape, as the next start would; gates of this version that run meanwhile go on."""
    before, after = _shapes(config, data, upgrades=True)
    if as_json:
        return say_json({"from": before.revision, "to": after.revision})
    say(f"{before.revision or 'nothing'} -> {after.revision}")


def _shapes(config: Path | None, data: Path | None, *, upgrades: bool) -> tuple[Shape, Shape]:
    from aldgate.config.loader import load
    from aldgate.core.errors import GatewayError
    from aldgate.store.stores import open_store

    settings = load(flags={} if data is None else {"data": str(data)}, file=config)
    store = open_store(settings, "db")

    async def work() -> tuple[Shape, Shape]:
        try:
            before = await store.shape()
            if not upgrades:
                return before, before
            if before.is_newer:
                raise _newer(before)
            await store.upgrade()
            return before, await store.shape()
        finally:
            await store.aclose()

    try:
        return asyncio.run(work())
    except GatewayError as error:
        raise CliError(error.message, hint=f"look at `store` and `data` in the configuration ({error.__cause__})") from error


def _newer(shape: Shape) -> CliError:
    return CliError(f"the database is at {shape.revision}, which this version does not know", hint="upgrade the program")
