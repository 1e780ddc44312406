"""`aldgate selftest` against a real gate, and against one that refuses nothing."""

from collections.abc import Iterator

import pytest

from aldgate.cli.selftest import SMUGGLED
from tests.cli.loopback_gate import Aldgate, LoopbackGate
from tests.cli.serving import Serving

ADMIN_KEY = "k9Xw2-Lq7Zt4_Rv8Nc1Bd5Hm3Js6Fg0Pa"


@pytest.fixture(scope="module")
def serving(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serving]:
    with Serving(tmp_path_factory.mktemp("gate"), "--port", "0", ALDGATE_ADMIN_KEY=ADMIN_KEY) as serving:
        yield serving


def test_a_gate_passes_and_nothing_is_left(serving: Serving) -> None:
    tested = serving.aldgate("selftest", "--security", "--json", key=ADMIN_KEY)
    assert tested.code == 0, tested.out
    assert tested.json["findings"] == 0
    assert len(tested.json["checks"]) > 15 + len(SMUGGLED) - 3
    keys = serving.aldgate("keys", "list", "--json", key=ADMIN_KEY).json["keys"]
    assert len(keys) == 5 and not any(key["active"] for key in keys)


def test_nothing_asked_for_is_nothing_done(aldgate: Aldgate) -> None:
    tested = aldgate("selftest")
    assert (tested.code, tested.out) == (1, "") and "--security" in tested.err


def test_what_is_let_through_is_found_and_the_keys_are_revoked(
    aldgate: Aldgate, gate: LoopbackGate, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A gate that answers everybody, lets every page read, and whose audit log was changed."""
    monkeypatch.setattr("aldgate.cli.selftest.SMUGGLED", {})
    paths = {"/admin/keys": {"get": {"tags": ["admin"]}}, "/health": {"get": {"tags": ["operations"], "security": []}}}
    gate.reply("GET", "/openapi.json", {"paths": paths})
    gate.reply("POST", "/admin/keys", {"id": "key-1", "key": "agk-throwaway"}, status=201)
    key = {"id": "key-0", "active": True, "scopes": ["admin"], "expires_at": None}
    gate.reply("GET", "/admin/keys", {"keys": [key]})
    gate.reply("DELETE", "/admin/keys/key-1", {"id": "key-1"})
    gate.reply("GET", "/health", {}, access_control_allow_origin="*")
    gate.reply("GET", "/admin/audit/verify", {"is_whole": False})
    tested = aldgate("selftest", "--security")
    assert tested.code == 1, tested.err
    found = [line for line in tested.out.splitlines() if "FINDING" in line]
    for word in ("no credential", "unknown key", "caller's key", "foreign page's request", "/docs", "audit log"):
        assert any(word in line for line in found), (word, tested.out, tested.err)
    assert any("key-0" in line and "note" in line for line in tested.out.splitlines())
    assert sum(asked.method == "DELETE" and asked.target == "/admin/keys/key-1" for asked in gate.requests) == 6
    assert "agk-throwaway" not in tested.out + tested.err
