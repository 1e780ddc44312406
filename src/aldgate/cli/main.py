"""The command line's entry: which commands there are, and how each error ends."""

import sys
from collections.abc import Sequence
from typing import Annotated

import typer
from typer.main import get_command

from aldgate.cli import audit, budgets, clients, config, db, gpu, jobs, keys, models, organisations, teams, usage, users, verify
from aldgate.cli.chat import chat
from aldgate.cli.errors import CliError
from aldgate.cli.explain import explain
from aldgate.cli.generate import generate
from aldgate.cli.group import Help
from aldgate.cli.output import note
from aldgate.cli.reconcile import reconcile
from aldgate.cli.selftest import selftest
from aldgate.cli.serve import serve
from aldgate.cli.statement import statement
from aldgate.cli.version import version
from aldgate.cli.worker import worker
from aldgate.config.errors import ConfigError

# Plain help: rich would double the time that `--help` takes.
app = typer.Typer(rich_markup_mode=None, add_completion=False, pretty_exceptions_enable=False)
app.command()(serve)
app.command()(worker)
app.add_typer(keys.app, name="keys")
app.add_typer(organisations.app, name="organisations")
app.add_typer(teams.app, name="teams")
app.add_typer(clients.app, name="clients")
app.add_typer(users.app, name="users")
app.add_typer(models.app, name="models")
app.add_typer(usage.app, name="usage")
app.add_typer(gpu.app, name="gpu")
app.add_typer(jobs.app, name="jobs")
app.command()(generate)
app.command()(statement)
app.command()(reconcile)
app.add_typer(audit.app, name="audit")
app.add_typer(budgets.app, name="budgets")
app.command()(chat)
app.command()(explain)
app.command()(selftest)
app.add_typer(verify.app, name="verify")
app.add_typer(config.app, name="config")
app.add_typer(db.app, name="db")
app.command()(version)


@app.callback(invoke_without_command=True, add_help_option=False)
def root(
    context: typer.Context,
    show_version: Annotated[bool, typer.Option("--version", help="Print the version and exit.")] = False,
    show_help: Help = False,
) -> None:
    """One gate in front of every model: the commercial APIs you pay for and the GPUs you own."""
    del show_help
    if show_version:
        version()
    elif context.invoked_subcommand is None:
        typer.echo(context.get_help())


def run(arguments: Sequence[str]) -> int:
    """Run one command and return its exit code: 0, 1 for a failure, 2 for wrong usage, 130 when interrupted."""
    try:
        result = get_command(app).main(args=list(arguments), prog_name="aldgate", standalone_mode=False)
    except (CliError, ConfigError) as error:
        return _complain(error.message, error.hint, 1)
    except typer.TyperException as error:
        # Only usage errors know the command they were made in.
        context: typer.Context | None = getattr(error, "ctx", None)
        path = context.command_path if context is not None else "aldgate"
        return _complain(error.format_message(), f"`{path} --help` shows how it is used", error.exit_code)
    except typer.Abort:
        return _complain("interrupted", "nothing was left half done here; the gate may still finish the call", 130)
    return result if isinstance(result, int) else 0


def main() -> None:
    """Entry point of the `aldgate` command."""
    sys.exit(run(sys.argv[1:]))


def _complain(message: str, hint: str, exit_code: int) -> int:
    note(f"error: {message}\nhint: {hint}")
    return exit_code


if __name__ == "__main__":
    main()
