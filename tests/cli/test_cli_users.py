from typing import Any

import pytest

from aldgate.cli import users
from tests.cli.loopback_gate import KEY, Aldgate, LoopbackGate

ADA: dict[str, Any] = {
    "id": "user-1",
    "name": "ada",
    "email": None,
    "role": "member",
    "active": True,
    "last_login_at": None,
    "must_change_password": True,
}


def test_create_prints_the_password_alone(aldgate: Aldgate, gate: LoopbackGate) -> None:
    gate.reply("POST", "/admin/users", {**ADA, "password": "made-up"}, status=201)
    result = aldgate("users", "create", "ada", "--role", "viewer", "--team", "physics")
    assert (result.code, result.out) == (0, "made-up\n") and "ada" in result.err
    assert gate.requests[0].body == {"name": "ada", "role": "viewer", "team": "physics"}
    assert gate.requests[0].authorization == f"Bearer {KEY}"


def test_create_asks_for_a_password_that_is_not_an_argument(
    aldgate: Aldgate, gate: LoopbackGate, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(users.typer, "prompt", lambda *_, **__: "correct horse")
    gate.reply("POST", "/admin/users", {**ADA, "must_change_password": False}, status=201)
    result = aldgate("users", "create", "ada", "--password")
    assert result.code == 0 and "correct horse" not in result.out + result.err
    assert gate.requests[0].body == {"name": "ada", "role": "member", "password": "correct horse"}


def test_reset_disable_and_enable_name_the_user_in_the_path(aldgate: Aldgate, gate: LoopbackGate) -> None:
    gate.reply("POST", "/admin/users/a%2Fda/reset", {**ADA, "password": "made-up"})
    gate.reply("POST", "/admin/users/ada/disable", {**ADA, "active": False})
    gate.reply("POST", "/admin/users/ada/enable", ADA)
    assert aldgate("users", "reset", "a/da").out == "made-up\n"
    assert aldgate("users", "disable", "ada").out == "User `ada` is disabled.\n"
    assert aldgate("users", "enable", "ada").out == "User `ada` is active.\n"
    assert [request.body for request in gate.requests] == [{}, {}, {}]


def test_list_shows_who_there_is(aldgate: Aldgate, gate: LoopbackGate) -> None:
    gate.reply("GET", "/admin/users", {"users": [ADA, {**ADA, "name": "bo\x1b[2J", "active": False}]})
    result = aldgate("users", "list")
    header, ada, bo = result.out.splitlines()
    assert header.split() == ["name", "email", "role", "state", "last", "login", "id"]
    assert ada.split()[0] == "ada" and "disabled" in bo and "\x1b" not in result.out


def test_invite_prints_the_invite_alone(aldgate: Aldgate, gate: LoopbackGate) -> None:
    invite = {"invite_token": "agi-1", "role": "admin", "expires_at": "2026-11-28T10:00:00+00:00"}
    gate.reply("POST", "/admin/users/invites", invite, status=201)
    result = aldgate("users", "invite", "--role", "admin", "--email", "ada@x.org")
    assert result.out == "agi-1\n" and "2026-11-28" in result.err
    assert gate.requests[0].body == {"role": "admin", "email": "ada@x.org"}
