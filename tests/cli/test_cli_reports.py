"""`aldgate usage`, `statement`, `reconcile` and `audit`: what they ask, and what they make of the answer."""

from pathlib import Path
from typing import Any

from tests.cli.loopback_gate import Aldgate, LoopbackGate

ROW: dict[str, Any] = {
    "seq": 7,
    "at": "2026-11-21T12:00:00+00:00",
    "who_name": "admin",
    "origin": "127.0.0.1",
    "act": "key.create",
    "target": "key-1",
    "outcome": "done",
    "details": "{}",
}
DIFFERENCE: dict[str, Any] = {
    "kind": "tokens_differ",
    "day": "2026-11-21",
    "model": "m",
    "message": "+5 input tokens there for the same calls",
    "ours": {"requests": 1, "input": 10, "output": 5, "cached": 0, "cache_write": 0, "cost_microusd": 1},
    "theirs": {"requests": 1, "input": 15, "output": 5, "cached": None, "cache_write": None, "cost_microusd": None},
    "request_id": None,
}


def test_usage_takes_filters_a_month_and_csv(aldgate: Aldgate, gate: LoopbackGate) -> None:
    gate.reply("GET", "/v1/usage?group_by=day&month=2026-11&model=lab%2Fm&user=ann&limit=5", b"day,calls\r\n2026-11-21,3\r\n")
    asked = ["--by", "day", "--month", "2026-11", "--where", "model=lab/m", "--where", "user=ann", "--limit", "5", "--csv"]
    assert aldgate("usage", *asked).out.splitlines() == ["day,calls", "2026-11-21,3"]


def test_the_ledger_is_exported(aldgate: Aldgate, gate: LoopbackGate) -> None:
    gate.reply("GET", "/admin/ledger?since=7d&status=429", b"call_id\r\nreq-1\r\n")
    assert aldgate("usage", "export", "--since", "7d", "--where", "status=429").out.splitlines() == ["call_id", "req-1"]


def test_a_statement_is_printed_as_it_comes(aldgate: Aldgate, gate: LoopbackGate) -> None:
    gate.reply("GET", "/admin/statements/team%3Asearch?month=2026-11", b'{"account": "team-1"}')
    assert aldgate("statement", "team:search", "--month", "2026-11").out == '{"account": "team-1"}'
    assert aldgate("statement", "team:search", "--month", "2026-11", "--json").json == {"account": "team-1"}


def test_a_reconciliation_lists_differences_and_fails(aldgate: Aldgate, gate: LoopbackGate, tmp_path: Path) -> None:
    export = tmp_path / "export.csv"
    export.write_text("1")  # the fake gate reads every body as JSON
    target = "/admin/reconcile?provider=lab&month=2026-11&layout=generic&column=day%3DDate&model=A%3Db"
    report = {"layout": "generic", "compared": 2, "agreeing": 1, "differences": [DIFFERENCE], "requests": []}
    gate.reply("POST", target, report)
    options = ["--month", "2026-11", "--layout", "generic", "--column", "day=Date", "--model", "A=b"]
    result = aldgate("reconcile", "lab", str(export), *options)
    assert result.code == 1 and "requests 1, input 10, output 5, $0.000001" in result.out
    assert "+5 input tokens there" in result.out and "1 of 2 days and models agree" in result.err
    gate.reply(
        "POST", "/admin/reconcile?provider=lab", {**report, "differences": [{**DIFFERENCE, "request_id": "req-1", "ours": None}]}
    )
    assert "req-1: +5 input" in aldgate("reconcile", "lab", str(export)).out
    assert aldgate("reconcile", "lab", str(export), "--json").json["compared"] == 2


def test_a_file_that_is_not_there_is_named(aldgate: Aldgate, tmp_path: Path) -> None:
    result = aldgate("reconcile", "lab", str(tmp_path / "nothing.csv"))
    assert result.code == 1 and "nothing.csv cannot be read" in result.err


def test_acts_are_listed(aldgate: Aldgate, gate: LoopbackGate) -> None:
    gate.reply("GET", "/admin/audit?outcome=done&limit=10&act=key.create", {"object": "list", "data": [ROW], "has_more": False})
    lines = aldgate("audit", "list", "--act", "key.create", "--outcome", "done", "--limit", "10").out.splitlines()
    assert lines[0].split() == ["seq", "at", "who", "origin", "act", "target", "outcome", "details"]
    assert lines[1].split() == ["7", "2026-11-21T12:00:00+00:00", "admin", "127.0.0.1", "key.create", "key-1", "done", "{}"]


def test_a_broken_log_is_a_failure(aldgate: Aldgate, gate: LoopbackGate) -> None:
    finding = {"seq": 2, "what": "removed", "message": "row 2 was removed"}
    gate.reply("GET", "/admin/audit/verify", {"is_whole": True, "rows": 3, "anchor": "3:00", "findings": []})
    gate.reply(
        "GET", "/admin/audit/verify?anchor=3%3A00", {"is_whole": False, "rows": 2, "anchor": "3:00", "findings": [finding]}
    )
    good, bad = aldgate("audit", "verify"), aldgate("audit", "verify", "--anchor", "3:00")
    assert (good.code, good.out, good.err) == (0, "", "3 rows, whole; anchor 3:00\n")
    assert (bad.code, bad.out) == (1, "row 2 was removed\n") and "NOT whole" in bad.err


def test_an_anchor_and_the_export(aldgate: Aldgate, gate: LoopbackGate) -> None:
    gate.reply("GET", "/admin/audit/anchor", {"anchor": "3:00"})
    gate.reply("GET", "/admin/audit?since=2026-11-01", b"seq\r\n1\r\n")
    assert aldgate("audit", "anchor").out == "3:00\n"
    assert aldgate("audit", "anchor", "--json").json == {"anchor": "3:00"}
    assert aldgate("audit", "export", "--since", "2026-11-01").out.splitlines() == ["seq", "1"]
