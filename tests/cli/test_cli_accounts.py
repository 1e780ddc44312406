import io
import json
from pathlib import Path
from typing import Any

import pytest

from aldgate.core.hashes import matches
from tests.cli.loopback_gate import Aldgate, LoopbackGate

TEAM: dict[str, Any] = {
    "id": "team-1",
    "kind": "team",
    "name": "lab\x1b[2J",
    "active": True,
    "parent": "org-1",
    "parent_name": "organisation:firm",
    "policy": {"limits": {"rpm": 60}, "budgets": ["10.00/month"], "expires_at": None},
    "created_at": "2026-11-21T10:00:00Z",
    "disabled_at": None,
}
CLIENT = TEAM | {"id": "client-1", "kind": "client", "name": "shop", "client_id": "shop", "client_secret": "ags-canary"}
OPTIONS = (
    "--scope chat --scope embed --model gpt* --provider openai --endpoint /v1/* --network 10.0.0.0/8 --rpm 60 --tpm 5 --tpd 9 "
    "--concurrency 4 --budget 10.00/month --budget 1/day --max-output-tokens 50 --expires 30d"
)
POLICY = {
    "scopes": ["chat", "embed"],
    "models": ["gpt*"],
    "providers": ["openai"],
    "endpoints": ["/v1/*"],
    "networks": ["10.0.0.0/8"],
    "budgets": ["10.00/month", "1/day"],
    "max_output_tokens": 50,
    "expires": "30d",
    "limits": {"rpm": 60, "tpm": 5, "tpd": 9, "concurrency": 4},
}


@pytest.mark.parametrize(("group", "path"), [("teams", "/admin/teams"), ("organisations", "/admin/organisations")])
def test_create_sends_only_what_was_given(aldgate: Aldgate, gate: LoopbackGate, group: str, path: str) -> None:
    gate.reply("POST", path, TEAM, status=201)
    result = aldgate(group, "create", "lab")
    assert (result.code, result.out, result.err) == (0, "team-1\n", "The team `lab[2J` is active.\n")
    aldgate(group, "create", "lab", "--parent", "organisation:firm", *OPTIONS.split())
    assert [each.body for each in gate.requests] == [
        {"name": "lab"},
        {"name": "lab", "parent": "organisation:firm", "policy": POLICY},
    ]


def test_a_file_holds_a_whole_policy_and_options_go_before_it(aldgate: Aldgate, gate: LoopbackGate, home: Path) -> None:
    gate.reply("POST", "/admin/teams", TEAM, status=201)
    (home / "policy.json").write_text('{"tools": [], "models": ["a"], "limits": {"rpm": 1, "tpd": 2}}')
    assert aldgate("teams", "create", "lab", "--policy", "policy.json", "--rpm", "60", "--model", "b", "--json").json == TEAM
    assert gate.requests[0].body["policy"] == {"tools": [], "models": ["b"], "limits": {"rpm": 60, "tpd": 2}}
    for text in ("[1]", "{", None):
        if text is not None:
            (home / "policy.json").write_text(text)
        name = "policy.json" if text is not None else "none.json"
        result = aldgate("teams", "create", "lab", "--policy", name)
        assert result.code == 1 and name in result.err
    assert len(gate.requests) == 1


def test_edit_sends_what_changes_and_null_for_what_goes(aldgate: Aldgate, gate: LoopbackGate) -> None:
    gate.reply("PATCH", "/admin/teams/a%20team", TEAM)
    options = ["--name", "b", "--parent", "", "--rpm", "5", "--clear", "models", "--clear", "limits.tpd"]
    assert aldgate("teams", "edit", "a team", *options).out == "team-1\n"
    policy = {"limits": {"rpm": 5, "tpd": None}, "models": None}
    assert gate.requests[0].body == {"name": "b", "parent": None, "policy": policy}


def test_list_prints_a_table_without_control_characters(aldgate: Aldgate, gate: LoopbackGate) -> None:
    disabled = TEAM | {"id": "team-2", "active": False, "disabled_at": "2026-11-21T11:00:00Z", "policy": {}, "parent_name": None}
    expired = TEAM | {"id": "team-3", "active": False}
    gate.reply("GET", "/admin/teams", {"data": [TEAM, disabled, expired]})
    lines = [line.split() for line in aldgate("teams", "list").out.splitlines()]
    assert lines[0] == ["name", "id", "state", "under", "limits", "budgets", "ends"]
    assert lines[1] == ["lab[2J", "team-1", "active", "organisation:firm", "rpm=60", "$10.00/month", "-"]
    assert [line[2] for line in lines[2:]] == ["disabled", "expired"] and lines[2][3:] == ["-"] * 4
    assert aldgate("teams", "list", "--json").json == {"data": [TEAM, disabled, expired]}


