"""What `aldgate organisations`, `teams` and `clients` have in common."""

from collections.abc import Mapping
from typing import Annotated, Any
from urllib.parse import quote

import typer

from aldgate.cli.client import connect
from aldgate.cli.options import Json, Url
from aldgate.cli.output import note, say, say_json, say_table
from aldgate.cli.policies import takes_policy

Named = Annotated[str, typer.Argument(metavar="NAME", help="Its name, or its id.")]
Under = Annotated[str | None, typer.Option("--parent", help="What it is under, like team:research.")]
Renamed = Annotated[str | None, typer.Option("--name", help="A new name.")]
Moved = Annotated[str | None, typer.Option("--parent", help="What it is under from now on; empty: nothing.")]
Cleared = Annotated[list[str] | None, typer.Option("--clear", help="A field of its policy to take away; repeatable.")]

_COLUMNS = ("name", "id", "state", "under", "limits", "budgets", "ends")


def add_making(app: typer.Typer, path: str) -> None:
    """Give a group its `create` and `edit`."""

    @app.command()
    @takes_policy
    def create(
        name: Annotated[str, typer.Argument(help="What it is called.")],
        policy: dict[str, Any],
        parent: Under = None,
        url: Url = None,
        as_json: Json = False,
    ) -> None:
        """Make one."""
        say_account(connect(url, admin=True).call("POST", path, body=new(name, parent, policy)), as_json)

    @app.command()
    @takes_policy
    def edit(
        account: Named,
        policy: dict[str, Any],
        name: Renamed = None,
        parent: Moved = None,
        clear: Cleared = None,
        url: Url = None,
        as_json: Json = False,
    ) -> None:
        """Change its name, what it is under, or its policy; what is not named stays."""
        body = changes(name, parent, policy, clear)
        say_account(connect(url, admin=True).call("PATCH", one(path, account), body=body), as_json)

    del create, edit


def add_looking(app: typer.Typer, path: str) -> None:
    """Give a group its `list`, `show`, `disable`, `enable` and `delete`."""

    @app.command("list")
    def list_all(url: Url = None, as_json: Json = False) -> None:
        """List all of them."""
        found = connect(url, admin=True).call("GET", path)
        if as_json:
            return say_json(found)
        say_table(_COLUMNS, [_row(account) for account in found["data"]])

    @app.command()
    def show(account: Named, url: Url = None, as_json: Json = False) -> None:
        """Show one with its whole policy, as JSON."""
        del as_json  # there is no other form
        say_json(connect(url, admin=True).call("GET", one(path, account)))

    @app.command()
    def disable(account: Named, url: Url = None, as_json: Json = False) -> None:
        """Refuse every call under it from now on."""
        say_account(connect(url, admin=True).call("POST", f"{one(path, account)}/disable"), as_json)

    @app.command()
    def enable(account: Named, url: Url = None, as_json: Json = False) -> None:
        """Let it call again."""
        say_account(connect(url, admin=True).call("POST", f"{one(path, account)}/enable"), as_json)

    @app.command()
    def delete(account: Named, url: Url = None, as_json: Json = False) -> None:
        """Forget it. Not while keys or other accounts are under it."""
        answer = connect(url, admin=True).call("DELETE", one(path, account))
        say_json(answer) if as_json else note(f"Deleted: {answer['id']}")

    del list_all, show, disable, enable, delete


def new(name: str, parent: str | None, policy: dict[str, Any]) -> dict[str, Any]:
    """The body that makes an account: only what was given."""
    return {"name": name, **({"parent": parent} if parent else {}), **({"policy": policy} if policy else {})}


def changes(name: str | None, parent: str | None, policy: dict[str, Any], clear: list[str] | None) -> dict[str, Any]:
    """The body that changes an account: only what was given, and null for what is to be taken away."""
    body: dict[str, Any] = {} if name is None else {"name": name}
    if parent is not None:
        body["parent"] = parent or None
    for field in clear or ():
        table, _, inner = field.partition(".")
        if inner:
            policy.setdefault(table, {}).setdefault(inner, None)
        else:
            policy.setdefault(table, None)
    return {**body, "policy": policy} if policy else body


def one(path: str, name: str) -> str:
    """The path of one account."""
    return f"{path}/{quote(name, safe='')}"


def say_account(account: Mapping[str, Any], as_json: bool) -> None:
    """Print the id of an account that was made or changed, or all of it."""
    if as_json:
        return say_json(account)
    say(account["id"])
    note(f"The {account['kind']} `{account['name']}` is {_state(account)}.")


def _row(account: Mapping[str, Any]) -> list[Any]:
    policy: Mapping[str, Any] = account["policy"]
    limits: Mapping[str, Any] = policy.get("limits") or {}
    return [
        account["name"],
        account["id"],
        _state(account),
        account.get("parent_name"),
        " ".join(f"{name}={value}" for name, value in limits.items()) or None,
        " ".join(f"${budget}" for budget in policy.get("budgets") or ()) or None,
        policy.get("expires_at"),
    ]


def _state(account: Mapping[str, Any]) -> str:
    return "active" if account["active"] else "disabled" if account.get("disabled_at") else "expired"
