"""`aldgate clients`: applications that authenticate with an id and a secret."""

import sys
from typing import Annotated, Any

import typer

from aldgate.cli.accounts import Cleared, Moved, Named, Renamed, Under, add_looking, changes, new, one, say_account
from aldgate.cli.client import connect
from aldgate.cli.errors import CliError
from aldgate.cli.group import group
from aldgate.cli.options import Json, Url
from aldgate.cli.output import note, say, say_json
from aldgate.cli.policies import takes_policy
from aldgate.core.hashes import hash_secret

PATH = "/admin/clients"
RELOAD = "/api/v1/clients/reload"

DefaultProvider = Annotated[str | None, typer.Option(help="Where prompts go that name no provider.")]
DefaultModel = Annotated[str | None, typer.Option(help="The model of that provider for prompts that name none.")]

app = group("Make, list, change and delete clients, and their secrets.")


@app.command()
@takes_policy
def create(
    name: Annotated[str, typer.Argument(help="What it is called: its client_id.")],
    policy: dict[str, Any],
    parent: Under = None,
    default_provider: DefaultProvider = None,
    default_model: DefaultModel = None,
    url: Url = None,
    as_json: Json = False,
) -> None:
    """Make a client. Its secret is shown this once."""
    body = new(name, parent, policy) | _defaults(default_provider, default_model)
    _say_secret(connect(url, admin=True).call("POST", PATH, body=body), as_json)


@app.command()
@takes_policy
def edit(
    account: Named,
    policy: dict[str, Any],
    name: Renamed = None,
    parent: Moved = None,
    default_provider: DefaultProvider = None,
    default_model: DefaultModel = None,
    clear: Cleared = None,
    url: Url = None,
    as_json: Json = False,
) -> None:
    """Change its name, what it is under, its defaults or its policy; what is not named stays."""
    body = changes(name, parent, policy, clear) | _defaults(default_provider, default_model)
    say_account(connect(url, admin=True).call("PATCH", one(PATH, account), body=body), as_json)


add_looking(app, PATH)


@app.command()
def rotate(
    account: Named,
    overlap: Annotated[str | None, typer.Option(help="How long the old secret works on, like 1h.")] = None,
    url: Url = None,
    as_json: Json = False,
) -> None:
    """Give a client a new secret. It is shown this once."""
    body = {} if overlap is None else {"overlap": overlap}
    answer = connect(url, admin=True).call("POST", f"{one(PATH, account)}/rotate", body=body)
    _say_secret(answer, as_json)
    if not as_json:
        note(f"The old secret works until {answer['old_expires_at']}.")


@app.command()
def reload(url: Url = None, as_json: Json = False) -> None:
    """Read the files of clients again."""
    answer = connect(url, admin=True).call("POST", RELOAD)
    if as_json:
        return say_json(answer)
    note(answer["message"])
    for each in answer["failed"]:
        note(f"{each['file']} stays as it was: {each['error']}")


@app.command("hash-secret")
def hash_one() -> None:
    """Hash a secret for a client's file. It is asked for, or read from the standard input."""
    secret = typer.prompt("Secret", hide_input=True, err=True) if sys.stdin.isatty() else sys.stdin.readline().rstrip("\r\n")
    if not (secret and secret.isascii() and secret.isprintable() and secret == secret.strip()):
        raise CliError("this is no secret that a header can carry", hint="give printable ASCII characters on one line")
    say(hash_secret(secret.encode()))


def _defaults(provider: str | None, model: str | None) -> dict[str, Any]:
    given = {"default_provider": provider, "default_model": model}
    return {field: value for field, value in given.items() if value is not None}


def _say_secret(client: dict[str, Any], as_json: bool) -> None:
    if as_json:
        return say_json(client)
    # The secret alone on stdout, so that SECRET=$(aldgate clients create app) holds it.
    say(client["client_secret"])
    note(f"Client `{client['client_id']}` has the id {client['id']}. Keep the secret now: it is not shown again.")