def test_show_disable_enable_delete(aldgate: Aldgate, gate: LoopbackGate) -> None:
    gate.reply("GET", "/admin/teams/lab", TEAM)
    gate.reply("POST", "/admin/teams/lab/disable", TEAM | {"active": False, "disabled_at": "2026-11-21T11:00:00Z"})
    gate.reply("POST", "/admin/teams/lab/enable", TEAM)
    gate.reply("DELETE", "/admin/teams/lab", {"id": "team-1", "deleted": True})
    assert aldgate("teams", "show", "lab").json == aldgate("teams", "show", "lab", "--json").json == TEAM
    assert "disabled" in aldgate("teams", "disable", "lab").err
    assert "active" in aldgate("teams", "enable", "lab").err
    assert aldgate("teams", "delete", "lab").err == "Deleted: team-1\n"
    assert aldgate("teams", "delete", "lab", "--json").json == {"id": "team-1", "deleted": True}


def test_a_clients_secret_alone_is_on_stdout(aldgate: Aldgate, gate: LoopbackGate) -> None:
    gate.reply("POST", "/admin/clients", CLIENT, status=201)
    result = aldgate("clients", "create", "shop", "--default-provider", "groq", "--default-model", "mixtral", "--rpm", "9")
    assert result.out == "ags-canary\n" and "client-1" in result.err and "ags-canary" not in result.err
    policy = {"limits": {"rpm": 9}}
    assert gate.requests[0].body == {"name": "shop", "policy": policy, "default_provider": "groq", "default_model": "mixtral"}
    gate.reply("POST", "/admin/clients/shop/rotate", CLIENT | {"old_expires_at": "2026-11-21T12:00:00Z"})
    result = aldgate("clients", "rotate", "shop", "--overlap", "1h")
    assert (result.out, gate.requests[1].body) == ("ags-canary\n", {"overlap": "1h"}) and "2026-11-21T12:00:00Z" in result.err
    gate.reply("PATCH", "/admin/clients/shop", CLIENT)
    aldgate("clients", "edit", "shop", "--default-model", "")
    assert gate.requests[2].body == {"default_model": ""}


def test_reload_names_what_could_not_be_used(aldgate: Aldgate, gate: LoopbackGate) -> None:
    told = {"message": "Successfully reloaded 2 client configurations", "count": 2}
    gate.reply("POST", "/api/v1/clients/reload", told | {"failed": [{"file": "a.json", "error": "it is bad"}]})
    assert aldgate("clients", "reload").err == f"{told['message']}\na.json stays as it was: it is bad\n"


def test_a_secret_is_hashed_without_a_gate(aldgate: Aldgate, gate: LoopbackGate, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("correct horse\n"))
    assert matches(b"correct horse", aldgate("clients", "hash-secret").out.strip())
    for bad in ("", "\n", " padded\n", "naïve\n", "tab\there\n"):
        monkeypatch.setattr("sys.stdin", io.StringIO(bad))
        assert aldgate("clients", "hash-secret").code == 1
    assert gate.requests == []


def test_keys_take_an_owner_and_a_policy_and_are_changed(aldgate: Aldgate, gate: LoopbackGate, home: Path) -> None:
    made = {"id": "key-1", "key": "agk-canary", "name": "app"}
    gate.reply("POST", "/admin/keys", made, status=201)
    gate.reply("PATCH", "/admin/keys/key-1", made)
    (home / "p.json").write_text(json.dumps({"tools": []}))
    aldgate("keys", "create", "app", *"--owner team:lab --model gpt* --policy p.json --budget 1/day --budget 9/month".split())
    policy = {"tools": [], "models": ["gpt*"]}
    assert gate.requests[0].body == {"name": "app", "owner": "team:lab", "budgets": ["1/day", "9/month"], "policy": policy}
    aldgate("keys", "edit", "key-1", *"--name new --expires never --rpm 5 --clear models".split())
    assert gate.requests[1].body == {"name": "new", "expires": None, "policy": {"limits": {"rpm": 5}, "models": None}}
    aldgate("keys", "edit", "key-1", "--expires", "30d")
    assert gate.requests[2].body == {"expires": "30d"}
