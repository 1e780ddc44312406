"""`aldgate users`: make, invite, list, reset, disable and enable users."""

from typing import Annotated, Any
from urllib.parse import quote

import typer

from aldgate.cli.client import connect
from aldgate.cli.group import group
from aldgate.cli.options import Json, Url
from aldgate.cli.output import note, say, say_json, say_table

app = group("Make, invite, list, reset, disable and enable users.")

Name = Annotated[str, typer.Argument(help="The user's name, email address or id.")]
Role = Annotated[str, typer.Option(help="admin, member or viewer.")]
Team = Annotated[str | None, typer.Option(help="Team or organisation that the user is to be under.")]
Email = Annotated[str | None, typer.Option(help="Email address; it logs in as the name does.")]
Password = Annotated[bool, typer.Option("--password", help="Ask for the password instead of making one up.")]


@app.command()
def create(
    name: Annotated[str, typer.Argument(help="Name to log in by.")],
    role: Role = "member",
    email: Email = None,
    display_name: Annotated[str | None, typer.Option(help="What people are shown.")] = None,
    team: Team = None,
    password: Password = False,
    url: Url = None,
    as_json: Json = False,
) -> None:
    """Make a user. A password that was made up is shown this once, and has to be changed at the first login."""
    asked = {
        "name": name,
        "role": role,
        "email": email,
        "display_name": display_name,
        "team": team,
        "password": _asked() if password else None,
    }
    body = {field: value for field, value in asked.items() if value is not None}
    _say_password(connect(url, admin=True).call("POST", "/admin/users", body=body), as_json)


@app.command()
def reset(name: Name, password: Password = False, url: Url = None, as_json: Json = False) -> None:
    """Give a user another password, which has to be changed at the next login. All logins end."""
    body = {"password": _asked()} if password else {}
    _say_password(connect(url, admin=True).call("POST", f"/admin/users/{_segment(name)}/reset", body=body), as_json)


@app.command()
def disable(name: Name, url: Url = None, as_json: Json = False) -> None:
    """Let a user and all their keys do nothing any more, from now on."""
    _switch(name, "disable", url, as_json)


@app.command()
def enable(name: Name, url: Url = None, as_json: Json = False) -> None:
    """Let a user who was disabled, and all their keys, go on."""
    _switch(name, "enable", url, as_json)


@app.command("list")
def list_users(url: Url = None, as_json: Json = False) -> None:
    """List all users."""
    users = connect(url, admin=True).call("GET", "/admin/users")
    if as_json:
        return say_json(users)
    say_table(["name", "email", "role", "state", "last login", "id"], [_row(user) for user in users["users"]])


@app.command()
def invite(role: Role = "member", email: Email = None, team: Team = None, url: Url = None, as_json: Json = False) -> None:
    """Invite one person, for a week. The invite is shown this once."""
    body = {field: value for field, value in (("role", role), ("email", email), ("team", team)) if value is not None}
    invited = connect(url, admin=True).call("POST", "/admin/users/invites", body=body)
    if as_json:
        return say_json(invited)
    say(invited["invite_token"])
    note(f"Whoever has this may register as {invited['role']} until {invited['expires_at']}.")


def _asked() -> str:
    return typer.prompt("Password", hide_input=True, confirmation_prompt=True, err=True)


def _switch(name: str, act: str, url: str | None, as_json: bool) -> None:
    user = connect(url, admin=True).call("POST", f"/admin/users/{_segment(name)}/{act}", body={})
    if as_json:
        return say_json(user)
    say(f"User `{user['name']}` is {'active' if user['active'] else 'disabled'}.")


def _say_password(user: dict[str, Any], as_json: bool) -> None:
    if as_json:
        return say_json(user)
    if "password" in user:
        # The password alone on stdout, so that a script can hand it on.
        say(user["password"])
        note(f"User `{user['name']}` has to change this password at the first login. Keep it now: it is not shown again.")
    else:
        say(f"User `{user['name']}` has the id {user['id']}.")


def _row(user: dict[str, Any]) -> list[Any]:
    state = "active" if user["active"] else "disabled"
    return [user["name"], user.get("email"), user["role"], state, user.get("last_login_at"), user["id"]]


def _segment(text: str) -> str:
    """`text` as one segment of a path."""
    return quote(text, safe="")
