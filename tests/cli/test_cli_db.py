"""`aldgate db`, on databases of this version, of older ones and of one to come."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from aldgate.store.schema import REVISION
from tests.cli.loopback_gate import Aldgate
from tests.store.versions import make, move


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, home: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The database that is configured; there is nothing in it."""

    url = f"sqlite:///{home}/aldgate.db" if request.param == "sqlite" else request.getfixturevalue("new_postgres")()
    monkeypatch.setenv("ALDGATE_STORE", url)
    return url


def test_what_is_missing_is_told_and_done(aldgate: Aldgate, url: str) -> None:
    make(url, "0009")
    told = aldgate("db", "check")
    assert told.code == 1
    assert [line.split()[0] for line in told.out.splitlines()] == ["0010", "0011", "0012", "0013", "0014", "0015", "0016"]
    assert "The audit log." in told.out and "`aldgate db upgrade`" in told.err
    assert aldgate("db", "check", "--json").json == {
        "revision": "0009",
        "newest": REVISION,
        "missing": [{"revision": line[:4], "what": line[6:]} for line in told.out.splitlines()],
        "is_newer": False,
    }
    assert aldgate("db", "upgrade").out == f"0009 -> {REVISION}\n"
    after = aldgate("db", "check")
    assert (after.code, after.out, after.err) == (0, "", f"ok: at {REVISION}\n")
    assert aldgate("db", "upgrade", "--json").json == {"from": REVISION, "to": REVISION}


def test_an_empty_database_is_filled(aldgate: Aldgate, url: str) -> None:
    told = aldgate("db", "check")
    assert told.code == 1 and told.out.startswith("0001") and told.err.startswith("at nothing;")
    assert aldgate("db", "upgrade").out == f"nothing -> {REVISION}\n"
    assert aldgate("db", "check").code == 0


def test_a_database_of_a_version_to_come_is_left_alone(aldgate: Aldgate, url: str) -> None:
    make(url, REVISION)
    move(url, "0999")
    for words in (["check"], ["upgrade"]):
        refused = aldgate("db", *words)
        assert refused.code == 1
        assert refused.err.startswith("error: the database is at 0999, which this version does not know\nhint: upgrade")
    assert aldgate("db", "check", "--json").json["is_newer"] is True


def test_a_check_makes_no_file(aldgate: Aldgate, home: Path) -> None:
    assert aldgate("db", "check", "--data", str(home / "kept")).code == 1
    assert not (home / "kept" / "aldgate.db").exists()
    assert aldgate("db", "upgrade", "--data", str(home / "kept")).code == 0
    with closing(sqlite3.connect(home / "kept" / "aldgate.db")) as database:
        assert database.execute("SELECT version_num FROM alembic_version").fetchall() == [(REVISION,)]


def test_a_database_that_is_away_is_said_so(aldgate: Aldgate, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ALDGATE_STORE", "postgresql://nobody:hunter2@127.0.0.1:1/none")
    for words in ("check", "upgrade"):
        refused = aldgate("db", words)
        assert refused.code == 1 and refused.err.startswith("error: The database did not answer.\nhint: look at `store`")
        assert "hunter2" not in refused.err
