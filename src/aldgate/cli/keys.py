"""`aldgate keys`: make, list, change, revoke and rotate API keys."""

from pathlib import Path
from typing import Annotated, Any
from urllib.parse import quote

import typer

from aldgate.cli.accounts import Cleared, changes
from aldgate.cli.client import connect
from aldgate.cli.group import group
from aldgate.cli.options import Json, Url
from aldgate.cli.output import note, say, say_json, say_table
from aldgate.cli.policies import read_policy, takes_policy

app = group("Make, list, change, revoke and rotate API keys.")


@app.command()
def create(
    name: Annotated[str, typer.Argument(help="What people will know the key by.")],
    rpm: Annotated[int | None, typer.Option(min=1, help="Requests per minute.")] = None,
    tpm: Annotated[int | None, typer.Option(min=1, help="Tokens per minute.")] = None,
    tpd: Annotated[int | None, typer.Option(min=1, help="Tokens per day.")] = None,
    concurrency: Annotated[int | None, typer.Option(min=1, help="Calls at once.")] = None,
    budget: Annotated[list[str] | None, typer.Option(help="Dollars per period, like 10.00/month; one for each period.")] = None,
    expires: Annotated[str | None, typer.Option(help="When it ends, like 30d, 12h or 90m from now.")] = None,
    scope: Annotated[list[str] | None, typer.Option(help="What it may do, like chat or embed; repeatable.")] = None,
    model: Annotated[list[str] | None, typer.Option(help="A model it may call, or a pattern; repeatable.")] = None,
    owner: Annotated[str | None, typer.Option(help="Whose key it is, like team:research or client:shop.")] = None,
    policy: Annotated[Path | None, typer.Option(help="JSON file of a policy; the options above go before it.")] = None,
    url: Url = None,
    as_json: Json = False,
) -> None:
    """Make a key. It is shown this once."""
    asked = {
        "name": name,
        "rpm": rpm,
        "tpm": tpm,
        "tpd": tpd,
        "concurrency": concurrency,
        "budget": budget[0] if budget and len(budget) == 1 else None,
        "budgets": budget if budget and len(budget) > 1 else None,
        "expires": expires,
        "scopes": scope or None,
        "owner": owner,
        "policy": {**({} if policy is None else read_policy(policy)), **({"models": model} if model else {})} or None,
    }
    body = {field: value for field, value in asked.items() if value is not None}
    _say_new(connect(url, admin=True).call("POST", "/admin/keys", body=body), as_json)


@app.command("list")
def list_keys(url: Url = None, as_json: Json = False) -> None:
    """List all keys, without their secrets."""
    keys = connect(url, admin=True).call("GET", "/admin/keys")
    if as_json:
        return say_json(keys)
    columns = ["id", "name", "prefix", "state", "uses", "last used", "limits", "budget", "expires"]
    say_table(columns, [_row(key) for key in keys["keys"]])


@app.command()
@takes_policy
def edit(
    key_id: Annotated[str, typer.Argument(metavar="ID")],
    policy: dict[str, Any],
    name: Annotated[str | None, typer.Option(help="A new name.")] = None,
    expires: Annotated[str | None, typer.Option(help="When it ends, like 30d from now; `never`: not.")] = None,
    clear: Cleared = None,
    url: Url = None,
    as_json: Json = False,
) -> None:
    """Change a key's name, end or policy; what is not named stays. Its secret and history stay, too."""
    body = changes(name, None, policy, clear)
    if expires is not None:
        body["expires"] = None if expires == "never" else expires
    key = connect(url, admin=True).call("PATCH", f"/admin/keys/{_segment(key_id)}", body=body)
    if as_json:
        return say_json(key)
    note(f"Key `{key['name']}` was changed: {key['id']}")


@app.command()
def revoke(key_id: Annotated[str, typer.Argument(metavar="ID")], url: Url = None, as_json: Json = False) -> None:
    """End a key at once."""
    answer = connect(url, admin=True).call("DELETE", f"/admin/keys/{_segment(key_id)}")
    if as_json:
        return say_json(answer)
    note(f"{answer['message']}: {answer['id']}")


@app.command()
def rotate(
    key_id: Annotated[str, typer.Argument(metavar="ID")],
    overlap: Annotated[str | None, typer.Option(help="How long the old secret works on, like 1h.")] = None,
    url: Url = None,
    as_json: Json = False,
) -> None:
    """Give a key a new secret. It is shown this once."""
    body = {} if overlap is None else {"overlap": overlap}
    answer = connect(url, admin=True).call("POST", f"/admin/keys/{_segment(key_id)}/rotate", body=body)
    _say_new(answer, as_json)
    if not as_json and answer.get("old_expires_at"):
        note(f"The old secret works until {answer['old_expires_at']}.")


def _say_new(key: dict[str, Any], as_json: bool) -> None:
    if as_json:
        return say_json(key)
    # The key alone on stdout, so that KEY=$(aldgate keys create app) holds it.
    say(key["key"])
    note(f"Key `{key['name']}` has the id {key['id']}. Keep the key now: it is not shown again.")


def _row(key: dict[str, Any]) -> list[Any]:
    limits: dict[str, Any] = key.get("limits") or {}
    budget: dict[str, Any] | None = key.get("budget")
    return [
        key["id"],
        key["name"],
        key["prefix"],
        "active" if key["active"] else "revoked" if key.get("revoked_at") else "expired",
        key["usage_count"],
        key.get("last_used_at"),
        " ".join(f"{name}={value}" for name, value in limits.items() if value is not None) or None,
        budget and f"${budget['usd']}/{budget['period']}",
        key.get("expires_at"),
    ]


def _segment(text: str) -> str:
    """`text` as one segment of a path."""
    return quote(text, safe="")
