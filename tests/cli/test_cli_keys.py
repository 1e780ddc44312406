from typing import Any

from tests.cli.loopback_gate import KEY, Aldgate, LoopbackGate

NEW: dict[str, Any] = {
    "id": "key_1",
    "key": "ald-canary",
    "name": "app",
    "prefix": "ald-can",
    "scopes": ["chat"],
    "limits": {"rpm": 60},
    "budget": {"usd": "10.00", "microusd": 10_000_000, "period": "month"},
    "created_at": "2026-11-21T10:00:00Z",
    "expires_at": None,
}
LISTED: dict[str, Any] = {
    "id": "key_1",
    "name": "app\x1b[2J",
    "prefix": "ald-can",
    "active": True,
    "usage_count": 3,
    "created": "2026-11-21T10:00:00Z",
    "created_at": "2026-11-21T10:00:00Z",
    "expires_at": None,
    "revoked_at": None,
    "last_used_at": "2026-11-21T11:00:00Z",
    "scopes": ["chat"],
    "limits": {"rpm": 60, "tpm": None},
    "budget": {"usd": "10.00", "microusd": 10_000_000, "period": "month"},
}


def test_create_sends_only_what_was_given(aldgate: Aldgate, gate: LoopbackGate) -> None:
    gate.reply("POST", "/admin/keys", NEW, status=201)
    result = aldgate("keys", "create", "app")
    assert (result.code, result.out) == (0, "ald-canary\n")
    assert "key_1" in result.err
    assert gate.requests[0].body == {"name": "app"}
    assert gate.requests[0].authorization == f"Bearer {KEY}"


def test_create_sends_all_that_was_given_as_written(aldgate: Aldgate, gate: LoopbackGate) -> None:
    gate.reply("POST", "/admin/keys", NEW, status=201)
    options = (
        "--rpm 60 --tpm 1000 --tpd 9000 --concurrency 4 --budget 10.00/month --expires 30d --scope chat --scope embed --json"
    )
    result = aldgate("keys", "create", "app", *options.split())
    assert result.json == NEW
    assert result.err == ""
    assert gate.requests[0].body == {
        "name": "app",
        "rpm": 60,
        "tpm": 1000,
        "tpd": 9000,
        "concurrency": 4,
        "budget": "10.00/month",
        "expires": "30d",
        "scopes": ["chat", "embed"],
    }


def test_a_refused_budget_says_what_the_gate_says(aldgate: Aldgate, gate: LoopbackGate) -> None:
    gate.reply("POST", "/admin/keys", {"detail": "write a budget like `10.00/month`", "code": "invalid_request"}, status=400)
    result = aldgate("keys", "create", "app", "--budget", "ten")
    assert result.code == 1
    assert result.err.startswith("error: write a budget like `10.00/month`\nhint: ")


def test_a_limit_below_one_is_wrong_usage(aldgate: Aldgate, gate: LoopbackGate) -> None:
    result = aldgate("keys", "create", "app", "--rpm", "0")
    assert result.code == 2
    assert "--rpm" in result.err
    assert "hint: `aldgate keys create --help`" in result.err
    assert gate.requests == []


def test_list_prints_a_table_without_control_characters(aldgate: Aldgate, gate: LoopbackGate) -> None:
    revoked = LISTED | {"id": "key_2", "active": False, "revoked_at": "2026-11-21T12:00:00Z", "budget": None, "limits": {}}
    expired = LISTED | {"id": "key_3", "active": False, "last_used_at": None}
    gate.reply("GET", "/admin/keys", {"keys": [LISTED, revoked, expired]})
    lines = aldgate("keys", "list").out.splitlines()
    assert lines[0].split()[:5] == ["id", "name", "prefix", "state", "uses"]
    assert lines[1].split() == [
        "key_1",
        "app[2J",
        "ald-can",
        "active",
        "3",
        "2026-11-21T11:00:00Z",
        "rpm=60",
        "$10.00/month",
        "-",
    ]
    assert [line.split()[3] for line in lines[1:]] == ["active", "revoked", "expired"]


def test_list_as_json_is_the_answer_itself(aldgate: Aldgate, gate: LoopbackGate) -> None:
    gate.reply("GET", "/admin/keys", {"keys": [LISTED]})
    assert aldgate("keys", "list", "--json").json == {"keys": [LISTED]}


def test_revoke_names_the_key_as_one_segment(aldgate: Aldgate, gate: LoopbackGate) -> None:
    gate.reply("DELETE", "/admin/keys/a%2F..%2Fb", {"id": "a/../b", "message": "Key revoked"})
    result = aldgate("keys", "revoke", "a/../b")
    assert (result.code, result.err) == (0, "Key revoked: a/../b\n")


def test_an_unknown_key_cannot_be_revoked(aldgate: Aldgate, gate: LoopbackGate) -> None:
    gate.reply("DELETE", "/admin/keys/key_9", {"detail": "no key has this id"}, status=404)
    result = aldgate("keys", "revoke", "key_9")
    assert result.code == 1
    assert result.err.startswith("error: no key has this id\nhint: ")
    assert "aldgate keys list" in result.err


def test_rotate_says_until_when_the_old_secret_works(aldgate: Aldgate, gate: LoopbackGate) -> None:
    gate.reply("POST", "/admin/keys/key_1/rotate", NEW | {"old_expires_at": "2026-11-21T13:00:00Z"})
    result = aldgate("keys", "rotate", "key_1", "--overlap", "1h")
    assert (gate.requests[0].body, result.out) == ({"overlap": "1h"}, "ald-canary\n")
    assert "until 2026-11-21T13:00:00Z" in result.err
    assert aldgate("keys", "rotate", "key_1", "--json").json["key"] == "ald-canary"
    assert gate.requests[1].body == {}
